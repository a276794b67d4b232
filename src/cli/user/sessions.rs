//! The sessions of an account, and its end.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use serde::Serialize;

use super::record::at_time;
use super::{explain, print_json, say};
use crate::account::Email;
use crate::app::App;
use crate::caller::UserAgent;
use crate::cli::{Failure, remark};
use crate::flow::{deletion, sessions};
use crate::grant::SessionId;
use crate::store::Session;

/// A session as commands print it. Times are seconds since 1970.
#[derive(Serialize)]
pub(super) struct SessionLine<'a> {
    id: &'a str,
    client_id: &'a str,
    scope: &'a str,
    created_at: i64,
    last_used_at: i64,
    authenticated_at: i64,
    /// Unless it is used before.
    ends_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Ended<'a>>,
    address: Option<String>,
    user_agent: Option<&'a str>,
}

#[derive(Serialize)]
struct Ended<'a> {
    at: i64,
    reason: &'a str,
}

impl<'a> From<&'a Session> for SessionLine<'a> {
    fn from(session: &'a Session) -> Self {
        Self {
            id: session.id.as_str(),
            client_id: &session.client_id,
            scope: &session.scope,
            created_at: session.created_at.as_seconds(),
            last_used_at: session.last_used_at.as_seconds(),
            authenticated_at: session.authenticated_at.as_seconds(),
            ends_at: session.ends_at.as_seconds(),
            ended: session.ended.as_ref().map(|(at, why)| Ended { at: at.as_seconds(), reason: why }),
            address: session.last_caller.address.map(|address| address.to_string()),
            user_agent: session.last_caller.user_agent.as_ref().map(UserAgent::as_str),
        }
    }
}

pub(super) async fn list(app: &App, email: Email, json: bool) -> Result<(), Failure> {
    let (_, sessions) = sessions::of(app, email).await.map_err(explain)?;
    let lines: Vec<SessionLine<'_>> = sessions.iter().map(SessionLine::from).collect();
    if json {
        return print_json(&lines);
    }
    if lines.is_empty() {
        remark("no sessions");
    }
    sessions.iter().zip(&lines).try_for_each(|(session, line)| {
        let used = at_time(session.last_used_at);
        let (address, agent) = (line.address.as_deref().unwrap_or("-"), line.user_agent.unwrap_or("-"));
        say(format_args!("{}  {:11}  {used}  {address}  {agent}", line.id, line.client_id))
    })
}

pub(super) async fn logout(app: &App, email: Email, session: Option<SessionId>) -> Result<(), Failure> {
    let is_one = session.is_some();
    let (user, ended) = sessions::end(app, email, session).await.map_err(explain)?;
    match ended {
        0 if is_one => Err(Failure::Failed("the account has no such session, or it has ended".to_owned())),
        _ => say(format_args!("{} ({}): {ended} sessions ended.", user.email.as_str(), user.id)),
    }
}

pub(super) async fn delete(app: &App, email: Email, yes: bool) -> Result<(), Failure> {
    if !yes && io::stdin().is_terminal() && !confirm(&email)? {
        return Err(Failure::Failed("nothing was deleted".to_owned()));
    }
    let user = deletion::delete(app, email).await.map_err(explain)?;
    say(format_args!("{} ({}) deleted.", user.email.as_str(), user.id))
}

/// A slip of the pen must not cost somebody their account.
fn confirm(email: &Email) -> Result<bool, Failure> {
    let mut terminal = io::stderr().lock();
    write!(terminal, "This cannot be undone. Type the address again to delete {}: ", email.as_str())
        .and_then(|()| terminal.flush())
        .map_err(Failure::of)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(Failure::of)?;
    Ok(Email::parse(&answer).is_ok_and(|typed| typed == *email))
}
