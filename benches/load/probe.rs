//! A user who asks at fixed times, whatever became of the question before: a slow answer delays the next ones, and
//! their waiting counts too (an open loop; a closed one would ask less just when the service is slow).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::clocks;
use super::connection::Connection;

/// Between two questions.
const EVERY: Duration = Duration::from_millis(10);

/// A probe under way.
pub struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Probe {
    /// Begins to ask. Ahead of other threads where the system allows it, so that the wait is the server's.
    pub fn start(address: SocketAddr, request: Vec<u8>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            clocks::nice(-15);
            let mut connection = Connection::open(address).unwrap();
            let (mut due, mut waits) = (Instant::now(), Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                assert_eq!(connection.ask(&request).unwrap(), 200);
                waits.push(due.elapsed());
                due += EVERY;
            }
            waits
        });
        Self { stop, thread }
    }

    /// Every wait, from the time the question was due, sorted.
    pub fn finish(self) -> Vec<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        let mut waits = self.thread.join().unwrap();
        waits.sort();
        waits
    }
}
