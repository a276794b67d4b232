//! `signet keys …`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Failure, say};
use crate::app::App;
use crate::flow::restore::{self, Adopted};

mod root;
mod signing;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List the signing keys: where each is in its life, and since when.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let the next signing key sign, as soon as every verifier has it.
    Rotate {
        /// At once, whoever does not have it yet.
        #[arg(long)]
        now: bool,
    },
    /// Take a signing key away at once, and with it everything that it signed: it may be in the wrong hands.
    Withdraw {
        /// The key, as `signet keys list` shows it.
        #[arg(allow_hyphen_values = true)]
        kid: String,
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
    /// Bring a key of your own.
    Import {
        /// A PKCS#8 PEM file ("BEGIN PRIVATE KEY").
        file: PathBuf,
    },
}

pub(super) async fn run(app: &App, command: Command) -> Result<(), Failure> {
    match command {
        Command::List { json } => signing::list(app, json).await,
        Command::Import { file } => signing::import(app, file).await,
        Command::Rotate { now } => signing::rotate(app, now).await,
        Command::Withdraw { kid } => signing::withdraw(app, &kid).await,
        Command::Root(command) => root::run(app, command).await,
        Command::Adopt { .. } => adopt(app).await,
    }
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
