//! The service from outside: over HTTP, over the command line, and on both engines.

#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod accounts;
mod cli;
mod crash;
mod edges;
mod faults;
mod guarded;
mod helpers;
mod load;
mod passwords;
mod property;
mod published;
mod replicas;
mod secrets;
mod start;
mod store;
mod storm;
