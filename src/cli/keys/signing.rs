//! `signet keys list|import|rotate|withdraw`.

use std::fs;
use std::path::PathBuf;

use serde::Serialize;
use signet_guard::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use super::super::{Failure, print_json, say};
use crate::app::App;
use crate::flow::key_rotation::{self, Rotated};
use crate::flow::signing_keys;
use crate::rotation::{GUARD_REFRESH, KeyStatus};
use crate::store::SigningKeyRow;

/// Larger files are no key of ours, in bytes.
const LARGEST_PEM: u64 = 64 * 1024;

/// Times are seconds since 1970.
#[derive(Serialize)]
struct Line<'a> {
    kid: &'a str,
    algorithm: &'static str,
    status: &'static str,
    created_at: i64,
    /// From when on every verifier has it.
    ready_at: i64,
    activated_at: Option<i64>,
    retiring_at: Option<i64>,
    retired_at: Option<i64>,
    withdrawn_at: Option<i64>,
    rotation_requested_at: Option<i64>,
    /// When the next step of its life is due: to sign, to be replaced, or to leave the set.
    due_at: Option<i64>,
    root_key: &'a str,
}

pub(super) async fn list(app: &App, json: bool) -> Result<(), Failure> {
    let rows = signing_keys::stored(app).await.map_err(Failure::of)?;
    if json {
        let lines: Vec<Line<'_>> = rows.iter().map(|row| line(app, row)).collect();
        return print_json(&lines);
    }
    for row in &rows {
        let Line { kid, algorithm, status, .. } = line(app, row);
        let story = story(app, row);
        say(format_args!(
            "{kid}  {algorithm}  {status:8}  {story}  sealed with root key {}",
            row.root_key_id
        ))?;
    }
    Ok(())
}

/// What became of a key, and what comes next.
fn story(app: &App, row: &SigningKeyRow) -> String {
    let since = |at: Option<Timestamp>| at.map_or_else(|| "unknown".to_owned(), date);
    let due = due_at(app, row);
    match row.status {
        KeyStatus::Pending => {
            format!("published {}, can sign from {}", date(row.created_at), date(row.ready_at))
        }
        KeyStatus::Active => {
            format!("signs since {}, to be replaced {}", since(row.activated_at), since(due))
        }
        KeyStatus::Retiring => {
            format!("signed until {}, leaves the set {}", since(row.retiring_at), since(due))
        }
        KeyStatus::Retired if row.withdrawn_at.is_some() => format!("withdrawn {}", since(row.withdrawn_at)),
        KeyStatus::Retired => format!("retired {}", since(row.retired_at)),
    }
}

fn due_at(app: &App, row: &SigningKeyRow) -> Option<Timestamp> {
    let life = row.life();
    match row.status {
        KeyStatus::Pending | KeyStatus::Retired => None,
        KeyStatus::Active => life.rotation_due(&key_rotation::policy(&app.config)),
        KeyStatus::Retiring => life.dead_at(),
    }
}

fn line<'a>(app: &App, row: &'a SigningKeyRow) -> Line<'a> {
    let seconds = |at: Option<Timestamp>| at.map(Timestamp::as_seconds);
    Line {
        kid: &row.kid,
        algorithm: row.algorithm.as_str(),
        status: row.status.as_str(),
        created_at: row.created_at.as_seconds(),
        ready_at: row.ready_at.as_seconds(),
        activated_at: seconds(row.activated_at),
        retiring_at: seconds(row.retiring_at),
        retired_at: seconds(row.retired_at),
        withdrawn_at: seconds(row.withdrawn_at),
        rotation_requested_at: seconds(row.rotation_requested_at),
        due_at: seconds(due_at(app, row)),
        root_key: &row.root_key_id,
    }
}

pub(super) async fn import(app: &App, file: PathBuf) -> Result<(), Failure> {
    let unreadable = |error| Failure::Failed(format!("{}: {error}", file.display()));
    if fs::metadata(&file).map_err(unreadable)?.len() > LARGEST_PEM {
        return Err(Failure::Failed(format!("{}: too large for a key", file.display())));
    }
    let pem = Zeroizing::new(fs::read_to_string(&file).map_err(unreadable)?);
    let row = signing_keys::import(app, &pem).await.map_err(Failure::of)?;
    let (kid, status) = (&row.kid, row.status.as_str());
    match row.status {
        KeyStatus::Active => say(format_args!("Imported {kid} as {status}. It signs.")),
        _ => say(format_args!(
            "Imported {kid} as {status}. Running servers publish it within seconds; it can sign from {} on, after the keys \
             that stood by before it.",
            date(row.ready_at)
        )),
    }
}

pub(super) async fn rotate(app: &App, immediately: bool) -> Result<(), Failure> {
    for rotated in key_rotation::rotate(app, immediately).await.map_err(Failure::of)? {
        match rotated {
            Rotated::Done { before, kid, unknown_until } => {
                say(format_args!("{kid} signs now."))?;
                if let Some(before) = before {
                    say(format_args!("{before} stays published until what it signed has expired."))?;
                }
                warn_of(unknown_until, &kid)?;
            }
            Rotated::Later { kid, at: Some(at) } => say(format_args!(
                "{kid} signs until {}, when every verifier has its successor. Nothing will break. With --now the successor \
                 signs at once, and verifiers that do not have it yet refuse its tokens.",
                date(at)
            ))?,
            Rotated::First { kid, at } => say(format_args!(
                "{kid}, the first of its algorithm, signs from {} on, when every verifier has it. With --now it signs at once, and \
                 verifiers that do not have it yet refuse its tokens.",
                date(at)
            ))?,
            Rotated::Later { kid, at: None } => say(format_args!(
                "{kid} signs until a successor was published for long enough: a running server publishes one within \
                 seconds. `signet keys list` shows when that is."
            ))?,
        }
    }
    Ok(())
}

pub(super) async fn withdraw(app: &App, kid: &str) -> Result<(), Failure> {
    let withdrawn = key_rotation::withdraw(app, kid).await.map_err(Failure::of)?;
    say(format_args!(
        "Withdrew {kid}: running servers publish it no more and sign nothing with it within 2 seconds. Its private part is \
         destroyed."
    ))?;
    if !withdrawn.is_remembered {
        say(format_args!(
            "{} could not be written: while no running server has written its own, an older backup of the database can bring \
             the key back.",
            app.config.keys.dir.join("state").display()
        ))?;
    }
    if withdrawn.status == KeyStatus::Pending {
        return say("It had signed nothing. A running server publishes another one to stand by.");
    }
    let longest = app.config.tokens.jwks_max_age + GUARD_REFRESH;
    say(format_args!(
        "Every access token that it signed is refused by Signet itself at once, and by others as they fetch the set again: \
         at most {} s from now if they keep to what they are told. Sessions go on: their next refresh gets a token of \
         another key.",
        longest.as_secs()
    ))?;
    let Some(next) = withdrawn.next else { return Ok(()) };
    say(format_args!("{next} signs now."))?;
    warn_of(withdrawn.unknown_until, &next)
}

fn warn_of(unknown_until: Option<Timestamp>, kid: &str) -> Result<(), Failure> {
    let Some(until) = unknown_until else { return Ok(()) };
    say(format_args!(
        "Some verifiers may not have {kid} yet: until {} those that do not fetch the set again when they meet an unknown \
         key refuse its tokens.",
        date(until)
    ))
}

fn date(instant: Timestamp) -> String {
    let time = OffsetDateTime::from_unix_timestamp(instant.as_seconds()).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| instant.as_seconds().to_string())
}
