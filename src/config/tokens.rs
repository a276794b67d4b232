//! `[tokens]`: what access tokens say and how long they live.

use std::time::Duration;

use signet_guard::{Algorithm, Scope, ScopeToken};

use super::fault::Problem;
use super::issuer::Issuer;
use super::parse::{duration, list, parsed, quote, quote_list, show_duration, word};
use super::reader::{Raw, Reader};
use crate::rotation::LONGEST_MAX_AGE;

/// Longest list of scopes, in bytes as a token carries it.
const LONGEST_SCOPE: usize = 1000;

/// What there are keys for.
const ALGORITHMS: &[(&str, Algorithm)] =
    &[("RS256", Algorithm::Rs256), ("ES256", Algorithm::Es256), ("EdDSA", Algorithm::EdDsa)];

/// Seconds of a day.
const DAY: u64 = 86_400;

/// `[tokens]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The audience (`aud`; RFC 9068 §3) of a token when none was asked for.
    pub audience: String,
    /// What a first-party sign-in may ask for besides the scope of the account itself: the scopes of the operator's
    /// own APIs (RFC 6749 §3.3).
    pub scopes: Scope,
    /// How long an access token lives.
    pub access_token_life: Duration,
    /// How long a refresh token that was replaced still counts as a lost answer or a racer. Zero: not at all.
    pub refresh_grace: Duration,
    /// How long a grant lives without being used.
    pub refresh_idle_life: Duration,
    /// How long a grant lives at most, used or not.
    pub refresh_life: Duration,
    /// How long others may keep the JWK Set (`Cache-Control: max-age`).
    pub jwks_max_age: Duration,
    /// What access tokens and status lists are signed with (`alg`).
    pub signing_algorithm: Algorithm,
}

impl Tokens {
    /// The defaults: the issuer is the audience.
    pub fn for_issuer(issuer: &Issuer) -> Self {
        Self {
            audience: issuer.as_str().to_owned(),
            scopes: Scope::empty(),
            access_token_life: Duration::from_secs(600),
            refresh_grace: Duration::from_secs(30),
            refresh_idle_life: Duration::from_secs(14 * DAY),
            refresh_life: Duration::from_secs(90 * DAY),
            jwks_max_age: Duration::from_secs(300),
            signing_algorithm: Algorithm::Rs256,
        }
    }

    pub(super) fn read(reader: &mut Reader, issuer: &Issuer) -> Self {
        let default = Self::for_issuer(issuer);
        let life = Duration::from_secs(60)..=Duration::from_secs(3_600);
        let grace = Duration::ZERO..=Duration::from_secs(300);
        let lives = Duration::from_secs(3_600)..=Duration::from_secs(366 * DAY);
        let refresh_life =
            reader.take("tokens.refresh_life", duration(lives.clone())).unwrap_or(default.refresh_life);
        let idle_life = reader.take("tokens.refresh_idle_life", duration(lives));
        if idle_life.is_some_and(|idle| idle > refresh_life) {
            let problem = format!("is longer than tokens.refresh_life ({})", show_duration(refresh_life));
            reader.fault(
                "tokens.refresh_idle_life",
                problem,
                "choose a shorter time, or a longer refresh_life",
            );
        }
        let max_age = Duration::from_secs(10)..=LONGEST_MAX_AGE;
        Self {
            audience: reader
                .take("tokens.audience", parsed(audience))
                .filter(|audience| !audience.is_empty())
                .unwrap_or(default.audience),
            scopes: reader.take("tokens.scopes", scopes).unwrap_or(default.scopes),
            access_token_life: reader
                .take("tokens.access_token_life", duration(life))
                .unwrap_or(default.access_token_life),
            refresh_grace: reader
                .take("tokens.refresh_grace", duration(grace))
                .unwrap_or(default.refresh_grace),
            refresh_idle_life: idle_life.unwrap_or(default.refresh_idle_life.min(refresh_life)),
            refresh_life,
            jwks_max_age: reader
                .take("tokens.jwks_max_age", duration(max_age))
                .unwrap_or(default.jwks_max_age),
            signing_algorithm: reader
                .take("tokens.signing_algorithm", word(ALGORITHMS))
                .unwrap_or(default.signing_algorithm),
        }
    }

    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        vec![
            ("tokens.audience", quote(&self.audience)),
            ("tokens.scopes", quote_list(&self.scopes.iter().map(ToString::to_string).collect::<Vec<_>>())),
            ("tokens.access_token_life", quote(&show_duration(self.access_token_life))),
            ("tokens.refresh_grace", quote(&show_duration(self.refresh_grace))),
            ("tokens.refresh_idle_life", quote(&show_duration(self.refresh_idle_life))),
            ("tokens.refresh_life", quote(&show_duration(self.refresh_life))),
            ("tokens.jwks_max_age", quote(&show_duration(self.jwks_max_age))),
            ("tokens.signing_algorithm", quote(self.signing_algorithm.as_str())),
        ]
    }
}

fn audience(text: &str) -> Result<String, Problem> {
    if text.len() <= 255 && text.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(Problem::new(
        "is not one word of at most 255 visible ASCII letters",
        "write a URL or a name without spaces, such as https://api.example.com",
    ))
}

/// They travel in every token, and a request's header has little room.
fn scopes(raw: &Raw) -> Result<Scope, Problem> {
    let scopes: Scope = list(scope_token)(raw)?.into_iter().collect();
    if scopes.to_string().len() <= LONGEST_SCOPE {
        Ok(scopes)
    } else {
        Err(Problem::new("is longer than 1000 bytes in all", "name fewer or shorter scopes"))
    }
}

/// `signet:…` is ours: an operator's list must not hand out what opens the service itself.
fn scope_token(text: &str) -> Result<ScopeToken, Problem> {
    match ScopeToken::parse(text) {
        Ok(token) if !text.starts_with("signet:") => Ok(token),
        Ok(_) => {
            Err(Problem::new("holds a scope of Signet's own", "remove every scope that begins with signet:"))
        }
        Err(_) => Err(Problem::new(
            "holds something that is no scope (RFC 6749 section 3.3)",
            "write words of visible ASCII without quotation marks and backslashes",
        )),
    }
}
