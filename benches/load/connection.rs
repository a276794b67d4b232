//! A keep-alive connection: one request, one answer, no pipelining.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One connection and the bytes of its last answer.
pub struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream, answer: Vec::with_capacity(4096) })
    }

    /// Sends bytes.
    pub fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request)
    }

    /// Reads one whole answer and tells its status.
    pub fn receive(&mut self) -> io::Result<u16> {
        self.answer.clear();
        let mut wanted = None;
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.answer.extend_from_slice(&chunk[..read]),
            }
            let wanted = *wanted.get_or_insert_with(|| whole(&self.answer));
            match wanted {
                Some(length) if self.answer.len() >= length => return Ok(status(&self.answer)),
                Some(_) => {}
                None => return self.receive_slowly(),
            }
        }
    }

    /// Sends a request and reads its answer.
    pub fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        self.send(request)?;
        self.receive()
    }

    /// The body of the last answer.
    pub fn body(&self) -> &[u8] {
        let head = head(&self.answer).unwrap_or(self.answer.len());
        &self.answer[head..]
    }

    /// A header of the last answer.
    pub fn header(&self, name: &str) -> Option<String> {
        let head = String::from_utf8_lossy(&self.answer[..head(&self.answer)?]).into_owned();
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }

    /// The head did not come in one piece.
    fn receive_slowly(&mut self) -> io::Result<u16> {
        let mut chunk = [0; 4096];
        while whole(&self.answer).is_none_or(|length| self.answer.len() < length) {
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.answer.extend_from_slice(&chunk[..read]),
            }
        }
        Ok(status(&self.answer))
    }
}

/// How long the head is, with its empty line.
pub fn head(answer: &[u8]) -> Option<usize> {
    answer.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// How long the whole answer is, once its head is there.
pub fn whole(answer: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length: ";
    let head = head(answer)?;
    let length = answer[..head].windows(NAME.len()).position(|window| window.eq_ignore_ascii_case(NAME));
    let digits = length.map_or(&[][..], |at| &answer[at + NAME.len()..head]);
    let length = digits.iter().take_while(|digit| digit.is_ascii_digit());
    Some(head + length.fold(0, |length, digit| length * 10 + usize::from(digit - b'0')))
}

/// The status of an answer that begins as one should.
pub fn status(answer: &[u8]) -> u16 {
    let digits = answer.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
    digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(0)
}
