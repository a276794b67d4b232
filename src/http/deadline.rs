//! By when a caller must get on.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// By when a connection must have brought its next request, or taken more of its answer.
///
/// actix-web gives the head of a connection's *first* request a deadline. Behind a good first request a caller could
/// then take forever over the second, or over a chunked body that nobody wants. So this one runs whenever no request
/// is being worked on: from the opening of the connection to the end of a head, and again from the moment an answer is
/// ready. The connection holds one end and closes itself by it; the requests on it hold the other.
#[derive(Clone)]
pub struct Deadline {
    at: Rc<Cell<Option<Instant>>>,
    between_requests: Duration,
}

impl Deadline {
    /// For a connection that is open now: its first head has `first` to arrive, each later one `between_requests` from
    /// the moment the answer before it is ready.
    pub fn new(first: Duration, between_requests: Duration) -> Self {
        Self { at: Rc::new(Cell::new(Instant::now().checked_add(first))), between_requests }
    }

    /// When to close the connection; `None` while a request is being worked on, which has limits of its own.
    pub fn at(&self) -> Option<Instant> {
        self.at.get()
    }

    /// The head of a request has arrived.
    pub(crate) fn request_arrived(&self) {
        self.at.set(None);
    }

    /// The answer is ready to be sent, or more of it has been.
    pub fn moved_on(&self) {
        self.at.set(Instant::now().checked_add(self.between_requests));
    }
}
