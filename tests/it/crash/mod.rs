//! Killed in the middle of work: what was answered is there, and the rest is clean.

mod accounts;
mod client;
#[cfg(target_os = "linux")]
mod each_write;
mod held;
mod refreshes;
#[cfg(target_os = "linux")]
mod rotations;

use std::path::Path;
use std::process::Command;

use crate::helpers::process::command;

/// Hashes that cost as little as the settings allow, so that many requests get through before the end.
fn quick(folder: &Path) -> Command {
    let mut command = command(folder);
    command
        .env("SIGNET__PASSWORDS__COST__MEMORY_KIB", "7168")
        .env("SIGNET__PASSWORDS__COST__ITERATIONS", "5")
        .env("SIGNET__THROTTLE__ADDRESS_SIGN_INS", "1000")
        .env("SIGNET__THROTTLE__ADDRESS_REGISTRATIONS", "1000");
    command
}
