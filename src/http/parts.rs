//! Long answers, a part at a time.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;

/// The most of an answer that a connection is given at once, in bytes.
const PART: usize = 16 << 10;

/// Divides a long body. actix-web copies whatever a body yields into the connection's buffer: with megabytes at once,
/// whoever asks and does not read would take that memory on every connection.
pub(super) fn in_parts(body: BoxBody) -> BoxBody {
    match body.size() {
        BodySize::Sized(length) if length > PART as u64 => {
            body.try_into_bytes().map_or_else(|stream| stream, |bytes| BoxBody::new(Parts(bytes)))
        }
        _ => body,
    }
}

/// What is left. It does not offer its bytes whole, or it would be put together again.
struct Parts(Bytes);

impl MessageBody for Parts {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(u64::try_from(self.0.len()).unwrap_or(u64::MAX))
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let length = self.0.len().min(PART);
        Poll::Ready((length > 0).then(|| Ok(self.0.split_to(length))))
    }
}
