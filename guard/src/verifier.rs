//! The verifier: one token in, proven claims or a refusal out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::algorithm::Algorithm;
use crate::builder::VerifierBuilder;
use crate::claims::AccessTokenClaims;
use crate::clock::Clock;
use crate::compact_jws::{CompactJws, Signature};
use crate::dialect::Dialect;
#[cfg(feature = "fetch")]
use crate::error::ConfigError;
use crate::error::Refusal;
use crate::jose_header::TokenType;
use crate::key_set::KeySet;
use crate::key_source::KeySource;
use crate::profile::Profile;
use crate::reason::Reason;
use crate::refusals::Refusals;
#[cfg(feature = "fetch")]
use crate::remote::KeysReport;
#[cfg(feature = "status")]
use crate::status::{Entry, Standing, StatusReport, StatusSource};
use crate::verdicts::{Verdict, Verdicts};

type OwnCheck = Box<dyn Fn(&AccessTokenClaims) -> bool + Send + Sync>;

/// Checks access tokens of one issuer for one API. Cloning is cheap and shares everything.
#[derive(Clone)]
pub struct Verifier(Arc<Rules>);

pub(crate) struct Rules {
    pub(crate) issuer: String,
    pub(crate) audiences: Vec<String>,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) profile: Profile,
    pub(crate) dialect: Dialect,
    pub(crate) keys: KeySource,
    pub(crate) required: Vec<String>,
    pub(crate) leeway: Duration,
    pub(crate) longest_life: Duration,
    pub(crate) realm: Arc<str>,
    pub(crate) clock: Clock,
    pub(crate) checks: Vec<(&'static str, OwnCheck)>,
    pub(crate) verdicts: Verdicts,
    pub(crate) refusals: Refusals,
    #[cfg(feature = "status")]
    pub(crate) status: Option<StatusSource>,
}

impl Verifier {
    /// Begins a verifier for tokens that `issuer` issued for `audience`, signed by one of `keys`.
    pub fn builder(
        issuer: impl Into<String>,
        audience: impl Into<String>,
        keys: KeySource,
    ) -> VerifierBuilder {
        VerifierBuilder::new(issuer.into(), audience.into(), keys)
    }

    /// A verifier that needs nothing but the issuer's URL: the keys are fetched from it, the status of its tokens is
    /// followed there (feature `status`, [`StalePolicy::FailOpen`](crate::StalePolicy::FailOpen)), and the audience is
    /// the issuer itself, which is what Signet writes when nothing else is asked for.
    ///
    /// # Errors
    /// [`ConfigError::IssuerUrl`] unless the issuer is an `https` URL, or an `http` one on a loopback host.
    #[cfg(feature = "fetch")]
    pub fn for_issuer(issuer: &str) -> Result<Self, ConfigError> {
        let builder = Self::builder(issuer, issuer, KeySource::remote(issuer)?);
        #[cfg(feature = "status")]
        let builder = builder.status(StatusSource::remote(issuer)?);
        builder.build()
    }

    pub(crate) fn of(rules: Rules) -> Self {
        Self(Arc::new(rules))
    }

    /// The issuer whose tokens are accepted.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// How many proven tokens are remembered at the moment, for a gauge. See [`VerifierBuilder::verdict_cache`].
    pub fn remembered(&self) -> usize {
        self.0.verdicts.len()
    }

    /// How often each reason has refused a request so far, for the labels of a counter: by this verifier and its clones, and
    /// by the extractors and tokens that come from it. A scope or role that is asked of bare claims counts nowhere, since they
    /// know no verifier.
    pub fn refusals(&self) -> impl Iterator<Item = (Reason, u64)> {
        self.0.refusals.read()
    }

    /// How well the issuer's keys are known, for a gauge. `None` for keys that are not fetched.
    #[cfg(feature = "fetch")]
    pub fn keys(&self) -> Option<KeysReport> {
        match &self.0.keys {
            KeySource::Remote(keys) => Some(keys.report()),
            _ => None,
        }
    }

    /// How well the status of the issuer's tokens is known, for a gauge. `None` before a token came that has one, and
    /// for a verifier that does not follow it. See [`VerifierBuilder::status`].
    #[cfg(feature = "status")]
    pub fn status(&self) -> Option<StatusReport> {
        self.0.status.as_ref().and_then(StatusSource::report)
    }

    /// Checks one token in compact form and answers its claims. Logs one event when it refuses.
    ///
    /// Waits for nothing, unless the keys are remote and the token names one that is not known yet, or its status is
    /// followed and in a list that was never seen before.
    ///
    /// # Errors
    /// A [`Refusal`]: status 401, or 503 while the issuer's keys, or the status of its tokens, are not to be had.
    ///
    /// # Source
    /// RFC 9068 §4, RFC 8725 §3.
    pub async fn verify(&self, token: &str) -> Result<Arc<AccessTokenClaims>, Refusal> {
        match self.verify_at_once(token) {
            Some(outcome) => outcome,
            None => self.0.verify_after_fetch(token).await.map_err(|refusal| self.refused(refusal)),
        }
    }

    /// The same without waiting; `None` when something must be fetched first.
    pub(crate) fn verify_at_once(&self, token: &str) -> Option<Result<Arc<AccessTokenClaims>, Refusal>> {
        self.0.verify_at_once(token).map_err(|refusal| self.refused(refusal)).transpose()
    }

    /// A refusal of this verifier, counted and told to the log.
    pub(crate) fn refused(&self, refusal: Refusal) -> Refusal {
        self.0.refusals.count(refusal.reason());
        refusal.in_realm(&self.0.realm).logged()
    }
}

impl Rules {
    fn verify_at_once(&self, token: &str) -> Result<Option<Arc<AccessTokenClaims>>, Refusal> {
        let jws = CompactJws::split(token).map_err(Refusal::new)?;
        let verdict = match self.recall(&jws)? {
            Some(verdict) => verdict,
            None => {
                let (token_type, signature) = self.signature(&jws).map_err(Refusal::new)?;
                let Some(keys) = self.keys.at_hand(signature.key_id()) else { return Ok(None) };
                self.prove(token_type, &signature, &keys)?
            }
        };
        self.admit(&verdict)
    }

    async fn verify_after_fetch(&self, token: &str) -> Result<Arc<AccessTokenClaims>, Refusal> {
        let jws = CompactJws::split(token).map_err(Refusal::new)?;
        let verdict = match self.recall(&jws)? {
            Some(verdict) => verdict,
            None => {
                let (token_type, signature) = self.signature(&jws).map_err(Refusal::new)?;
                let keys = self.keys.fetched_for(signature.key_id()).await;
                let keys = keys.ok_or_else(|| Refusal::new(Reason::KeysUnavailable))?;
                self.prove(token_type, &signature, &keys)?
            }
        };
        if let Some(claims) = self.admit(&verdict)? {
            return Ok(claims);
        }
        #[cfg(feature = "status")]
        if let Some(entry) = &verdict.status {
            entry.seen().await;
        }
        self.admit(&verdict)?.ok_or_else(|| Refusal::new(Reason::StatusUnavailable))
    }

    /// A token that was proven before by a key that is still published, and whose claims are good now.
    fn recall(&self, jws: &CompactJws<'_>) -> Result<Option<Verdict>, Refusal> {
        let Some(hash) = self.verdicts.hash(jws.text()) else { return Ok(None) };
        let Some(verdict) = self.verdicts.find(&hash) else { return Ok(None) };
        let published = self.keys.at_hand(verdict.key.id()).is_some_and(|keys| keys.holds(&verdict.key));
        #[cfg(feature = "status")]
        let published = published && verdict.status.as_ref().is_none_or(Entry::is_held);
        if !published {
            self.verdicts.forget(&hash);
            return Ok(None);
        }
        self.judge(&verdict.claims)?;
        Ok(Some(verdict))
    }

    fn signature<'t>(&self, jws: &CompactJws<'t>) -> Result<(TokenType, Signature<'t>), Reason> {
        let header = jws.header()?;
        let token_type = header.token_type()?;
        self.dialect.admits(token_type)?;
        Ok((token_type, jws.signature(&header, &self.algorithms)?))
    }

    fn prove(
        &self,
        token_type: TokenType,
        signature: &Signature<'_>,
        keys: &KeySet,
    ) -> Result<Verdict, Refusal> {
        let key = Arc::clone(signature.proven_by(keys)?);
        let payload = signature.jws().payload().map_err(Refusal::new)?;
        let mut members = AccessTokenClaims::members(&payload)?;
        // Depends on nothing but the token and the rules, so it need not be done again for a remembered token.
        self.dialect.translate(&mut members, token_type, signature.jws())?;
        let claims = Arc::new(AccessTokenClaims::from_members(members)?);
        self.judge(&claims)?;
        let status = self.entry(&claims)?;
        let verdict = Verdict::new(claims, key, status);
        self.verdicts.keep(signature.jws().text(), &verdict);
        Ok(verdict)
    }

    #[cfg(feature = "status")]
    fn entry(&self, claims: &AccessTokenClaims) -> Result<Option<Entry>, Refusal> {
        match (&self.status, &claims.status) {
            (Some(source), Some(reference)) => source.entry(reference).map(Some),
            _ => Ok(None),
        }
    }

    #[cfg(not(feature = "status"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "there is nothing to look up")]
    const fn entry(&self, _: &AccessTokenClaims) -> Result<crate::verdicts::Entry, Refusal> {
        Ok(crate::verdicts::Entry)
    }

    /// What is asked last, on every request: the status, then the API's own checks. `None` when the status has to be
    /// waited for.
    fn admit(&self, verdict: &Verdict) -> Result<Option<Arc<AccessTokenClaims>>, Refusal> {
        #[cfg(feature = "status")]
        if let (Some(source), Some(entry)) = (&self.status, &verdict.status) {
            match source.standing(entry, || self.clock.now().minus(self.leeway)) {
                Standing::Good => {}
                Standing::Bad(refusal) => return Err(refusal),
                Standing::Unseen => return Ok(None),
            }
        }
        match self.checks.iter().find(|(_, check)| !check(&verdict.claims)) {
            Some((name, _)) => Err(Refusal::about(Reason::OwnCheck, *name)),
            None => Ok(Some(Arc::clone(&verdict.claims))),
        }
    }

    /// The checks of the claims, made anew on every request. `exp` comes last: only a token that is right in everything
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
        if let Some(name) = self.required.iter().find(|name| !claims.has(name)) {
            return Err(Refusal::about(Reason::MissingClaim, name.clone()));
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
        Ok(())
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("issuer", &self.0.issuer)
            .field("audiences", &self.0.audiences)
            .field("profile", &self.0.profile)
            .finish_non_exhaustive()
    }
}
