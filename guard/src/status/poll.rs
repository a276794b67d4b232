//! The long poll: what the issuer says has changed, and the thread that asks for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::follower::Follower;
use super::pace::{self, Outcome, Pace};
use crate::remote::chance;
use crate::remote::http::RequestError;

/// For an answer that need not wait, and beyond the wait of one that must.
const TIME: Duration = Duration::from_secs(2);
const MAX_BODY: u64 = 256 * 1024;

/// How long an issuer must insist that it begins anew. Of several replicas one may be a moment behind another, and the
/// version it was asked about is then new to it.
const CONFIRMED: Duration = Duration::from_secs(2);

/// How long an issuer is asked without the version that it refused, before it is offered that version again.
const REFUSED: Duration = Duration::from_secs(30);

/// What changed since the version that was asked for.
#[derive(Deserialize)]
struct Changes {
    version: u64,
    #[serde(default)]
    lists: Vec<String>,
    /// The issuer's database was set back: versions count anew.
    #[serde(default)]
    restart: bool,
}

#[derive(Debug, thiserror::Error)]
enum PollError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("not a list of changes: {0}")]
    Changes(#[from] serde_json::Error),
}

impl PollError {
    /// Whether the issuer takes the question for a bad one: it cannot make anything of the version.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Request(RequestError::Status { status: 400, .. }))
    }
}

/// Where the follower stands.
#[derive(Default)]
struct Progress {
    version: Option<u64>,
    pace: Pace,
    /// Since when every answer says that the issuer begins anew.
    restart: Option<Instant>,
    /// When the issuer refused the version: a huge one that it told by mistake, for example.
    refused: Option<Instant>,
    /// Whether the log was told that the status is stale.
    is_stale: bool,
}

impl Follower {
    /// Asks until nobody is interested any more.
    pub(super) fn follow(self: &Arc<Self>) {
        tracing::info!(issuer = self.issuer(), "following the issuer's status");
        let mut progress = Progress::default();
        let mut began = None;
        while !self.has_ended() {
            let now = Instant::now();
            let spacing = progress.pace.spacing(chance());
            let next = began.map_or(now, |began: Instant| began + spacing);
            // At most a second, or the end would be noticed late.
            thread::sleep(next.saturating_duration_since(now));
            if self.has_ended() {
                break;
            }
            began = Some(Instant::now());
            self.ask(&mut progress);
            self.renew();
            self.tell_staleness(&mut progress);
        }
        tracing::debug!(issuer = self.issuer(), "no longer following the issuer's status");
    }

    fn ask(&self, progress: &mut Progress) {
        self.polls.fetch_add(1, Ordering::Relaxed);
        let began = Instant::now();
        // After a failure what counts is to hear the issuer again, and not only once something has changed.
        let is_refused = progress.refused.is_some_and(|at| at.elapsed() < REFUSED);
        let since = progress.version.filter(|_| !is_refused);
        let is_patient = since.is_some() && !progress.pace.has_failed();
        let wait = is_patient.then(|| pace::wait(self.bound(), self.due()));
        match self.poll(since, wait).map(|changes| self.take(progress, since, changes)) {
            Ok(None) => progress.pace.note(Outcome::AnsweredEarly),
            Ok(Some((version, has_changed))) => {
                if progress.pace.has_failed() {
                    tracing::info!(issuer = self.issuer(), "the issuer tells its status again");
                    self.lists().iter().for_each(|list| list.hurry());
                }
                self.hear();
                progress.version = Some(version);
                // Whoever is asked without a version has nothing to wait for.
                let is_early = wait.map_or(is_refused, |wait| began.elapsed() < wait / 2) && !has_changed;
                progress.pace.note(if is_early { Outcome::AnsweredEarly } else { Outcome::Answered });
            }
            Err(error) => {
                if !progress.pace.has_failed() {
                    tracing::warn!(issuer = self.issuer(), %error, "could not ask for the issuer's status");
                }
                if since.is_some() && error.is_refusal() {
                    progress.refused = Some(began);
                }
                progress.pace.note(Outcome::Failed);
            }
        }
    }

    fn poll(&self, since: Option<u64>, wait: Option<Duration>) -> Result<Changes, PollError> {
        let mut url = self.changes_url();
        if let Some(since) = since {
            url.push_str(&format!("?since={since}"));
        }
        let prefer = wait.map(|wait| format!("wait={}", wait.as_secs()));
        let mut headers = vec![("accept", "application/json")];
        headers.extend(prefer.as_deref().map(|prefer| ("prefer", prefer)));
        let answer = self.client.get(&url, &headers, wait.unwrap_or_default() + TIME, MAX_BODY)?;
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Marks what has changed since a version, or since it is not known which. The new version, and whether there was
    /// anything; `None` if that is not to be believed yet.
    fn take(&self, progress: &mut Progress, since: Option<u64>, changes: Changes) -> Option<(u64, bool)> {
        let (now, found) = (self.now(), changes.version);
        // Before any list is marked: one that comes to be held meanwhile is fetched at this version or a later one.
        let tell = || self.version.store(found, Ordering::Relaxed);
        let is_anew = progress.version.is_some_and(|known| changes.restart || found < known);
        if is_anew {
            if progress.restart.get_or_insert_with(Instant::now).elapsed() < CONFIRMED {
                return None;
            }
            tracing::warn!(issuer = self.issuer(), "the issuer's status begins anew: all lists are fetched");
        }
        tell();
        match (progress.version, since) {
            _ if is_anew => self.lists().iter().for_each(|list| list.announce(now, 0, true)),
            // It was asked without the version that it refused, and nothing has happened since.
            (Some(known), None) if known == found => {}
            // Which lists have changed is not told. And a list that was fetched before the first answer may lack a change
            // that the answer already counts.
            (_, None) | (None, _) => self.lists().iter().for_each(|list| list.announce(now, 0, false)),
            (Some(known), Some(_)) => {
                let held = changes.lists.iter().filter_map(|uri| self.known(uri));
                held.for_each(|list| list.announce(now, known.saturating_add(1), false));
            }
        }
        progress.restart = None;
        if progress.version != Some(found) {
            progress.refused = None;
        }
        Some((found, is_anew || !changes.lists.is_empty()))
    }

    fn tell_staleness(&self, progress: &mut Progress) {
        let age = Duration::from_millis(self.age().unwrap_or_default());
        let is_stale = age > self.bound();
        if is_stale != progress.is_stale {
            let (issuer, age) = (self.issuer(), age.as_secs());
            if is_stale {
                tracing::warn!(issuer, age, "the status of the issuer's tokens is older than allowed");
            } else {
                tracing::info!(issuer, age, "the status of the issuer's tokens is confirmed again");
            }
            progress.is_stale = is_stale;
        }
    }
}
