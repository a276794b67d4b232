//! The command line: one file per subcommand.
//!
//! Exit codes: 0 done, 1 could not be done, 2 the arguments or the settings are wrong.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use signet_guard::Clock;

use crate::app::App;
use crate::config::{Config, ConfigSource, Faults};

mod audit;
mod check_config;
mod hash_cost;
mod keys;
mod migrate;
mod password_input;
mod serve;
mod user;

/// A self-hosted login service: sign in, get a token, verify it anywhere.
#[derive(Parser)]
#[command(name = "signet", version)]
struct Arguments {
    /// The settings file; ./signet.toml when it exists.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve (the default).
    Serve,
    /// Bring the database to this program's schema.
    Migrate,
    /// Check the settings and print those in force.
    CheckConfig,
    /// Measure what password hashes a time budget buys on this machine.
    HashCost(hash_cost::Arguments),
    /// Make, list and change accounts.
    #[command(subcommand)]
    User(user::Command),
    /// List, import, rotate and withdraw signing keys, and change root keys.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Print the audit log: who did what, when, from where.
    Audit(audit::Arguments),
}

/// Why a command was not carried out; prints as one line or a few.
#[derive(Debug)]
enum Failure {
    /// Arguments or settings are wrong.
    Usage(String),
    /// Everything else.
    Failed(String),
}

impl Failure {
    /// With the reasons behind the error: "the database is not available" alone mends nothing.
    fn of(error: impl std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.contains(&cause_text) {
                text = format!("{text}: {cause_text}");
            }
            source = cause.source();
        }
        Self::Failed(text)
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::Usage(faults.to_string())
    }
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    match dispatch(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(lines)) => complain(&lines, ExitCode::from(2)),
        Err(Failure::Failed(lines)) => complain(&lines, ExitCode::FAILURE),
    }
}

#[allow(clippy::print_stderr, reason = "a command's complaint goes to the terminal")]
fn complain(lines: &str, code: ExitCode) -> ExitCode {
    for line in lines.lines() {
        eprintln!("signet: {line}");
    }
    code
}

fn dispatch(arguments: Arguments) -> Result<(), Failure> {
    let config = Config::load(&ConfigSource::from_process(arguments.config))?;
    crate::telemetry::init(&config.log, crate::server::SAID_BETTER)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    keep_memory_private();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::of)?;
    runtime.block_on(async {
        match arguments.command.unwrap_or(Command::Serve) {
            Command::Serve => serve::run(config).await,
            Command::Migrate => migrate::run(&config).await,
            Command::CheckConfig => check_config::run(&config),
            Command::HashCost(arguments) => hash_cost::run(&arguments),
            Command::User(command) => user::run(&build(config).await?, command).await,
            Command::Audit(arguments) => audit::run(&build(config).await?, arguments).await,
            Command::Keys(command) => keys::run(&build(config).await?, command).await,
        }
    })
}

async fn build(config: Config) -> Result<App, Failure> {
    App::build(config, Clock::System).await.map_err(Failure::of)
}

/// Prints a line of the command's result. `println!` would panic when whoever reads it has gone.
fn say(line: impl std::fmt::Display) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{line}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(Failure::of),
    }
}

/// Says something to the person at the terminal that is no part of the command's result.
#[allow(clippy::print_stderr, reason = "scripts read standard output alone")]
fn remark(line: &str) {
    eprintln!("{line}");
}

/// Prints a document for a program to read.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    say(serde_json::to_string_pretty(value).map_err(Failure::of)?)
}

/// Keys and passwords live in this memory: no core dump of it, and no look at it from other processes of the same
/// user. Where the system refuses, the command runs all the same.
fn keep_memory_private() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        if setrlimit(Resource::Core, none).is_err()
            || set_dumpable_behavior(DumpableBehavior::NotDumpable).is_err()
        {
            tracing::warn!("could not switch core dumps off");
        }
    }
}
