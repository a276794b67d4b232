//! The real binary in a process of its own, in a folder of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a start may take: a debug build makes an RSA key in it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The command, in a folder, with nothing of this process's environment that could be a setting.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signet"));
    prepare(&mut command, folder);
    command
}

/// The same for another program that runs the binary.
pub fn prepare(command: &mut Command, folder: &Path) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SIGNET") {
            command.env_remove(name);
        }
    }
    command.current_dir(folder).env("SIGNET_LISTEN", "127.0.0.1:0");
}

/// Runs a command to its end, with this on its standard input.
pub fn run(mut command: Command, input: &str) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Everything a finished command printed.
pub fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A server in a process of its own; killed when dropped.
pub struct Process {
    /// The process.
    pub child: Child,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// Where its standard error goes.
    pub log: PathBuf,
    /// What it printed before it said where it listens.
    pub greeting: String,
}

impl Process {
    /// Starts `signet serve` in a folder and waits until it says where it listens; what it printed instead otherwise.
    pub fn start(folder: &Path) -> Result<Self, String> {
        Self::start_command(command(folder), folder)
    }

    /// Starts a prepared command that ends in serving.
    pub fn start_command(mut command: Command, folder: &Path) -> Result<Self, String> {
        let log = folder.join(format!("log-{}", uuid::Uuid::new_v4()));
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let mut greeting = String::new();
            let mut line = String::new();
            while lines.read_line(&mut line).unwrap_or(0) > 0 {
                greeting.push_str(&line);
                if let Some((_, url)) = line.trim().split_once(" listens on ") {
                    let _ = tell.send(Some((url.to_owned(), greeting.clone())));
                }
                line.clear();
            }
            let _ = tell.send(None);
            let _ = lines.read_to_string(&mut greeting);
        });
        match told.recv_timeout(PATIENCE) {
            Ok(Some((url, greeting))) => Ok(Self { child, url, log, greeting }),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                Err(std::fs::read_to_string(&log).unwrap())
            }
        }
    }

    /// SIGKILL: nothing is finished, nothing is said.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit code.
    pub fn stop(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }

    /// What it wrote to standard error so far.
    pub fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processor time it has used so far, in hundredths of a second.
#[cfg(target_os = "linux")]
pub fn cpu_time(server: &Process) -> i64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.child.id())).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<i64> = fields.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    // utime and stime; the state before them is a letter.
    fields[10] + fields[11]
}
