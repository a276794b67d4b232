//! Files that hold the one or the other text whole, whatever happens while they are written, and that only their owner
//! can read.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Writes a file that is either whole and durable or not there, and never replaces one: written under another name,
/// flushed, then linked to its own. An existing file is left as it is, which is no error.
///
/// # Errors
/// What the system says.
pub fn create(path: &Path, text: &str) -> io::Result<()> {
    let folder = folder_of(path);
    make_folder(folder)?;
    let temporary = Temporary::write(path, "new", text)?;
    match std::fs::hard_link(&temporary.path, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        other => other?,
    }
    temporary.remove()?;
    flush_folder(folder)
}

/// Replaces a file, or makes it: whoever reads it, also after a power cut, finds the old text or the new one.
///
/// # Errors
/// What the system says.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    make_folder(folder_of(path))?;
    Replacement::prepare(path, text)?.put()
}

/// A text that is durable under another name and waits to take its place.
pub struct Replacement {
    temporary: Temporary,
    path: PathBuf,
}

impl Replacement {
    /// Writes the text beside the file it will replace. It gets the owner of that file, or else of its folder: an operator
    /// who is `root` must not take it from the service.
    ///
    /// # Errors
    /// What the system says.
    pub fn prepare(path: &Path, text: &str) -> io::Result<Self> {
        let temporary = Temporary::write(path, "next", text)?;
        #[cfg(unix)]
        if let Ok(present) = std::fs::metadata(path).or_else(|_| std::fs::metadata(folder_of(path))) {
            use std::os::unix::fs::MetadataExt as _;
            let made = std::fs::metadata(&temporary.path)?;
            if (present.uid(), present.gid()) != (made.uid(), made.gid()) {
                std::os::unix::fs::chown(&temporary.path, Some(present.uid()), Some(present.gid()))?;
            }
        }
        Ok(Self { temporary, path: path.to_owned() })
    }

    /// Puts it in place.
    ///
    /// # Errors
    /// What the system says.
    pub fn put(self) -> io::Result<()> {
        std::fs::rename(&self.temporary.path, &self.path)?;
        flush_folder(folder_of(&self.path))
    }
}

/// Removes what processes that were killed while they replaced a file have left beside it. Nobody may be replacing it now.
pub fn remove_leftovers(path: &Path) {
    let prefix = prefix(path, "next");
    let Ok(entries) = std::fs::read_dir(folder_of(path)) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// A private file under a name of its own; removed when dropped, for half a key must not lie about.
struct Temporary {
    path: PathBuf,
}

impl Temporary {
    /// Two processes in two containers may have the same process id, so the name is random.
    fn write(beside: &Path, purpose: &str, text: &str) -> io::Result<Self> {
        let name = format!("{}{:016x}", prefix(beside, purpose), rand::random::<u64>());
        let path = folder_of(beside).join(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path)?;
        let temporary = Self { path };
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(temporary)
    }

    fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn prefix(path: &Path, purpose: &str) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}.{purpose}.")
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// The new name is durable once its folder is.
#[cfg(unix)]
fn flush_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn flush_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_made_once_and_replaced_whole_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/file");
        create(&path, "first").unwrap();
        create(&path, "second").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
        replace(&path, "third").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "third");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(path.parent().unwrap()), ["file"]);
    }

    #[test]
    fn a_replacement_that_is_not_put_changes_nothing_and_a_leftover_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        create(&path, "old").unwrap();
        drop(Replacement::prepare(&path, "new").unwrap());
        assert_eq!(names(folder.path()), ["file"]);
        // As a process leaves it that is killed at this place.
        std::mem::forget(Replacement::prepare(&path, "new").unwrap());
        assert_eq!(names(folder.path()).len(), 2);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        remove_leftovers(&path);
        assert_eq!(names(folder.path()), ["file"]);
    }
}
