//! The real program in a process of its own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

/// It, its folder and its open output; killed when dropped.
pub struct Program {
    child: Child,
    address: SocketAddr,
    // It still has a few lines to say.
    _output: BufReader<ChildStdout>,
    _folder: TempDir,
}

impl Program {
    /// Starts it in a new folder, with these settings by their names in the environment and nothing of this process's.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_signet"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SIGNET"))
        {
            command.env_remove(name);
        }
        command.current_dir(folder.path()).env("SIGNET_LISTEN", "127.0.0.1:0").envs(settings.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let listens = output.by_ref().lines().map_while(Result::ok).find_map(|line| {
            line.split_once(" listens on http://").map(|(_, address)| address.parse().unwrap())
        });
        Self { child, address: listens.unwrap(), _output: output, _folder: folder }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
