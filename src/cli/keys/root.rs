//! `signet keys root …`.

use clap::Subcommand;
use serde::Serialize;

use super::super::{Failure, print_json, say};
use crate::app::App;
use crate::flow::root_keys::{self, RootKeyLine};

#[derive(Subcommand)]
pub(in crate::cli) enum Command {
    /// List the root keys, and what still needs each.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Append a new root key to the root key file.
    Add,
    /// Make new secrets under a root key that every replica has.
    Use {
        /// The number of the key in the file.
        number: u32,
    },
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    active: bool,
    in_file: bool,
    signing_keys: i64,
    grants: i64,
    audit_seals: i64,
    /// The replicas at work that hold it.
    replicas: &'a [String],
}

pub(in crate::cli) async fn run(app: &App, command: Command) -> Result<(), Failure> {
    match command {
        Command::List { json } => list(app, json).await,
        Command::Add => add(app).await,
        Command::Use { number } => activate(app, number).await,
    }
}

async fn list(app: &App, json: bool) -> Result<(), Failure> {
    let list = root_keys::list(app).await.map_err(Failure::of)?;
    let lines: Vec<Line<'_>> = list.keys.iter().map(line).collect();
    if json {
        return print_json(&lines);
    }
    let all = list.replicas.len();
    let width = lines.iter().map(|line| line.id.len()).max().unwrap_or_default();
    say(format_args!("{:width$}  state    signing keys  grants  audit seals  on replicas", "root key"))?;
    lines.iter().try_for_each(|line| {
        let Line { id, signing_keys, grants, audit_seals, replicas, .. } = line;
        let state = match (line.in_file, line.active) {
            (false, _) => "missing",
            (true, true) => "active",
            (true, false) => "-",
        };
        let held = replicas.len();
        say(format_args!(
            "{id:width$}  {state:7}  {signing_keys:12}  {grants:6}  {audit_seals:11}  {held} of {all}"
        ))
    })
}

async fn add(app: &App) -> Result<(), Failure> {
    let id = root_keys::add(app).await.map_err(Failure::of)?;
    let number = id.split('-').next().unwrap_or(&id);
    say(format_args!(
        "Added root key {id}; nothing is made under it yet.\nNext: back the file up, give it to every replica, and run \
         `signet keys root use {number}`."
    ))
}

async fn activate(app: &App, number: u32) -> Result<(), Failure> {
    let done = root_keys::activate(app, number).await.map_err(Failure::of)?;
    say(format_args!(
        "Root key {} is active. Signing keys sealed anew: {}.\nKeep the older root keys in the file while `signet keys \
         root list` shows what needs them.",
        done.id, done.resealed
    ))
}

fn line(line: &RootKeyLine) -> Line<'_> {
    Line {
        id: &line.id,
        active: line.is_active,
        in_file: line.is_in_file,
        signing_keys: line.signing_keys,
        grants: line.grants,
        audit_seals: line.audit_seals,
        replicas: &line.replicas,
    }
}
