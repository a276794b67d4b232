//! How a verifier is set up.

use std::sync::Arc;
use std::time::Duration;

use crate::algorithm::Algorithm;
use crate::challenge::DEFAULT_REALM;
use crate::claims::AccessTokenClaims;
use crate::clock::Clock;
use crate::dialect::Dialect;
use crate::error::ConfigError;
use crate::key_source::KeySource;
use crate::profile::{Profile, Relaxation};
use crate::refusals::Refusals;
#[cfg(feature = "status")]
use crate::status::{Proof, StatusSource};
use crate::verdicts::Verdicts;
use crate::verifier::{Rules, Verifier};

const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);
const MAX_LEEWAY: Duration = Duration::from_secs(60);
const DEFAULT_LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
const DEFAULT_VERDICTS: usize = 10_000;

/// A [`Verifier`] in the making.
#[must_use = "nothing is checked until `build` made a verifier"]
pub struct VerifierBuilder(Rules);

impl VerifierBuilder {
    pub(crate) fn new(issuer: String, audience: String, keys: KeySource) -> Self {
        Self(Rules {
            issuer,
            audiences: vec![audience],
            algorithms: Algorithm::ALL.to_vec(),
            profile: Profile::default(),
            dialect: Dialect::default(),
            keys,
            required: Vec::new(),
            leeway: DEFAULT_LEEWAY,
            longest_life: DEFAULT_LONGEST_LIFE,
            realm: Arc::from(DEFAULT_REALM),
            clock: Clock::System,
            checks: Vec::new(),
            verdicts: Verdicts::with_room_for(DEFAULT_VERDICTS),
            refusals: Refusals::default(),
            #[cfg(feature = "status")]
            status: None,
        })
    }

    /// Accepts tokens for this audience too.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.0.audiences.push(audience.into());
        self
    }

    /// Accepts these algorithms only. Default: all this crate knows. That is safe because a published key belongs to
    /// one algorithm and the token cannot choose another for it, and it lets an issuer change the type of its keys.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.0.algorithms = algorithms.into_iter().collect();
        self
    }

    /// In which form the issuer writes its tokens. Default: [`Profile::Rfc9068`], and nothing is relaxed.
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.0.profile = profile;
        self
    }

    /// Allows one deviation from RFC 9068 more than the profile does, for an issuer that has none.
    pub fn allow(mut self, relaxation: Relaxation) -> Self {
        self.0.dialect = self.0.dialect.with(&[relaxation]);
        self
    }

    /// How far the issuer's clock and ours may differ, in whole seconds. Default 30 s, at most 60 s.
    pub const fn leeway(mut self, leeway: Duration) -> Self {
        self.0.leeway = leeway;
        self
    }

    /// The longest time from `iat` to `exp` that is accepted, in whole seconds. Default 24 hours.
    pub const fn longest_life(mut self, life: Duration) -> Self {
        self.0.longest_life = life;
        self
    }

    /// Refuses tokens without this claim, which may be any that RFC 9068 leaves optional (`auth_time`, `roles`) or
    /// one of your own. Null counts as absent. For more than presence, add a [check](Self::check).
    pub fn require_claim(mut self, name: impl Into<String>) -> Self {
        self.0.required.push(name.into());
        self
    }

    /// Follows the issuer's status lists, so that a token is refused within about a second of its revocation. Without
    /// this, tokens are good until `exp`.
    ///
    /// A token that names no list is accepted: its issuer publishes no status for it. An API that wants none but such as
    /// can be revoked says [`require_claim("status")`](Self::require_claim).
    #[cfg(feature = "status")]
    pub fn status(mut self, source: StatusSource) -> Self {
        self.0.status = Some(source);
        self
    }

    /// How many proven tokens are remembered, so that a token that comes again costs no signature check. Default
    /// 10,000; 0 remembers none. Past the limit the least used go.
    ///
    /// What is remembered is the SHA-256 of the token and its claims, never the token. All that can change is looked
    /// at on every request nevertheless: the key must still be published, the times must fit, and your own checks
    /// run. Verifiers do not share what they remember; clones of one do.
    ///
    /// An entry stands for 2 KiB of memory at most, and claims that take more count as several: the default is
    /// bounded by about 25 MiB, whatever the issuer signs.
    pub fn verdict_cache(mut self, entries: usize) -> Self {
        self.0.verdicts = Verdicts::with_room_for(entries);
        self
    }

    /// The `realm` of the challenges. Default `api`.
    pub fn realm(mut self, realm: &str) -> Self {
        self.0.realm = Arc::from(realm);
        self
    }

    /// Where the time comes from. Default: the machine's clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.0.clock = clock;
        self
    }

    /// Adds a check of your own. It runs on every request, after all others passed; `false` refuses the token.
    /// `name` is for the log.
    pub fn check(
        mut self,
        name: &'static str,
        check: impl Fn(&AccessTokenClaims) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.0.checks.push((name, Box::new(check)));
        self
    }

    /// Makes the verifier.
    ///
    /// # Errors
    /// [`ConfigError`] when the issuer, an audience or the name of a required claim is empty, no algorithm is left,
    /// the leeway passes a minute, remote keys or the status belong to another issuer, or the status may hardly be older
    /// than an answer of the issuer takes.
    pub fn build(self) -> Result<Verifier, ConfigError> {
        let mut rules = self.0;
        rules.dialect = rules.dialect.with(rules.profile.relaxations());
        if rules.issuer.is_empty() {
            return Err(ConfigError::EmptyIssuer);
        }
        if rules.audiences.iter().any(String::is_empty) {
            return Err(ConfigError::EmptyAudience);
        }
        if rules.algorithms.is_empty() {
            return Err(ConfigError::NoAlgorithm);
        }
        if rules.required.iter().any(String::is_empty) {
            return Err(ConfigError::EmptyClaim);
        }
        if rules.leeway > MAX_LEEWAY {
            return Err(ConfigError::LeewayTooLong(rules.leeway));
        }
        #[cfg(feature = "fetch")]
        if let KeySource::Remote(keys) = &rules.keys
            && keys.issuer() != rules.issuer
        {
            let keys = keys.issuer().to_owned();
            return Err(ConfigError::KeysOfAnotherIssuer { keys, tokens: rules.issuer });
        }
        #[cfg(feature = "status")]
        if let Some(source) = &rules.status {
            let (keys, algorithms, clock) =
                (rules.keys.clone(), rules.algorithms.clone(), rules.clock.clone());
            source.prove_with(Proof { keys, algorithms, clock, leeway: rules.leeway }, &rules.issuer)?;
        }
        Ok(Verifier::of(rules))
    }
}
