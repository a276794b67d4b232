//! The house rules as tests over the text of the repository. Each message says how to mend the breach.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/papers.rs"]
mod papers;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tests_of_tests.rs"]
mod tests_of_tests;

/// Fails with every breach on a line of its own and the cure at the end.
fn assert_none(breaches: &[String], cure: &str) {
    assert!(breaches.is_empty(), "\n{}\n\nTo mend: {cure}\n", breaches.join("\n"));
}
