//! `signet audit`.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use signet_guard::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Failure, say};
use crate::account::{Email, UserId};
use crate::app::App;
use crate::flow::accounts;
use crate::flow::audit_log::{self, Fault, Follower, Known, Verified};
use crate::jose::AuditKeys;
use crate::store::{AuditFilter, AuditRow, StoredAudit};

/// How often `--follow` looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Check that nothing was changed, added or removed since it was sealed; prints no entries.
    #[arg(long, conflicts_with_all = ["follow", "json", "user", "event", "since", "limit"])]
    verify: bool,
    /// With --verify: this seal, which an earlier check printed, must be among those there are.
    #[arg(long, value_name = "SEAL", requires = "verify", value_parser = known)]
    expect: Option<Known>,
    /// After --verify found the log changed: seal it anew from there on, as it is, with an entry that says what was broken.
    #[arg(long, conflicts_with_all = ["verify", "follow", "json", "user", "event", "since", "limit"])]
    reseal: bool,
    /// With --reseal: seals made under this root key cannot be checked any more, because it is lost for good.
    #[arg(long, value_name = "ID", requires = "reseal")]
    lost_root_key: Option<String>,
    /// Go on with what comes, until Ctrl-C.
    #[arg(long)]
    follow: bool,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
    /// Only entries about this account: its e-mail address, or its id.
    #[arg(long, value_name = "EMAIL|ID")]
    user: Option<String>,
    /// Only entries with this name, such as `login.fail`.
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// Only entries since then: `90s`, `30m`, `2h`, `7d` ago, or an instant such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "SPAN|INSTANT", value_parser = since)]
    since: Option<Since>,
    /// Only the newest so many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    limit: Option<u32>,
}

#[derive(Clone)]
enum Since {
    Ago(Duration),
    Instant(Timestamp),
}

/// What has become of a line.
enum Reader {
    Reads,
    /// Whoever read has gone.
    Gone,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<(), Failure> {
    if arguments.verify {
        return verify(app, arguments.expect).await;
    }
    if arguments.reseal {
        return reseal(app, arguments.lost_root_key.as_deref()).await;
    }
    let filter = AuditFilter {
        since: match arguments.since {
            None => Timestamp::from_seconds(i64::MIN),
            Some(Since::Ago(span)) => app.clock.now().minus(span),
            Some(Since::Instant(instant)) => instant,
        },
        user_id: match arguments.user {
            None => None,
            Some(user) => Some(user_id(app, &user).await?),
        },
        event: arguments.event,
    };
    let json = arguments.json;
    if !arguments.follow {
        return list(app, &filter, arguments.limit, json, &mut None).await.map(drop);
    }
    let follower = Follower::start(app, filter.clone()).await.map_err(Failure::of)?;
    tokio::select! {
        outcome = follow(app, follower, &filter, arguments.limit, json) => outcome,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

async fn list(
    app: &App,
    filter: &AuditFilter,
    limit: Option<u32>,
    json: bool,
    follower: &mut Option<Follower>,
) -> Result<Reader, Failure> {
    let mut after = 0;
    loop {
        let entries = match limit {
            None => audit_log::page(app, after, filter).await,
            Some(count) => audit_log::newest(app, filter, count).await,
        };
        let entries = entries.map_err(Failure::of)?;
        if let Some(follower) = follower {
            follower.saw(&entries);
        }
        if matches!(print(&entries, json)?, Reader::Gone) {
            return Ok(Reader::Gone);
        }
        match entries.last() {
            Some(last) if limit.is_none() => after = last.id,
            _ => return Ok(Reader::Reads),
        }
    }
}

async fn follow(
    app: &App,
    follower: Follower,
    filter: &AuditFilter,
    limit: Option<u32>,
    json: bool,
) -> Result<(), Failure> {
    let mut follower = Some(follower);
    if matches!(list(app, filter, limit, json, &mut follower).await?, Reader::Gone) {
        return Ok(());
    }
    let Some(mut follower) = follower else { return Ok(()) };
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match follower.next(app).await {
            Ok(entries) => {
                if matches!(print(&entries, json)?, Reader::Gone) {
                    return Ok(());
                }
            }
            // A database that is away for a while ends nobody's watch.
            Err(error) if error.is_temporary() => tracing::warn!(error = %error, "looking again"),
            Err(error) => return Err(Failure::of(error)),
        }
    }
}

async fn verify(app: &App, expected: Option<Known>) -> Result<(), Failure> {
    let keys = sealing_keys(app)?;
    let found = audit_log::verify(app, &keys, expected.as_ref()).await.map_err(Failure::of)?;
    report(app, &found).await
}

async fn reseal(app: &App, lost: Option<&str>) -> Result<(), Failure> {
    let keys = sealing_keys(app)?;
    let done = audit_log::reseal(app, &keys, lost).await.map_err(Failure::of)?;
    if let Some(fault) = &done.was.fault {
        say(format_args!("Broken:          {}", in_full(fault, &done.was)))?;
    }
    say(format_args!("Seals kept:      {}", done.kept.saturating_sub(done.now.swept)))?;
    report(app, &done.now).await
}

fn sealing_keys(app: &App) -> Result<Arc<AuditKeys>, Failure> {
    audit_log::keys(app).map_err(Failure::of)?.ok_or_else(|| {
        Failure::Failed("there is no root key yet, so nothing was ever sealed with it".to_owned())
    })
}

async fn report(app: &App, found: &Verified) -> Result<(), Failure> {
    if let Some(fault) = &found.fault {
        let cure = match fault {
            Fault::UnknownKey(..) | Fault::Forgotten(_) | Fault::Outlived(_) => "",
            _ => {
                "\nkeep a copy of the database as evidence; then `signet audit --reseal` seals what is there now, and \
                 leaves an entry of what was broken"
            }
        };
        let fault = in_full(fault, found);
        return Err(Failure::Failed(format!("the audit log is not as it was written: {fault}{cure}")));
    }
    say("The audit log is as it was written.")?;
    for broken in audit_log::resealed(app).await.map_err(Failure::of)? {
        say(format_args!("Sealed anew:     entry {}: {}", broken.id, text(&broken.row)))?;
    }
    say(format_args!("Entries:         {} under {} seals", found.entries, found.newest - found.swept))?;
    say(format_args!("Not sealed yet:  {}", found.unsealed))?;
    let newest = found.known.as_ref().map_or("none".to_owned(), ToString::to_string);
    say(format_args!("Newest seal:     {newest}"))
}

fn in_full(fault: &Fault, found: &Verified) -> String {
    match found.suspects {
        Some((first, last)) if first == last => format!("{fault} (entry {first})"),
        Some((first, last)) => format!("{fault} (entries {first} to {last})"),
        None => fault.to_string(),
    }
}

fn known(text: &str) -> Result<Known, &'static str> {
    Known::parse(text)
        .ok_or("write what an earlier check printed as the newest seal, such as 41:9f86d081884c7d65")
}

/// The account, which may be gone, in which case only its id finds its entries.
async fn user_id(app: &App, text: &str) -> Result<String, Failure> {
    if !text.contains('@') {
        let id = UserId::parse(text)
            .map_err(|_| Failure::Usage("--user: neither an e-mail address nor an id".to_owned()))?;
        return Ok(id.to_string());
    }
    let email = Email::parse(text).map_err(|error| Failure::Usage(format!("--user: {error}")))?;
    let user = accounts::by_email(app, email).await.map_err(Failure::of)?;
    let user = user.ok_or_else(|| {
        Failure::Failed(
            "no account has this e-mail address; entries of a deleted one are found by its id".to_owned(),
        )
    })?;
    Ok(user.id.to_string())
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(instant) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(Since::Instant(Timestamp::from_seconds(instant.unix_timestamp())));
    }
    let wrong = || "write 90s, 30m, 2h or 7d, or an instant such as 2026-01-31T12:00:00Z".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: u64 = text.strip_suffix(unit).and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    number.checked_mul(seconds).map(|span| Since::Ago(Duration::from_secs(span))).ok_or_else(wrong)
}

/// An entry as a program reads it.
#[derive(Serialize)]
struct Line<'a> {
    id: i64,
    /// RFC 3339.
    at: String,
    event: &'a str,
    actor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<serde_json::Value>,
    /// The seal that covers it; `null`: none yet.
    seal: Option<i64>,
}

fn line(entry: &StoredAudit) -> Line<'_> {
    let StoredAudit { id, seal, row } = entry;
    Line {
        id: *id,
        at: at_time(row.at),
        event: &row.event,
        actor: &row.actor,
        user_id: row.user_id.as_deref(),
        session_id: row.session_id.as_deref(),
        client_id: row.client_id.as_deref(),
        kid: row.kid.as_deref(),
        reason: row.reason.as_deref(),
        count: row.count,
        address: row.address.as_deref(),
        user_agent: row.user_agent.as_deref(),
        request_id: row.request_id.as_deref(),
        detail: row.detail.as_deref().map(|it| serde_json::from_str(it).unwrap_or_else(|_| it.into())),
        seal: *seal,
    }
}

fn text(row: &AuditRow) -> String {
    let mut text = format!("{}  {:<21} {:<8}", at_time(row.at), row.event, row.actor);
    let fields = [
        ("reason", &row.reason),
        ("user", &row.user_id),
        ("session", &row.session_id),
        ("client", &row.client_id),
        ("kid", &row.kid),
        ("from", &row.address),
        ("request", &row.request_id),
        ("detail", &row.detail),
        ("agent", &row.user_agent),
    ];
    if row.count != 1 {
        text.push_str(&format!("  count={}", row.count));
    }
    for (name, value) in fields {
        if let Some(value) = value {
            text.push_str(&format!("  {name}={value}"));
        }
    }
    // Whoever writes to the database shall not write to the terminal.
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn print(entries: &[StoredAudit], json: bool) -> Result<Reader, Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut write = || {
        for entry in entries {
            if json {
                serde_json::to_writer(&mut out, &line(entry))?;
                out.write_all(b"\n")?;
            } else {
                writeln!(out, "{}", text(&entry.row))?;
            }
        }
        out.flush()
    };
    match write() {
        Ok(()) => Ok(Reader::Reads),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(Failure::of(error)),
    }
}

/// RFC 3339 in UTC; the seconds themselves beyond the year 9999.
fn at_time(instant: Timestamp) -> String {
    let instant = instant.as_seconds();
    let time = OffsetDateTime::from_unix_timestamp(instant).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| instant.to_string())
}
