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
    /// When to come again, in seconds, if the answer says so.
    pub retry_after: Option<u64>,
}

/// What one caller sends, again and again.
pub struct Caller {
    /// The request.
    pub request: Vec<u8>,
    /// After how long the caller hangs up. `None`: waits for every answer.
    pub hangs_up_after: Option<Duration>,
}

/// Connects all, lets all send at once, and then each again: after the time the answer asked for, and up to a second of
/// its own, since no two callers keep step. What those heard who waited: the first answers, and all later ones.
pub async fn storm(address: SocketAddr, callers: Vec<Caller>, lasts: Duration) -> (Vec<Answer>, Vec<Answer>) {
    let mut connected = Vec::new();
    for caller in callers {
        connected.push((TcpStream::connect(address).await.unwrap(), caller));
    }
    let end = Instant::now() + lasts;
    let mut calls = JoinSet::new();
    for (number, (stream, caller)) in connected.into_iter().enumerate() {
        calls.spawn(call_again(address, number as u64, stream, caller, end));
    }
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for answers in calls.join_all().await {
        let mut answers = answers.into_iter();
        // Whoever hangs up tells of no first answer.
        match answers.next() {
            Some((1, answer)) => first.push(answer),
            Some((_, answer)) => later.push(answer),
            None => {}
        }
        later.extend(answers.map(|(_, answer)| answer));
    }
    (first, later)
}

async fn call_again(
    address: SocketAddr,
    number: u64,
    mut stream: TcpStream,
    caller: Caller,
    end: Instant,
) -> Vec<(u64, Answer)> {
    let mut answers = Vec::new();
    for round in 1.. {
        let call = ask(&stream, &caller.request);
        let answer = match caller.hangs_up_after {
            Some(patience) => tokio::time::timeout(patience, call).await.ok(),
            None => Some(call.await),
        };
        drop(stream);
        let asked = answer.as_ref().map_or(0, |answer| answer.retry_after.unwrap_or(0));
        answers.extend(answer.map(|answer| (round, answer)));
        let own = (number * 7919 + round * 104_729) % 1000;
        tokio::time::sleep(Duration::from_millis(asked * 1000 + own)).await;
        if Instant::now() >= end {
            break;
        }
        stream = TcpStream::connect(address).await.unwrap();
    }
    answers
}

async fn ask(stream: &TcpStream, request: &[u8]) -> Answer {
    let started = Instant::now();
    let answer = exchange(stream, request).await.unwrap_or_default();
    let head = &answer[..head(&answer).unwrap_or(0)];
    let head_text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let retry_after = head_text.split_once("\r\nretry-after: ");
    let retry_after = retry_after.and_then(|(_, rest)| rest.lines().next()?.trim().parse().ok());
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
