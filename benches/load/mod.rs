//! What the load benchmarks share: the real application in this process, clients over bare sockets, and clocks.

#![allow(dead_code, reason = "each benchmark uses its part")]

pub mod callers;
pub mod clocks;
pub mod connection;
pub mod figures;
pub mod held;
pub mod memory;
pub mod polls;
pub mod probe;
pub mod server;

/// A password that every policy accepts.
pub const PASSWORD: &str = "a quiet walk by the sea";

/// `GET` of a path, with more header lines, each ended by CR LF.
pub fn get(path: &str, more: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{more}\r\n").into_bytes()
}

/// `POST` of a JSON text.
pub fn post(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Registration and sign-in send the same body.
pub fn credentials(number: usize) -> String {
    format!(r#"{{"email":"n{number}@example.com","password":"{PASSWORD}"}}"#)
}
