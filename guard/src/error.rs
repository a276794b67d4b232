//! What goes wrong: at start ([`ConfigError`]) and per request ([`Refusal`]).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::challenge::{Challenge, DEFAULT_REALM, Problem};
use crate::reason::Reason;

/// Why a [`Verifier`](crate::Verifier) cannot be built. Comes at start, never at a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The issuer is empty.
    #[error("the issuer is empty: give the exact string that tokens carry as `iss`")]
    EmptyIssuer,
    /// An audience is empty.
    #[error("an audience is empty: give the exact string that tokens for this API carry as `aud`")]
    EmptyAudience,
    /// No algorithm is left to accept.
    #[error("no algorithm is accepted: name at least one")]
    NoAlgorithm,
    /// A required claim has no name.
    #[error("a required claim has an empty name: give the name that tokens use")]
    EmptyClaim,
    /// The leeway is longer than a minute.
    #[error("the leeway is {0:?}: at most 60 seconds; set the clock right instead")]
    LeewayTooLong(Duration),
    /// The issuer is no URL that anything may be fetched from.
    #[error("nothing can be fetched from the issuer {issuer:?}: {problem}")]
    IssuerUrl {
        /// The issuer as given.
        issuer: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Keys must not be fetched from this host.
    #[error("keys cannot be fetched from the host {host:?}: {problem}")]
    JwksHost {
        /// The host as given.
        host: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The keys are fetched from one issuer and the tokens expected from another.
    #[error("the keys come from {keys:?} and the tokens from {tokens:?}: an issuer vouches only for itself")]
    KeysOfAnotherIssuer {
        /// The issuer the keys are fetched from.
        keys: String,
        /// The issuer tokens must name.
        tokens: String,
    },
    /// The status is followed at one issuer and the tokens expected from another.
    #[error(
        "the status comes from {status:?} and the tokens from {tokens:?}: an issuer vouches only for itself"
    )]
    StatusOfAnotherIssuer {
        /// The issuer whose status is followed.
        status: String,
        /// The issuer tokens must name.
        tokens: String,
    },
    /// Status may be confirmed at best every few seconds.
    #[error("the status may be {0:?} old: at least 2 seconds; the issuer is asked in between")]
    BoundTooShort(Duration),
}

/// A request that is not let in. Holds why, for the operator, and what its caller is told, which is less.
///
/// Its `Display` is the caller's text. With the feature `actix` it is a `ResponseError`, so that a handler can
/// use `?` on it.
#[derive(Clone)]
pub struct Refusal {
    reason: Reason,
    subject: Option<Cow<'static, str>>,
    realm: Option<Arc<str>>,
    instance: Option<Arc<str>>,
}

impl Refusal {
    pub(crate) const fn new(reason: Reason) -> Self {
        Self { reason, subject: None, realm: None, instance: None }
    }

    /// A refusal about one claim, check, scope, role or key.
    pub(crate) fn about(reason: Reason, subject: impl Into<Cow<'static, str>>) -> Self {
        Self { subject: Some(subject.into()), ..Self::new(reason) }
    }

    pub(crate) fn in_realm(mut self, realm: &Arc<str>) -> Self {
        self.realm = Some(Arc::clone(realm));
        self
    }

    #[cfg(feature = "actix")]
    pub(crate) fn at_instance(mut self, instance: Option<Arc<str>>) -> Self {
        self.instance = instance;
        self
    }

    /// Writes the one log event of this refusal: the reason and its subject, never the token.
    pub(crate) fn logged(self) -> Self {
        let (reason, subject) = (self.reason.as_str(), self.subject.as_deref());
        match self.reason {
            Reason::NoToken => tracing::debug!(reason, "request without an access token"),
            Reason::NoVerifier => tracing::error!(
                reason,
                "no Verifier for this route: add `.app_data(web::Data::new(verifier))` to the App"
            ),
            Reason::KeysUnavailable => {
                tracing::info!(reason, "no keys of the issuer, yet or any more: answered 503")
            }
            Reason::StatusUnavailable => {
                tracing::info!(reason, "no word of the issuer on the token's status: answered 503");
            }
            _ => tracing::info!(reason, subject, "access token refused"),
        }
        self
    }

    /// Why, as a stable code. Not for the caller.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// What the reason is about, where it is about one thing: the claim, the key id, the check's name, the scope
    /// or the role. Not for the caller, save a scope or a role.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The HTTP status: 400, 401, 403, 500 or 503 (RFC 6750 §3.1).
    pub const fn status(&self) -> u16 {
        self.reason.status()
    }

    /// How long a caller should wait before it asks again, when that would help: one second while the issuer's
    /// keys, or the status of its tokens, are not to be had.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.reason {
            Reason::KeysUnavailable | Reason::StatusUnavailable => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// The `WWW-Authenticate` challenge that goes with a 400, 401 or 403 (RFC 6750 §3).
    pub fn challenge(&self) -> Option<Challenge> {
        if self.status() >= 500 {
            return None;
        }
        let mut challenge = Challenge::new(self.realm.as_deref().unwrap_or(DEFAULT_REALM));
        if let Some(code) = self.reason.error_code() {
            challenge = challenge.error(code, &self.to_string());
        }
        match (self.reason, self.subject()) {
            (Reason::MissingScope, Some(scope)) => Some(challenge.scope(scope)),
            _ => Some(challenge),
        }
    }

    /// The body of the answer (RFC 9457).
    pub fn problem(&self) -> Problem {
        Problem::new(self.status(), self.to_string(), self.instance.as_deref().map(str::to_owned))
    }
}

/// The text a caller is shown. One for every token that is not good, so that nobody can feel their way from check
/// to check; only who holds a genuine token is told that it has expired.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.reason, self.subject()) {
            (Reason::MissingScope, Some(scope)) => write!(f, "The access token lacks the scope '{scope}'."),
            (Reason::MissingRole, Some(role)) => write!(f, "The access token lacks the role '{role}'."),
            (Reason::Expired, _) => f.write_str("The access token has expired."),
            (Reason::SeveralCredentials | Reason::MalformedCredentials, _) => {
                f.write_str("Send one Authorization header: Bearer, a space and the access token.")
            }
            (Reason::KeysUnavailable | Reason::StatusUnavailable, _) => {
                f.write_str("Access tokens cannot be checked at the moment. Try again in a second.")
            }
            (Reason::NoVerifier, _) => f.write_str("The service is not set up correctly."),
            _ => f.write_str("The access token is missing, invalid or not meant for this API."),
        }
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal").field("reason", &self.reason).field("subject", &self.subject).finish()
    }
}

impl std::error::Error for Refusal {}
