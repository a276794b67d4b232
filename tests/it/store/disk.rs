//! A disk that forgets what was not synced, fed with what `strace -f -y -xx` saw.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Files by name.
#[derive(Default)]
pub(super) struct Disk {
    written: HashMap<String, Vec<u8>>,
    synced: HashMap<String, Vec<u8>>,
    /// By process id: a sync that began, and what it will have made durable.
    syncing: HashMap<String, (String, Vec<u8>)>,
}

impl Disk {
    /// With one file on it.
    pub(super) fn with(name: &str, content: Vec<u8>) -> Self {
        let files = HashMap::from([(name.to_owned(), content)]);
        Self { written: files.clone(), synced: files, syncing: HashMap::new() }
    }

    /// Plays a line of the trace. What `write` put out, which is not to a file of SQLite's, is answered as text.
    pub(super) fn play(&mut self, line: &str) -> Option<String> {
        let (process, call) = line.split_once(' ')?;
        let call = call.trim_start();
        // Begun is not done: a call that another thread interrupted in the trace counts when it is resumed.
        if call.starts_with("<... f") && call.contains("sync resumed") {
            let (name, content) = self.syncing.remove(process)?;
            self.synced.insert(name, content);
            return None;
        }
        let (called, arguments) = call.split_once('(')?;
        let path = String::from_utf8(bytes(arguments.split_once('<')?.1.split_once('>')?.0)?).ok()?;
        let name = path.rsplit('/').next()?.to_owned();
        let string = || bytes(arguments.split('"').nth(1)?);
        match called {
            "write" => return String::from_utf8(string()?).ok(),
            "pwrite64" => {
                let bytes = string()?;
                let mut numbers =
                    arguments.rsplit_once('"')?.1.split([',', ' ', ')']).filter(|it| !it.is_empty());
                let (length, at): (usize, usize) =
                    (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
                assert_eq!(bytes.len(), length, "the trace holds it whole: {called} {name}");
                let file = self.written.entry(name).or_default();
                file.resize(file.len().max(at + length), 0);
                file[at..at + length].copy_from_slice(&bytes);
            }
            "ftruncate" => {
                let length = arguments.split(", ").nth(1)?.split([')', ' ']).next()?.parse().ok()?;
                self.written.entry(name).or_default().resize(length, 0);
            }
            "fsync" | "fdatasync" => {
                let content = self.written.get(&name)?.clone();
                if call.contains("<unfinished") {
                    self.syncing.insert(process.to_owned(), (name, content));
                } else {
                    self.synced.insert(name, content);
                }
            }
            _ => {}
        }
        None
    }

    /// What is left after a power cut, as files.
    pub(super) fn restore(&self, folder: &Path) {
        for (name, content) in &self.synced {
            let path = folder.join(name);
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

/// What `\x61\x62` stands for.
fn bytes(text: &str) -> Option<Vec<u8>> {
    text.split("\\x").skip(1).map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}
