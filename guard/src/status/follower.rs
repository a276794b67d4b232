//! Follows the status of one issuer's tokens: one thread with one long poll, whoever asks.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use super::held::{HeldList, Kept};
use super::proof::{ListError, MAX_TOKEN, Proof};
use crate::error::Refusal;
use crate::reason::Reason;
use crate::remote::http::{Client, RequestError};
use crate::remote::issuer_url::IssuerUrl;

/// The most lists in memory; those that no token names go first.
const MAX_LISTS: usize = 256;
/// How long a request waits for a list that was never seen before.
const FIRST_SIGHT: Duration = Duration::from_secs(1);
/// For one list in the background.
const LIST_TIME: Duration = Duration::from_secs(2);
/// The most lists that are fetched for requests at the same time.
const MAX_FETCHES: usize = 16;

/// Shared by all verifiers of a source, their verdicts, and the threads that work for them.
pub(super) struct Follower {
    issuer: IssuerUrl,
    pub(super) client: Client,
    proof: OnceLock<Proof>,
    lists: RwLock<HashMap<String, Arc<HeldList>>>,
    began: Instant,
    running: AtomicBool,
    /// Nobody is interested any more.
    ended: AtomicBool,
    flights: Mutex<Flights>,
    /// When the issuer was last heard, in milliseconds since `began`; 0 before this began to follow it.
    heard: AtomicU64,
    pub(super) version: AtomicU64,
    /// The shortest age of all verifiers that one of them calls stale, in milliseconds.
    bound: AtomicU64,
    pub(super) polls: AtomicU64,
    pub(super) fetches: AtomicU64,
    pub(super) refused: AtomicU64,
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("{0}")]
    List(#[from] ListError),
    #[error("older than the one that is held, or than the change that was announced")]
    TooOld,
    #[error("no verifier was built")]
    NoProof,
}

impl Follower {
    pub(super) fn new(issuer: IssuerUrl) -> Self {
        Self {
            client: Client::new(&issuer),
            issuer,
            proof: OnceLock::new(),
            lists: RwLock::default(),
            began: Instant::now(),
            running: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            flights: Mutex::default(),
            heard: AtomicU64::new(0),
            version: AtomicU64::new(0),
            bound: AtomicU64::new(u64::MAX),
            polls: AtomicU64::new(0),
            fetches: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    pub(super) fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    /// Where the issuer says what has changed.
    pub(super) fn changes_url(&self) -> String {
        format!("{}/status", self.issuer.without_slash())
    }

    /// What lists are checked with from now on, unless another verifier said so before.
    pub(super) fn prove_with(&self, proof: Proof, bound: Duration) {
        let _ = self.proof.set(proof);
        self.bound.fetch_min(millis(bound), Ordering::Relaxed);
    }

    pub(super) fn bound(&self) -> Duration {
        Duration::from_millis(self.bound.load(Ordering::Relaxed))
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Milliseconds since this was made, never 0.
    pub(super) fn now(&self) -> u64 {
        millis(self.began.elapsed()).max(1)
    }

    pub(super) fn hear(&self) {
        self.heard.store(self.now(), Ordering::Relaxed);
    }

    /// How long revocations may have gone unnoticed, in milliseconds; `None` before this began to follow.
    pub(super) fn age(&self) -> Option<u64> {
        let heard = self.heard.load(Ordering::Relaxed);
        let oldest = self.lists().iter().filter_map(|list| list.behind()).fold(heard, u64::min);
        (heard > 0).then(|| self.now().saturating_sub(oldest))
    }

    /// The same for the tokens of one list, without a lock.
    pub(super) fn age_of(&self, list: &HeldList) -> u64 {
        let heard = self.heard.load(Ordering::Relaxed);
        self.now().saturating_sub(list.behind().map_or(heard, |behind| behind.min(heard)))
    }

    pub(super) fn lists(&self) -> Vec<Arc<HeldList>> {
        self.lists.read().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect()
    }

    pub(super) fn known(&self, uri: &str) -> Option<Arc<HeldList>> {
        self.lists.read().unwrap_or_else(PoisonError::into_inner).get(uri).map(Arc::clone)
    }

    /// The list of this name, held from now on. Begins to follow the issuer if nobody does.
    pub(super) fn list(self: &Arc<Self>, uri: &str) -> Result<Arc<HeldList>, Refusal> {
        if let Some(list) = self.known(uri) {
            self.start();
            return Ok(list);
        }
        if !self.issuer.is_above(uri) {
            return Err(Refusal::new(Reason::StatusOfAnotherIssuer));
        }
        self.start();
        let mut lists = self.lists.write().unwrap_or_else(PoisonError::into_inner);
        if !lists.contains_key(uri) && lists.len() >= MAX_LISTS {
            // One round leaves all unused, so that the second finds one.
            let unused = [(), ()].iter().find_map(|()| lists.iter().find(|(_, list)| !list.was_used()));
            if let Some(uri) = unused.map(|(uri, _)| uri.clone())
                && let Some(list) = lists.remove(&uri)
            {
                list.let_go();
            }
        }
        Ok(Arc::clone(lists.entry(uri.to_owned()).or_insert_with(|| Arc::new(HeldList::new(uri)))))
    }

    fn start(self: &Arc<Self>) {
        if self.running.load(Ordering::Relaxed) || self.running.swap(true, Ordering::AcqRel) {
            return;
        }
        let _ = self.heard.compare_exchange(0, self.now(), Ordering::Relaxed, Ordering::Relaxed);
        // A thread of its own: a runtime that shuts down waits for its blocking pool, and this one waits for the issuer.
        let running = Running(Arc::clone(self));
        let thread = thread::Builder::new().name("signet-status".to_owned());
        if let Err(error) = thread.spawn(move || running.0.follow()) {
            tracing::error!(issuer = self.issuer(), %error, "could not start to follow the issuer's status");
        }
    }

    /// Fetches a list for a request, on a thread of its own, unless that is under way or failed a moment ago.
    pub(super) fn fetch_for_request(self: &Arc<Self>, list: &Arc<HeldList>) {
        if !list.is_due(Instant::now()) || !list.begin() {
            return;
        }
        let mut flights = self.flights();
        flights.waiting.push_back(Flight { list: Arc::clone(list), until: Instant::now() + FIRST_SIGHT });
        if flights.threads >= MAX_FETCHES {
            return;
        }
        flights.threads += 1;
        drop(flights);
        let fetching = FetchingThread(Arc::clone(self));
        let thread = thread::Builder::new().name("signet-status-list".to_owned());
        if let Err(error) = thread.spawn(move || fetching.run()) {
            tracing::error!(issuer = self.issuer(), %error, "could not start to fetch a status list");
        }
    }

    fn flights(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches what has grown old or was announced to have changed. The first failure ends the round: an issuer that does
    /// not serve its lists must not keep its other word from being heard.
    pub(super) fn renew(&self) {
        let Some(proof) = self.proof.get() else { return };
        for list in self.lists() {
            let is_due = list.due(proof.now().as_seconds()).is_some_and(|due| due.is_zero());
            if is_due && !self.fetch(&list, LIST_TIME) {
                return;
            }
        }
    }

    /// How long until a list must be fetched, if one is known to.
    pub(super) fn due(&self) -> Option<Duration> {
        let now = self.proof.get()?.now().as_seconds();
        self.lists().iter().filter_map(|list| list.due(now)).min()
    }

    fn fetch(&self, list: &HeldList, time: Duration) -> bool {
        let mut fetching = list.fetching();
        self.fetches.fetch_add(1, Ordering::Relaxed);
        let error = match self.read(list.uri(), Instant::now() + time) {
            Ok(new) => {
                if list.take(&mut fetching, new) {
                    return true;
                }
                FetchError::TooOld
            }
            Err(error) => error,
        };
        list.fail(&mut fetching);
        tracing::warn!(issuer = self.issuer(), list = list.uri(), %error, "could not fetch a status list");
        false
    }

    fn read(&self, uri: &str, deadline: Instant) -> Result<Kept, FetchError> {
        let proof = self.proof.get().ok_or(FetchError::NoProof)?;
        let left = deadline.saturating_duration_since(Instant::now());
        // A replica that has not come so far looks again before it answers. Other issuers ignore it.
        let heard = self.version.load(Ordering::Relaxed).to_string();
        let headers = [("accept", "application/statuslist+jwt"), ("signet-status-version", &heard)];
        let answer = self.client.get(uri, &headers, left, MAX_TOKEN as u64)?;
        let list = proof.list(&answer.body, self.issuer(), uri, deadline)?;
        Ok(Kept { list, version: answer.header("etag").and_then(version) })
    }
}

/// The version of a list: what its `ETag` begins with, up to a hyphen. It is not signed, so it may only ever hold a list
/// back.
fn version(etag: &str) -> Option<u64> {
    let opaque = etag.trim_start_matches("W/").trim_matches('"');
    opaque.split_once('-').and_then(|(version, _)| version.parse().ok())
}

/// Fetches for requests: one for each list at most.
#[derive(Default)]
struct Flights {
    waiting: VecDeque<Flight>,
    threads: usize,
}

/// A fetch for a request. It ends when this value is dropped: also when it cannot start.
struct Flight {
    list: Arc<HeldList>,
    until: Instant,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.list.end();
    }
}

/// Fetches until nothing waits.
struct FetchingThread(Arc<Follower>);

impl FetchingThread {
    fn run(self) {
        while let Some(flight) = self.next() {
            self.0.fetch(&flight.list, flight.until.saturating_duration_since(Instant::now()));
        }
    }

    fn next(&self) -> Option<Flight> {
        self.0.flights().waiting.pop_front()
    }
}

impl Drop for FetchingThread {
    fn drop(&mut self) {
        let mut flights = self.0.flights();
        flights.threads -= 1;
        // Nobody is left to fetch what still waits, if this could not start or has panicked.
        if flights.threads == 0 {
            let waiting = std::mem::take(&mut flights.waiting);
            drop(flights);
            drop(waiting);
        }
    }
}

/// That the thread runs. If it ever panics, the next new token starts another.
struct Running(Arc<Follower>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Release);
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_what_an_etag_begins_with() {
        for (etag, expected) in [
            ("\"7-1800000000-kid\"", Some(7)),
            ("W/\"7-1800000000-kid\"", Some(7)),
            ("\"18446744073709551615-x\"", Some(u64::MAX)),
            ("\"18446744073709551616-x\"", None),
            ("\"7\"", None),
            ("\"-7-x\"", None),
            ("\"x-7\"", None),
            ("", None),
        ] {
            assert_eq!(version(etag), expected, "{etag}");
        }
    }

    #[test]
    fn a_first_sight_waits_its_turn_when_many_lists_are_seen_at_once() {
        let follower = Arc::new(Follower::new(IssuerUrl::parse("http://127.0.0.1:9").unwrap()));
        follower.running.store(true, Ordering::Relaxed);
        follower.flights().threads = MAX_FETCHES;
        let list = follower.list("http://127.0.0.1:9/status/0").unwrap();
        follower.fetch_for_request(&list);
        assert!(!list.is_settled(), "nothing was asked yet, so that no policy applies");
        FetchingThread(Arc::clone(&follower)).run();
        assert_eq!((list.is_settled(), follower.fetches.load(Ordering::Relaxed)), (true, 1));
        // When the last of them goes without having fetched, nobody waits in vain.
        let other = follower.list("http://127.0.0.1:9/status/1").unwrap();
        follower.fetch_for_request(&other);
        follower.flights().threads = 1;
        drop(FetchingThread(Arc::clone(&follower)));
        assert!(other.is_settled());
    }

    #[test]
    fn there_are_never_more_lists_than_there_is_room_for_and_those_in_use_stay() {
        let follower = Arc::new(Follower::new(IssuerUrl::parse("http://127.0.0.1:9").unwrap()));
        follower.running.store(true, Ordering::Relaxed);
        let list = |number: usize| follower.list(&format!("http://127.0.0.1:9/status/{number}")).unwrap();
        // One too many: nothing tells them apart, one goes, and from now on it counts who is used.
        for number in 0..=MAX_LISTS {
            list(number);
        }
        let used = list(0);
        for number in 1000..1100 {
            used.use_it();
            list(number);
        }
        assert_eq!(follower.lists().len(), MAX_LISTS);
        assert!(!used.is_gone());
    }
}
