//! The future of an extractor: done already, or waiting for keys.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::error::Refusal;

/// What an extractor will answer. Nearly always that is known at once; then nothing is allocated for it.
pub struct Extraction<T>(State<T>);

enum State<T> {
    Done(Ready<Result<T, Refusal>>),
    Waiting(Pin<Box<dyn Future<Output = Result<T, Refusal>>>>),
}

impl<T> Extraction<T> {
    pub(super) fn done(outcome: Result<T, Refusal>) -> Self {
        Self(State::Done(ready(outcome)))
    }

    pub(super) fn waiting(future: impl Future<Output = Result<T, Refusal>> + 'static) -> Self {
        Self(State::Waiting(Box::pin(future)))
    }
}

impl<T> Future for Extraction<T> {
    type Output = Result<T, Refusal>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            State::Done(outcome) => Pin::new(outcome).poll(context),
            State::Waiting(future) => future.as_mut().poll(context),
        }
    }
}
