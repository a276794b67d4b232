//! Errors on the wire of the JSON API: RFC 9457 problem documents, made here and nowhere else.

mod mapping;
mod problem;

pub use problem::{CONTENT_TYPE, Problem};
