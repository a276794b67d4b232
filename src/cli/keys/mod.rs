//! `signet keys …`.

use std::fs;
use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{Failure, print_json, say};
use crate::app::App;
use crate::flow::restore::{self, Adopted};
use crate::flow::signing_keys;
use crate::store::{KeyStatus, SigningKeyRow};

mod root;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List the signing keys.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List, add and change root keys.
    #[command(subcommand)]
    Root(root::Command),
    /// Give the keys folder to the database that is there now, when that is another one on purpose.
    Adopt {
        /// Yes: it is a new database, not a backup that was restored.
        #[arg(long, required = true)]
        new_database: bool,
    },
    /// Bring an RSA key of your own.
    Import {
        /// A PKCS#8 PEM file ("BEGIN PRIVATE KEY").
        file: PathBuf,
    },
}

/// Larger files are no key of ours, in bytes.
const LARGEST_PEM: u64 = 64 * 1024;

#[derive(Serialize)]
struct Line<'a> {
    kid: &'a str,
    algorithm: &'a str,
    status: &'static str,
    /// Seconds since 1970.
    created_at: i64,
    root_key: &'a str,
}

pub(super) async fn run(app: &App, command: Command) -> Result<(), Failure> {
    match command {
        Command::List { json } => list(app, json).await,
        Command::Import { file } => import(app, file).await,
        Command::Root(command) => root::run(app, command).await,
        Command::Adopt { .. } => adopt(app).await,
    }
}

async fn list(app: &App, json: bool) -> Result<(), Failure> {
    let rows = signing_keys::stored(app).await.map_err(Failure::of)?;
    let lines: Vec<Line<'_>> = rows.iter().map(line).collect();
    if json {
        return print_json(&lines);
    }
    lines.iter().try_for_each(|line| {
        let Line { kid, algorithm, status, root_key, .. } = line;
        say(format_args!("{kid}  {algorithm}  {status:8}  sealed with root key {root_key}"))
    })
}

async fn import(app: &App, file: PathBuf) -> Result<(), Failure> {
    let unreadable = |error| Failure::Failed(format!("{}: {error}", file.display()));
    if fs::metadata(&file).map_err(unreadable)?.len() > LARGEST_PEM {
        return Err(Failure::Failed(format!("{}: too large for a key", file.display())));
    }
    let pem = Zeroizing::new(fs::read_to_string(&file).map_err(unreadable)?);
    let row = signing_keys::import(app, &pem).await.map_err(Failure::of)?;
    let next = match row.status {
        KeyStatus::Active => "It signs from the next start of the server on.",
        _ => {
            "It is published from the next start of the server on, and does not sign: another key is active."
        }
    };
    say(format_args!("Imported {} as {}. {next}", row.kid, row.status.as_str()))
}

async fn adopt(app: &App) -> Result<(), Failure> {
    let state = app.config.keys.dir.join("state");
    let state = state.display();
    match restore::adopt(app).await.map_err(Failure::of)? {
        Adopted::Already => {
            say(format_args!("{state} belongs to this database already; nothing was changed."))
        }
        Adopted::Replaced(Some(before)) => {
            say(format_args!("{state} belongs to this database now, no longer to {before}."))
        }
        Adopted::Replaced(None) => say(format_args!("{state} belongs to this database now.")),
    }
}

fn line(row: &SigningKeyRow) -> Line<'_> {
    Line {
        kid: &row.kid,
        algorithm: &row.algorithm,
        status: row.status.as_str(),
        created_at: row.created_at.as_seconds(),
        root_key: &row.root_key_id,
    }
}
