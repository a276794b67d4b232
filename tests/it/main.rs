//! The service from outside: over HTTP, over the command line, and on both engines.

#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod accounts;
mod audit;
mod cli;
mod cli_users;
mod crash;
mod deadlines;
mod edges;
mod faults;
mod greed;
mod guarded;
mod headers;
mod helpers;
mod interop;
mod load;
mod model;
mod opacity;
mod own_account;
mod passwords;
mod property;
mod proxies;
mod published;
mod refresh;
mod replicas;
mod restore;
mod roots;
mod rotation;
mod secrets;
mod smuggling;
mod start;
mod status;
mod store;
mod storm;
mod throttle;
mod tls;
