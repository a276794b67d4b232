//! The verifier: one token in, proven claims or a refusal out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::challenge::DEFAULT_REALM;
use crate::claims::AccessTokenClaims;
use crate::clock::Clock;
use crate::error::{ConfigError, Refusal};
use crate::jose_header::JoseHeader;
use crate::jwk::Algorithm;
use crate::key_source::KeySource;
use crate::reason::Reason;

/// The longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 8 * 1024;
const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);
const MAX_LEEWAY: Duration = Duration::from_secs(60);
const DEFAULT_LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

type OwnCheck = Box<dyn Fn(&AccessTokenClaims) -> bool + Send + Sync>;

/// Checks access tokens of one issuer for one API. Cloning is cheap and shares everything.
#[derive(Clone)]
pub struct Verifier(Arc<Rules>);

struct Rules {
    issuer: String,
    audiences: Vec<String>,
    algorithms: Vec<Algorithm>,
    keys: KeySource,
    leeway: Duration,
    longest_life: Duration,
    realm: Arc<str>,
    clock: Clock,
    checks: Vec<(&'static str, OwnCheck)>,
}

impl Verifier {
    /// Begins a verifier for tokens that `issuer` issued for `audience`, signed by one of `keys`.
    pub fn builder(
        issuer: impl Into<String>,
        audience: impl Into<String>,
        keys: KeySource,
    ) -> VerifierBuilder {
        VerifierBuilder(Rules {
            issuer: issuer.into(),
            audiences: vec![audience.into()],
            algorithms: vec![Algorithm::Rs256],
            keys,
            leeway: DEFAULT_LEEWAY,
            longest_life: DEFAULT_LONGEST_LIFE,
            realm: Arc::from(DEFAULT_REALM),
            clock: Clock::System,
            checks: Vec::new(),
        })
    }

    /// A verifier that needs nothing but the issuer's URL: the keys are fetched from it, and the audience is the
    /// issuer itself, which is what Signet writes when nothing else is asked for.
    ///
    /// # Errors
    /// [`ConfigError::IssuerUrl`] unless the issuer is an `https` URL, or an `http` one on a loopback host.
    #[cfg(feature = "fetch")]
    pub fn for_issuer(issuer: &str) -> Result<Self, ConfigError> {
        Self::builder(issuer, issuer, KeySource::remote(issuer)?).build()
    }

    /// The issuer whose tokens are accepted.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    #[cfg(feature = "actix")]
    pub(crate) fn realm(&self) -> &Arc<str> {
        &self.0.realm
    }

    /// Checks one token in compact form and answers its claims. Logs one event when it refuses.
    ///
    /// Waits for nothing, unless the keys are remote and the token names one that is not known yet.
    ///
    /// # Errors
    /// A [`Refusal`]: status 401, or 503 while the issuer's keys are not to be had.
    ///
    /// # Source
    /// RFC 9068 §4, RFC 8725 §3.
    pub async fn verify(&self, token: &str) -> Result<Arc<AccessTokenClaims>, Refusal> {
        let outcome = self.0.verify(token).await;
        outcome.map(Arc::new).map_err(|refusal| refusal.in_realm(&self.0.realm).logged())
    }
}

impl Rules {
    async fn verify(&self, token: &str) -> Result<AccessTokenClaims, Refusal> {
        let jws = CompactJws::split(token).map_err(Refusal::new)?;
        let header = JoseHeader::from_json(&decode(jws.header)?).map_err(Refusal::new)?;
        if !self.algorithms.contains(&header.algorithm) {
            return Err(Refusal::new(Reason::WrongAlgorithm));
        }
        let signature = decode(jws.signature)?;
        let keys = self.keys.keys_for(&header.key_id).await;
        let keys = keys.ok_or_else(|| Refusal::new(Reason::KeysUnavailable))?;
        let Some(key) = keys.key(&header.key_id) else {
            return Err(Refusal::about(Reason::UnknownKey, header.key_id));
        };
        if key.algorithm() != header.algorithm {
            return Err(Refusal::new(Reason::WrongAlgorithm));
        }
        if !key.verifies(jws.signed.as_bytes(), &signature) {
            return Err(Refusal::new(Reason::BadSignature));
        }
        let claims = AccessTokenClaims::from_json(&decode(jws.claims)?)?;
        self.judge(&claims)?;
        Ok(claims)
    }

    /// The checks of the claims. `exp` comes last of the standard ones: only a token that is right in everything
    /// else may be told that it has expired.
    fn judge(&self, claims: &AccessTokenClaims) -> Result<(), Refusal> {
        if claims.iss != self.issuer {
            return Err(Refusal::new(Reason::WrongIssuer));
        }
        if !self.audiences.iter().any(|audience| claims.aud.contains(audience)) {
            return Err(Refusal::new(Reason::WrongAudience));
        }
        if claims.own.contains_key("cnf") {
            return Err(Refusal::new(Reason::BoundToken));
        }
        let now = self.clock.now();
        let soon = now.plus(self.leeway);
        if claims.iat > soon {
            return Err(Refusal::new(Reason::IssuedInFuture));
        }
        if claims.nbf.is_some_and(|nbf| nbf > soon) {
            return Err(Refusal::new(Reason::NotYetValid));
        }
        if claims.exp <= claims.iat {
            return Err(Refusal::about(Reason::InvalidClaim, "exp"));
        }
        if claims.exp > claims.iat.plus(self.longest_life) {
            return Err(Refusal::new(Reason::LivesTooLong));
        }
        if claims.exp <= now.minus(self.leeway) {
            return Err(Refusal::new(Reason::Expired));
        }
        match self.checks.iter().find(|(_, check)| !check(claims)) {
            Some((name, _)) => Err(Refusal::about(Reason::OwnCheck, *name)),
            None => Ok(()),
        }
    }
}

/// The three parts of a JWS in compact form, still encoded (RFC 7515 §7.1).
struct CompactJws<'a> {
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
    /// What the signature covers: header, dot, claims.
    signed: &'a str,
}

impl<'a> CompactJws<'a> {
    fn split(token: &'a str) -> Result<Self, Reason> {
        if token.len() > MAX_TOKEN {
            return Err(Reason::TokenTooLong);
        }
        let split = token.rsplit_once('.').and_then(|(signed, signature)| {
            let (header, claims) = signed.split_once('.')?;
            Some(Self { header, claims, signature, signed })
        });
        // A fourth part would leave a dot in the middle one.
        split
            .filter(|jws| !jws.header.is_empty() && !jws.claims.is_empty() && !jws.signature.is_empty())
            .filter(|jws| !jws.claims.contains('.'))
            .ok_or(Reason::NotACompactJws)
    }
}

/// Base64url without padding; unused bits of the last character must be zero, so that a token has one spelling.
fn decode(part: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::new(Reason::NotACompactJws))
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("issuer", &self.0.issuer)
            .field("audiences", &self.0.audiences)
            .finish_non_exhaustive()
    }
}

/// A [`Verifier`] in the making.
#[must_use = "nothing is checked until `build` made a verifier"]
pub struct VerifierBuilder(Rules);

impl VerifierBuilder {
    /// Accepts tokens for this audience too.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.0.audiences.push(audience.into());
        self
    }

    /// Accepts these algorithms only. Default: all this crate knows.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.0.algorithms = algorithms.into_iter().collect();
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
    /// [`ConfigError`] when the issuer or an audience is empty, no algorithm is left, the leeway passes a minute,
    /// or remote keys belong to another issuer.
    pub fn build(self) -> Result<Verifier, ConfigError> {
        let rules = self.0;
        if rules.issuer.is_empty() {
            return Err(ConfigError::EmptyIssuer);
        }
        if rules.audiences.iter().any(String::is_empty) {
            return Err(ConfigError::EmptyAudience);
        }
        if rules.algorithms.is_empty() {
            return Err(ConfigError::NoAlgorithm);
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
        Ok(Verifier(Arc::new(rules)))
    }
}
