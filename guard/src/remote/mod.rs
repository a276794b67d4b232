//! Keys fetched from the issuer (feature `fetch`).

mod cache_file;
mod fetch;
mod freshness;
pub(crate) mod http;
pub(crate) mod issuer_url;
mod keeper;
mod pulse;
mod report;
mod schedule;
mod source;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use report::KeysReport;

use crate::clock::Clock;
use crate::error::ConfigError;
use crate::key_set::KeySet;
use issuer_url::IssuerUrl;
use source::Source;

/// The keys of an issuer, fetched over HTTPS. Cloning shares them, and what is set on one clone holds for all.
///
/// - Nothing is fetched before the first token comes or [`start`](Self::start) is called. From then on a thread of its own
///   keeps the keys, until the last clone is gone; it belongs to no async runtime.
/// - The issuer's metadata is read at `/.well-known/oauth-authorization-server` (RFC 8414), or where there is none at
///   `ISSUER/.well-known/openid-configuration` (OpenID Connect Discovery 1.0). It must name the issuer byte for byte, and
///   says where the JWK Set is: at the issuer's own scheme, host and port, or at a [`jwks_host`](Self::jwks_host).
/// - The set lives as long as its `Cache-Control` says, at least 30 s and at most [`max_age`](Self::max_age), and is fetched
///   anew in the background before that ends, whether tokens come or not; with an `ETag`, only if it has changed.
/// - A request whose key is known never waits. A key id that is not known starts one fetch for all who need it, at most once
///   per [`cool_down`](Self::cool_down), also after a failure; a request waits for it for two seconds at most.
/// - A fetch that fails, or brings no usable key, changes nothing: the last good set stays, up to
///   [`max_stale`](Self::max_stale). Without a set requests are answered 503, and an attempt follows half a second after
///   the last; only for the first of all do requests wait, for two seconds at most.
/// - A fetch takes at most five seconds and 256 KiB a document, follows no redirect, and sends nothing of any token. A proxy
///   named by `HTTPS_PROXY` and its kin is used for an `https` issuer on another host, never for a loopback one.
#[derive(Clone)]
pub struct RemoteKeys(Arc<Interest>);

/// Held by all who want the keys; with the last of them the keeping ends.
struct Interest(Arc<Source>);

impl Drop for Interest {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl RemoteKeys {
    /// Keys of `issuer`, to be fetched when first needed. The issuer is the exact string that tokens carry as `iss`; some
    /// end in a slash.
    ///
    /// # Errors
    /// [`ConfigError::IssuerUrl`] unless the issuer is an `https` URL, or an `http` one on a loopback host, without
    /// query, fragment or user name.
    pub fn new(issuer: &str) -> Result<Self, ConfigError> {
        let url = IssuerUrl::parse(issuer)
            .map_err(|problem| ConfigError::IssuerUrl { issuer: issuer.to_owned(), problem })?;
        Ok(Self(Arc::new(Interest(Arc::new(Source::new(url))))))
    }

    /// Sets the least time between two fetches once the issuer was heard, whatever they are for; at first 10 s. More than
    /// 20 s would delay the refresh of a set that lives for 30.
    #[must_use]
    pub fn cool_down(self, cool_down: Duration) -> Self {
        self.source().state().schedule.set_cool_down(cool_down);
        self
    }

    /// Sets the longest life of a set, whatever the issuer says; at first five minutes, at least 30 s. A key that the issuer
    /// withdraws is in use for that long at most while the issuer can be reached.
    #[must_use]
    pub fn max_age(self, max_age: Duration) -> Self {
        self.source().state().max_age = max_age;
        self
    }

    /// Sets for how long the last good set is used while the issuer does not confirm it; at first 24 hours, at least a minute.
    /// Then all tokens are answered 503 until the issuer is heard. The time counts while the machine sleeps too.
    #[must_use]
    pub fn max_stale(self, max_stale: Duration) -> Self {
        self.source().state().schedule.set_max_stale(max_stale);
        self
    }

    /// Keeps a copy of the last good set in this file, so that an API that restarts while its issuer is away still knows the
    /// keys. It is read when the keys are first needed and replaced whenever the issuer confirms them. Its folder must exist.
    ///
    /// It holds public keys, the issuer and the time, and is no secret; but who can write it decides which tokens are good. On
    /// Unix it is made with mode 0600, and one that belongs to another user than this process's own or root, or that
    /// others can write (mode 0022), is not used. Neither is one of another issuer, damaged, larger than 256 KiB, older than
    /// [`max_stale`](Self::max_stale) or of the future. The log says why. Elsewhere than on Unix its folder must be one that
    /// nobody else can write.
    #[must_use]
    pub fn cache_file(self, path: impl Into<PathBuf>) -> Self {
        let mut state = self.source().state();
        state.copy = Some(path.into());
        // The next answer is to bring the set whole.
        state.tag = None;
        drop(state);
        self
    }

    /// Allows the issuer's metadata to have the keys at this host too, over `https`; with a port (`host:port`) unless it is
    /// 443. Some issuers need it: Google's keys are at `www.googleapis.com`.
    ///
    /// # Errors
    /// [`ConfigError::JwksHost`] when it is no host, or an address that is not public while the issuer is no loopback one.
    pub fn jwks_host(self, host: &str) -> Result<Self, ConfigError> {
        let allowed = self.source().fetcher.issuer().jwks_host(host);
        let allowed = allowed.map_err(|problem| ConfigError::JwksHost { host: host.to_owned(), problem })?;
        self.source().state().hosts.push(allowed);
        Ok(self)
    }

    /// Where the time comes from by which a set ages; at first the machine's clock. Set it before the keys are first needed.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        self.source().state().pulse.set_clock(clock);
        self
    }

    /// Begins to fetch the keys now, rather than with the first token.
    pub fn start(&self) {
        self.source().start();
    }

    /// The issuer whose keys these are.
    pub fn issuer(&self) -> &str {
        self.source().issuer()
    }

    /// The keys fetched last, unless none were or they are older than [`max_stale`](Self::max_stale).
    pub fn load(&self) -> Option<Arc<KeySet>> {
        self.source().usable()
    }

    /// How well the keys are known.
    pub fn report(&self) -> KeysReport {
        self.source().report()
    }

    /// The keys, if they have this one.
    pub(crate) fn at_hand(&self, kid: &str) -> Option<Arc<KeySet>> {
        self.source().at_hand(kid)
    }

    /// The keys, after a fetch if they lack this one and a fetch is due or under way.
    pub(crate) async fn fetched_for(&self, kid: &str) -> Option<Arc<KeySet>> {
        self.source().fetched_for(kid).await
    }

    /// The same on a thread that may block, for at most `time`.
    #[cfg(feature = "status")]
    pub(crate) fn fetched_here(&self, kid: &str, time: Duration) -> Option<Arc<KeySet>> {
        self.source().fetched_here(kid, time)
    }

    fn source(&self) -> &Arc<Source> {
        &self.0.0
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeys").field("issuer", &self.issuer()).finish_non_exhaustive()
    }
}

/// From 0 to 1, to keep verifiers apart that would do something together.
pub(crate) fn chance() -> f64 {
    let mut byte = [0];
    match aws_lc_rs::rand::fill(&mut byte) {
        Ok(()) => f64::from(byte[0]) / 255.0,
        Err(_) => 0.5,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn until(what: &str, done: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !done() {
            assert!(Instant::now() < deadline, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(5)); // poll: another thread must do it
        }
    }

    #[test]
    fn the_keeping_ends_with_the_last_who_is_interested() {
        let keys = RemoteKeys::new("http://127.0.0.1:9").unwrap();
        let source = Arc::downgrade(keys.source());
        keys.start();
        until("the first attempt", || keys.report().fetches > 0);
        let other = keys.clone();
        drop(keys);
        let so_far = other.report().fetches;
        until("another attempt", || other.report().fetches > so_far);
        assert_eq!(other.report().last_error, Some("unreachable"));
        drop(other);
        until("the end", || source.upgrade().is_none());
    }
}
