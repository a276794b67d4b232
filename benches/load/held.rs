//! Connections that are held open and hardly used, and when the server closes them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::post;

/// How a connection is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Sends nothing at all.
    Silent,
    /// Sends a header, a byte a second.
    SlowHeader,
    /// Sends a head and then a body, a byte a second.
    SlowBody,
}

struct Held {
    stream: TcpStream,
    way: Way,
    opened: Instant,
    closed: Option<Duration>,
}

/// Many of them.
pub struct Crowd(Vec<Held>);

impl Crowd {
    /// Opens so many of each.
    pub fn open(address: SocketAddr, counts: &[(Way, usize)]) -> Self {
        let mut held = Vec::new();
        for (way, count) in counts {
            for _ in 0..*count {
                let mut stream = TcpStream::connect(address).unwrap();
                let head = post("/api/v1/login", &"x".repeat(1000));
                match way {
                    Way::Silent => {}
                    Way::SlowHeader => {
                        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nx-slow: ").unwrap()
                    }
                    Way::SlowBody => stream.write_all(&head[..head.len() - 999]).unwrap(),
                }
                stream.set_nonblocking(true).unwrap();
                held.push(Held { stream, way: *way, opened: Instant::now(), closed: None });
            }
        }
        Self(held)
    }

    /// Sends a byte on each slow connection.
    pub fn drip(&mut self) {
        for held in self.0.iter_mut().filter(|held| held.way != Way::Silent && held.closed.is_none()) {
            // One that was closed says so when it is read.
            let _ = held.stream.write(b"x");
        }
    }

    /// Looks which were closed since; tells how many are open.
    pub fn look(&mut self) -> usize {
        let mut bytes = [0; 2048];
        for held in self.0.iter_mut().filter(|held| held.closed.is_none()) {
            loop {
                match held.stream.read(&mut bytes) {
                    Ok(read) if read > 0 => continue,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    _ => held.closed = Some(held.opened.elapsed()),
                }
                break;
            }
        }
        self.0.iter().filter(|held| held.closed.is_none()).count()
    }

    /// The longest that one of this way stayed open, and how many still do.
    pub fn longest(&self, way: Way) -> (Duration, usize) {
        let of = || self.0.iter().filter(move |held| held.way == way);
        let longest = of().filter_map(|held| held.closed).max().unwrap_or_default();
        (longest, of().filter(|held| held.closed.is_none()).count())
    }
}
