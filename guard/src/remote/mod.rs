//! Keys fetched from the issuer (feature `fetch`).

mod fetch;
pub(crate) mod http;
pub(crate) mod issuer_url;
mod schedule;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use crate::error::ConfigError;
use crate::key_set::KeySet;
use fetch::{FetchError, Fetcher};
use issuer_url::IssuerUrl;
use schedule::{Outcome, Schedule, is_stale};

/// The keys of an issuer, fetched over HTTPS. Cloning shares them.
///
/// - Nothing is fetched before the first token comes. The issuer's metadata (RFC 8414) is read at
///   `/.well-known/oauth-authorization-server`, must name the issuer exactly, and says where the JWK Set is; that
///   address must have the issuer's scheme, host and port.
/// - One fetch runs at a time, and all requests that need it share its outcome. A request whose key is known
///   never waits.
/// - A key id that is not known starts a fetch, at most once per cool-down (10 s). A set older than five minutes is
///   fetched anew in the background, so that a withdrawn key is dropped.
/// - A fetch that fails, or brings no usable key, changes nothing: the last good set stays. Before there was one,
///   requests are answered 503 and a new attempt follows half a second after the last.
/// - A fetch takes at most five seconds and 256 KiB, follows no redirect, and sends nothing of any token. A proxy
///   named by `HTTPS_PROXY` and its kin is used for an `https` issuer on another host, never for a loopback one.
/// - It needs a tokio runtime, which every actix-web application has.
#[derive(Clone)]
pub struct RemoteKeys(Arc<Inner>);

struct Inner {
    fetcher: Fetcher,
    current: ArcSwapOption<Loaded>,
    schedule: Mutex<Schedule>,
    /// Counts finished fetches; whoever waits for one waits for a change.
    finished: watch::Sender<u64>,
}

/// A set, and when it came. Side by side, so that a request whose key is known takes no lock.
struct Loaded {
    keys: Arc<KeySet>,
    at: Instant,
}

impl RemoteKeys {
    /// Keys of `issuer`, to be fetched when first needed.
    ///
    /// # Errors
    /// [`ConfigError::IssuerUrl`] unless the issuer is an `https` URL, or an `http` one on a loopback host, without
    /// query, fragment, user name or trailing slash.
    pub fn new(issuer: &str) -> Result<Self, ConfigError> {
        let url = IssuerUrl::parse(issuer)
            .map_err(|problem| ConfigError::IssuerUrl { issuer: issuer.to_owned(), problem })?;
        Ok(Self(Arc::new(Inner {
            fetcher: Fetcher::new(url),
            current: ArcSwapOption::empty(),
            schedule: Mutex::new(Schedule::default()),
            finished: watch::Sender::new(0),
        })))
    }

    /// Sets the least time between two fetches for unknown keys; at first 10 s. For all clones.
    #[must_use]
    pub fn cool_down(self, cool_down: Duration) -> Self {
        self.0.schedule().cool_down = cool_down;
        self
    }

    /// The issuer whose keys these are.
    pub fn issuer(&self) -> &str {
        self.0.fetcher.issuer()
    }

    /// The keys fetched last, if any were.
    pub fn load(&self) -> Option<Arc<KeySet>> {
        self.0.current.load().as_ref().map(|loaded| Arc::clone(&loaded.keys))
    }

    /// The keys, if they have this one. A set that has grown old is fetched anew in the background.
    pub(crate) fn at_hand(&self, kid: &str) -> Option<Arc<KeySet>> {
        let current = self.0.current.load();
        let loaded = current.as_ref().filter(|loaded| loaded.keys.contains(kid))?;
        if is_stale(loaded.at, Instant::now()) {
            self.fetch_if_due();
        }
        Some(Arc::clone(&loaded.keys))
    }

    /// The keys, after a fetch if they lack this one and a fetch is due or under way.
    pub(crate) async fn fetched_for(&self, kid: &str) -> Option<Arc<KeySet>> {
        if let Some(keys) = self.at_hand(kid) {
            return Some(keys);
        }
        if let Some(mut finished) = self.fetch_if_due() {
            // An error would mean that the sender is gone, which `self` holds.
            let _ = finished.changed().await;
        }
        self.load()
    }

    /// Starts a fetch when one is due. Answers something to wait on while one is under way.
    fn fetch_if_due(&self) -> Option<watch::Receiver<u64>> {
        let mut schedule = self.0.schedule();
        if schedule.is_running() {
            return Some(self.0.finished.subscribe());
        }
        if !schedule.is_due(Instant::now()) {
            return None;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            tracing::error!("keys can only be fetched inside a tokio runtime");
            return None;
        };
        let finished = self.0.finished.subscribe();
        schedule.start();
        drop(schedule);
        // The flight ends when this value is dropped: also when the fetch panics or its runtime ends first.
        let flight = Flight { keys: Arc::clone(&self.0), outcome: Outcome::Failed };
        runtime.spawn_blocking(move || flight.run(Fetcher::fetch));
        Some(finished)
    }

    /// The same on a thread that may block, for at most `time`. Does not wait for a fetch that another began.
    #[cfg(feature = "status")]
    pub(crate) fn fetched_here(&self, kid: &str, time: Duration) -> Option<Arc<KeySet>> {
        if !self.0.current.load().as_ref().is_some_and(|loaded| loaded.keys.contains(kid)) {
            let mut schedule = self.0.schedule();
            if schedule.is_due(Instant::now()) {
                schedule.start();
                drop(schedule);
                let flight = Flight { keys: Arc::clone(&self.0), outcome: Outcome::Failed };
                flight.run(|fetcher| fetcher.fetch_within(time));
            }
        }
        self.load()
    }
}

impl Inner {
    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fetch under way.
struct Flight {
    keys: Arc<Inner>,
    outcome: Outcome,
}

impl Flight {
    fn run(mut self, fetch: impl FnOnce(&Fetcher) -> Result<KeySet, FetchError>) {
        let issuer = self.keys.fetcher.issuer();
        match fetch(&self.keys.fetcher) {
            Ok(set) => {
                for skipped in set.skipped() {
                    let (kid, reason) = (skipped.kid.as_deref(), skipped.reason);
                    tracing::debug!(issuer, kid, %reason, "a published key is not used");
                }
                tracing::info!(issuer, keys = set.len(), "fetched the issuer's keys");
                let loaded = Loaded { keys: Arc::new(set), at: Instant::now() };
                self.keys.current.store(Some(Arc::new(loaded)));
                self.outcome = Outcome::Loaded;
            }
            Err(error) => tracing::warn!(issuer, %error, "could not fetch the issuer's keys"),
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.keys.schedule().end(Instant::now(), self.outcome);
        self.keys.finished.send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeys").field("issuer", &self.issuer()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const KEYS: &[u8] = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    /// Keys of an issuer that does not answer, fetched so long ago.
    fn fetched(ago: Duration) -> RemoteKeys {
        let remote = RemoteKeys::new("http://127.0.0.1:9").unwrap();
        let at = Instant::now().checked_sub(ago).unwrap();
        let keys = Arc::new(KeySet::from_json(KEYS).unwrap());
        remote.0.current.store(Some(Arc::new(Loaded { keys, at })));
        remote
    }

    #[test]
    fn a_known_key_of_an_old_set_is_at_hand_while_the_set_is_fetched_anew() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _inside = runtime.enter();
        for (ago, kid, at_hand, fetches) in [
            (0, "k1", true, false),
            (299, "k1", true, false),
            (301, "k1", true, true),
            (301, "k2", false, false),
        ] {
            let remote = fetched(Duration::from_secs(ago));
            let finished = remote.0.finished.subscribe();
            assert_eq!(remote.at_hand(kid).is_some(), at_hand, "{kid} after {ago} s");
            let started = remote.0.schedule().is_running() || finished.has_changed().unwrap();
            assert_eq!(started, fetches, "{kid} after {ago} s");
        }
    }
}
