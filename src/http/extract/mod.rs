//! What handlers take from a request.

mod caller;
mod client_address;
mod fields;
mod json;
mod owner;

pub use client_address::ClientAddress;
pub use fields::{FieldFault, Fields};
pub use json::{JsonBody, OptionalJsonBody};
