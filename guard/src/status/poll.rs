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
    #[error("version {found} after version {known}")]
    SteppedBack { found: u64, known: u64 },
}

/// Where the follower stands.
#[derive(Default)]
struct Progress {
    version: Option<u64>,
    pace: Pace,
    /// Since when every answer says that the issuer begins anew.
    restart: Option<Instant>,
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
        let is_patient = progress.version.is_some() && !progress.pace.has_failed();
        let wait = is_patient.then(|| pace::wait(self.bound(), self.due()));
        match self.poll(progress.version, wait).and_then(|changes| self.take(progress, changes)) {
            Ok(None) => progress.pace.note(Outcome::AnsweredEarly),
            Ok(Some((version, has_changed))) => {
                if progress.pace.has_failed() {
                    tracing::info!(issuer = self.issuer(), "the issuer tells its status again");
                    self.lists().iter().for_each(|list| list.hurry());
                }
                self.hear();
                progress.version = Some(version);
                let is_early = wait.is_some_and(|wait| began.elapsed() < wait / 2) && !has_changed;
                progress.pace.note(if is_early { Outcome::AnsweredEarly } else { Outcome::Answered });
            }
            Err(error) => {
                if !progress.pace.has_failed() {
                    tracing::warn!(issuer = self.issuer(), %error, "could not ask for the issuer's status");
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

    /// Marks what has changed. The new version, and whether there was anything; `None` if that is not to be believed yet.
    fn take(&self, progress: &mut Progress, changes: Changes) -> Result<Option<(u64, bool)>, PollError> {
        let (now, found) = (self.now(), changes.version);
        // Before any list is marked: one that comes to be held meanwhile is fetched at this version or a later one.
        let tell = || self.version.store(found, Ordering::Relaxed);
        match progress.version {
            // A list that was fetched before this answer may lack a change that the answer already counts.
            None => {
                tell();
                self.lists().iter().for_each(|list| list.announce(now, 0, false));
            }
            Some(_) if changes.restart => {
                if progress.restart.get_or_insert_with(Instant::now).elapsed() < CONFIRMED {
                    return Ok(None);
                }
                tracing::warn!(
                    issuer = self.issuer(),
                    "the issuer's status begins anew: all lists are fetched"
                );
                tell();
                self.lists().iter().for_each(|list| list.announce(now, 0, true));
            }
            Some(known) if found < known => return Err(PollError::SteppedBack { found, known }),
            Some(known) => {
                tell();
                let held = changes.lists.iter().filter_map(|uri| self.known(uri));
                held.for_each(|list| list.announce(now, known.saturating_add(1), false));
            }
        }
        progress.restart = None;
        Ok(Some((found, changes.restart || !changes.lists.is_empty())))
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
