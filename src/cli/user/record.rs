//! One account, in full.

use serde::Serialize;
use signet_guard::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::sessions::SessionLine;
use super::{Line, explain, line};
use crate::account::Email;
use crate::app::App;
use crate::cli::{Failure, print_json, say};
use crate::flow::accounts::{self, Record};

/// What is known of those who failed to sign in from devices that the account does not know.
#[derive(Serialize)]
struct Strangers {
    /// In a row, since the last success.
    failed_sign_ins: u32,
    /// When the next may be tried; nothing when it may be tried now, or never.
    free_at: Option<i64>,
    /// Only known devices get in, until an unlock or a new password.
    locked: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    account: Line<'a>,
    strangers: Strangers,
}

#[derive(Serialize)]
struct Exported<'a> {
    #[serde(flatten)]
    account: Line<'a>,
    /// How often whatever proves the identity has changed.
    credential_version: i64,
    password: Option<StoredPassword>,
    strangers: Strangers,
    /// Last used first, also those that have ended, as long as anything is stored of them.
    sessions: Vec<SessionLine<'a>>,
}

/// The hash is not the person's to read: it would only help whoever finds the file to guess.
#[derive(Serialize)]
struct StoredPassword {
    stored_as: &'static str,
    changed_at: i64,
}

pub(super) async fn show(app: &App, email: Email, json: bool) -> Result<(), Failure> {
    let record = accounts::record(app, email).await.map_err(explain)?;
    let account = line(&record.user);
    if json {
        return print_json(&Shown { account, strangers: strangers(&record) });
    }
    let user = &record.user;
    let state = user.disabled_at.map_or("active".to_owned(), |at| format!("disabled since {}", at_time(at)));
    let time = |at: Option<Timestamp>| at.map_or("never".to_owned(), at_time);
    let standing = match (record.is_locked, record.strangers_free_at) {
        (true, _) => "locked out: only known devices get in; `signet user unlock` ends it".to_owned(),
        (false, Some(at)) => format!("may try again at {}", at_time(at)),
        (false, None) => "may try now".to_owned(),
    };
    for (what, text) in [
        ("address", account.email.to_owned()),
        ("id", account.id.to_owned()),
        ("name", account.name.unwrap_or("none").to_owned()),
        ("roles", if account.roles.is_empty() { "none".to_owned() } else { account.roles.join(", ") }),
        ("state", state),
        ("made", at_time(user.created_at)),
        ("last sign-in", time(user.last_sign_in)),
        ("password set", time(record.password_changed_at)),
        ("new devices", format!("{standing} ({} failed in a row)", record.stranger_tries)),
    ] {
        say(format_args!("{what:13} {text}"))?;
    }
    Ok(())
}

pub(super) async fn export(app: &App, email: Email) -> Result<(), Failure> {
    let record = accounts::record(app, email).await.map_err(explain)?;
    let password = record
        .password_changed_at
        .map(|at| StoredPassword { stored_as: "an Argon2id hash", changed_at: at.as_seconds() });
    print_json(&Exported {
        account: line(&record.user),
        credential_version: record.user.credential_version,
        password,
        strangers: strangers(&record),
        sessions: record.sessions.iter().map(SessionLine::from).collect(),
    })
}

fn strangers(record: &Record) -> Strangers {
    Strangers {
        failed_sign_ins: record.stranger_tries,
        free_at: record.strangers_free_at.map(Timestamp::as_seconds),
        locked: record.is_locked,
    }
}

/// RFC 3339 in UTC. An instant beyond the year 9999 is one we never wrote.
pub(super) fn at_time(instant: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp(instant.as_seconds())
        .ok()
        .and_then(|instant| instant.format(&Rfc3339).ok())
        .unwrap_or_default()
}
