//! What handlers take from a request.

mod fields;
mod json;

pub use fields::{FieldFault, Fields};
pub use json::JsonBody;
