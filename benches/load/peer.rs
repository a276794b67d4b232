//! Other people's libraries behind the same question: the services of `benches/peers`, in processes of their own.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::connection::Connection;
use super::get;

/// How long one may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// One of them; ended when dropped.
pub struct Peer {
    child: Child,
    address: SocketAddr,
}

/// Which one, and how it is run.
#[derive(Clone, Copy)]
pub struct Shape {
    /// What it is made of.
    pub made_of: MadeOf,
    /// Processes.
    pub workers: usize,
    /// Threads that hash, in each process.
    pub threads: usize,
}

/// What it is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum MadeOf {
    /// fastify, @node-rs/argon2, jose.
    Fastify,
    /// FastAPI, argon2-cffi, PyJWT.
    FastApi,
}

impl Peer {
    /// Starts it on a database and a key (PKCS #8, PEM) and waits until it answers.
    pub fn start(shape: Shape, database: &Path, key: &Path) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = match shape.made_of {
            MadeOf::Fastify => fastify(shape, address, database, key),
            MadeOf::FastApi => fast_api(shape, address, database, key),
        };
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let mut peer = Self { child, address };
        let started = Instant::now();
        while Connection::open(address).and_then(|mut it| it.ask(&get("/", ""))).is_err() {
            assert!(peer.child.try_wait().unwrap().is_none(), "a peer ended; what it said is above");
            assert!(started.elapsed() < PATIENCE, "a peer did not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        peer
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its first process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Peer {
    /// Asks it to end: killed, it would leave its workers behind.
    fn drop(&mut self) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let _ = id.map(|id| kill_process(id, Signal::TERM));
        let _ = self.child.wait();
    }
}

fn fastify(shape: Shape, address: SocketAddr, database: &Path, key: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg(installed("node/server.mjs")).arg(address.port().to_string()).arg(shape.workers.to_string());
    command.args([database, key]).arg(format!("http://{address}"));
    command.env("UV_THREADPOOL_SIZE", shape.threads.to_string()).env("NODE_ENV", "production");
    command
}

fn fast_api(shape: Shape, address: SocketAddr, database: &Path, key: &Path) -> Command {
    let mut command = Command::new(installed("python/bin/python"));
    command.args(["-m", "uvicorn", "server:app", "--app-dir"]).arg(here("benches/peers/python"));
    command.args(["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]);
    command.args(["--port", &address.port().to_string(), "--workers", &shape.workers.to_string()]);
    command
        .env("PEER_DATABASE", database)
        .env("PEER_KEY", key)
        .env("PEER_ISSUER", format!("http://{address}"));
    command.env("PEER_THREADS", shape.threads.to_string()).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn installed(path: &str) -> PathBuf {
    let path = here("target/peers").join(path);
    assert!(path.exists(), "{} is not there: scripts/bench peers installs it", path.display());
    path
}
