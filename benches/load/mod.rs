//! What the load benchmarks share: the real application in this process, clients over bare sockets, and clocks.

#![allow(dead_code, reason = "each benchmark uses its part")]

pub mod bare_hashes;
pub mod callers;
pub mod clocks;
pub mod connection;
pub mod durable;
pub mod figures;
pub mod grants;
pub mod held;
pub mod memory;
pub mod peer;
pub mod polls;
pub mod probe;
pub mod processes;
pub mod program;
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

/// The value of a text member of a JSON body: cheaper for a client than reading the whole.
pub fn member<'b>(body: &'b [u8], name: &str) -> &'b str {
    let body = std::str::from_utf8(body).unwrap();
    let (_, rest) = body.split_once(&format!("\"{name}\":\"")).unwrap();
    rest.split_once('"').unwrap().0
}
