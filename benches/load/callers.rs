//! Many callers at once on one thread, each with a connection of its own.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::connection::{head, status, whole};

/// What became of a caller who waited.
pub struct Answer {
    /// The status; 0 when the connection ended without an answer.
    pub status: u16,
    /// From the first byte sent to the last byte read.
    pub wait: Duration,
    /// Whether the answer says when to come again.
    pub retry_after: bool,
}

/// One caller: what is sent, and after how long the caller hangs up without an answer.
pub struct Caller {
    /// The request.
    pub request: Vec<u8>,
    /// `None`: waits for the answer.
    pub hangs_up_after: Option<Duration>,
}

/// Connects all, lets all send at once, and answers what those heard who waited.
pub async fn all_at_once(address: SocketAddr, callers: Vec<Caller>) -> Vec<Answer> {
    let mut connected = Vec::new();
    for caller in callers {
        connected.push((TcpStream::connect(address).await.unwrap(), caller));
    }
    let mut calls = JoinSet::new();
    for (stream, caller) in connected {
        calls.spawn(async move {
            let call = ask(&stream, &caller.request);
            match caller.hangs_up_after {
                Some(patience) => {
                    tokio::time::timeout(patience, call).await.ok().filter(|answer| answer.status != 0)
                }
                None => Some(call.await),
            }
        });
    }
    calls.join_all().await.into_iter().flatten().collect()
}

async fn ask(stream: &TcpStream, request: &[u8]) -> Answer {
    let started = Instant::now();
    let answer = exchange(stream, request).await.unwrap_or_default();
    let head = &answer[..head(&answer).unwrap_or(0)];
    let retry_after = String::from_utf8_lossy(head).to_ascii_lowercase().contains("\r\nretry-after: ");
    Answer { status: status(head), wait: started.elapsed(), retry_after }
}

async fn exchange(stream: &TcpStream, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut sent = 0;
    while sent < request.len() {
        stream.writable().await?;
        match stream.try_write(&request[sent..]) {
            Ok(more) => sent += more,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
    while whole(&answer).is_none_or(|length| answer.len() < length) {
        stream.readable().await?;
        match stream.try_read(&mut chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => answer.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}
