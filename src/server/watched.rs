//! A connection that closes itself when its caller does not get on.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::server::TlsStream;

use crate::http::deadline::Deadline;

/// How often actix-web may turn to the connection without reading from it, or getting on with an answer. Whoever sends
/// requests behind requests fills what is read ahead (128 KiB); from then on actix-web does not read, and instead of
/// waiting asks to be woken at once, again and again, for as long as an answer is worked on or not taken. No honest
/// caller brings it there; a large body does for a few turns.
const MOST_IDLE_TURNS: u16 = 256;

/// What carries the bytes of HTTP.
pub(super) enum Transport {
    /// Plain http.
    Plain(TcpStream),
    /// https, after the handshake.
    Tls(Box<TlsStream<TcpStream>>),
}

/// The connection and its [`Deadline`]: whatever is tried after that fails, upon which actix-web drops it.
pub(super) struct Watched {
    transport: Transport,
    deadline: Deadline,
    timer: Pin<Box<Sleep>>,
    idle_turns: u16,
}

impl Watched {
    pub(super) fn new(transport: Transport, deadline: Deadline) -> Self {
        let first = deadline.at().map_or_else(Instant::now, Instant::from_std);
        Self { transport, deadline, timer: Box::pin(sleep_until(first)), idle_turns: 0 }
    }

    pub(super) fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// Called wherever actix-web may be about to wait, because only a timer that was asked wakes the connection. The
    /// deadline moves with every request; the timer is only set anew when it goes off too early or would too late.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(at) = self.deadline.at().map(Instant::from_std) else { return Ok(()) };
        if self.timer.deadline() > at {
            self.timer.as_mut().reset(at);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if at <= Instant::now() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.timer.as_mut().reset(at);
        }
        Ok(())
    }

    fn idle_turn(&mut self) -> io::Result<()> {
        self.idle_turns = self.idle_turns.saturating_add(1);
        if self.idle_turns > MOST_IDLE_TURNS { Err(io::ErrorKind::QuotaExceeded.into()) } else { Ok(()) }
    }

    fn stream(&mut self) -> Pin<&mut dyn Stream> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream),
            Transport::Tls(stream) => Pin::new(stream.as_mut()),
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        self.idle_turns = 0;
        self.stream().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        let outcome = self.stream().poll_write(cx, bytes);
        match outcome {
            Poll::Ready(_) => self.idle_turns = 0,
            Poll::Pending => self.idle_turn()?,
        }
        // Whoever takes a long answer slowly, but takes it, is no idler. While a request is worked on there is no
        // deadline, and an interim answer (100) must not start one.
        if matches!(outcome, Poll::Ready(Ok(1..))) && self.deadline.at().is_some() {
            self.deadline.moved_on();
        }
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        self.idle_turn()?;
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        self.stream().poll_shutdown(cx)
    }
}
