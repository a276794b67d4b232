//! Why a request was refused, in codes an operator can search for.

use std::fmt;

/// Why a request was refused. For the log: a caller learns at most that a genuine token has expired, or which
/// scope or role it lacks. The codes of [`Reason::as_str`] are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// `no-token`: no `Authorization` header was sent.
    NoToken,
    /// `other-scheme`: the `Authorization` header uses another scheme than `Bearer`.
    OtherScheme,
    /// `several-credentials`: more than one `Authorization` header.
    SeveralCredentials,
    /// `malformed-credentials`: the `Authorization` header is not `Bearer` and one token (RFC 6750 §2.1).
    MalformedCredentials,
    /// `token-too-long`: more than 8 KiB.
    TokenTooLong,
    /// `not-a-compact-jws`: not three base64url parts (RFC 7515 §7.1).
    NotACompactJws,
    /// `malformed-header`: the JOSE header is not a JSON object of the expected types.
    MalformedHeader,
    /// `duplicate-member`: a name comes twice in the header or the claims.
    DuplicateMember,
    /// `critical-header`: the header has a `crit` member (RFC 7515 §4.1.11).
    CriticalHeader,
    /// `unsupported-header`: the header says encrypted, compressed, nested or unencoded.
    UnsupportedHeader,
    /// `wrong-type`: `typ` is not `at+jwt` (RFC 9068 §2.1), nor what the verifier's
    /// [`Profile`](crate::Profile) allows. The subject, if there is one, is the claim that tells another kind of token.
    WrongType,
    /// `wrong-algorithm`: `alg` is not accepted here, or not the algorithm of the key.
    WrongAlgorithm,
    /// `no-key-id`: the header names no key.
    NoKeyId,
    /// `unknown-key`: the issuer publishes no key of that name.
    UnknownKey,
    /// `bad-signature`: the key did not sign this.
    BadSignature,
    /// `malformed-claims`: the claims are not one JSON object.
    MalformedClaims,
    /// `missing-claim`: a claim that RFC 9068 §2.2 or the verifier requires is absent.
    MissingClaim,
    /// `invalid-claim`: a claim has the wrong JSON type or a value out of bounds.
    InvalidClaim,
    /// `wrong-issuer`: `iss` is another issuer.
    WrongIssuer,
    /// `wrong-audience`: `aud` does not name this API.
    WrongAudience,
    /// `bound-token`: the token is bound to a key (`cnf`) and was sent as a bearer token.
    BoundToken,
    /// `issued-in-future`: `iat` lies further ahead than the leeway.
    IssuedInFuture,
    /// `not-yet-valid`: `nbf` lies further ahead than the leeway.
    NotYetValid,
    /// `lives-too-long`: `exp` lies further from `iat` than the verifier accepts.
    LivesTooLong,
    /// `expired`: everything else is right, `exp` is past.
    Expired,
    /// `status-of-another-issuer`: the token's status list is not below its issuer's URL.
    StatusOfAnotherIssuer,
    /// `revoked`: the issuer's status list says that the token is no longer valid.
    Revoked,
    /// `own-check`: a check of the API's own said no.
    OwnCheck,
    /// `own-claims`: the API's own claims do not fit its type.
    OwnClaims,
    /// `missing-scope`: the token is good and lacks the scope.
    MissingScope,
    /// `missing-role`: the token is good and lacks the role.
    MissingRole,
    /// `keys-unavailable`: the issuer's keys could not be had yet, or were not confirmed for too long.
    KeysUnavailable,
    /// `status-unavailable`: the status of the token could not be had, or not lately enough for this API.
    StatusUnavailable,
    /// `no-verifier`: the application has no verifier; its developer forgot `app_data`.
    NoVerifier,
}

impl Reason {
    /// Every reason, in the order in which they are checked: for the labels of a counter, say.
    pub const ALL: &'static [Self] = &[
        Self::NoToken,
        Self::OtherScheme,
        Self::SeveralCredentials,
        Self::MalformedCredentials,
        Self::TokenTooLong,
        Self::NotACompactJws,
        Self::MalformedHeader,
        Self::DuplicateMember,
        Self::CriticalHeader,
        Self::UnsupportedHeader,
        Self::WrongType,
        Self::WrongAlgorithm,
        Self::NoKeyId,
        Self::UnknownKey,
        Self::BadSignature,
        Self::MalformedClaims,
        Self::MissingClaim,
        Self::InvalidClaim,
        Self::WrongIssuer,
        Self::WrongAudience,
        Self::BoundToken,
        Self::IssuedInFuture,
        Self::NotYetValid,
        Self::LivesTooLong,
        Self::Expired,
        Self::StatusOfAnotherIssuer,
        Self::Revoked,
        Self::OwnCheck,
        Self::OwnClaims,
        Self::MissingScope,
        Self::MissingRole,
        Self::KeysUnavailable,
        Self::StatusUnavailable,
        Self::NoVerifier,
    ];

    /// The stable code, kebab-case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoToken => "no-token",
            Self::OtherScheme => "other-scheme",
            Self::SeveralCredentials => "several-credentials",
            Self::MalformedCredentials => "malformed-credentials",
            Self::TokenTooLong => "token-too-long",
            Self::NotACompactJws => "not-a-compact-jws",
            Self::MalformedHeader => "malformed-header",
            Self::DuplicateMember => "duplicate-member",
            Self::CriticalHeader => "critical-header",
            Self::UnsupportedHeader => "unsupported-header",
            Self::WrongType => "wrong-type",
            Self::WrongAlgorithm => "wrong-algorithm",
            Self::NoKeyId => "no-key-id",
            Self::UnknownKey => "unknown-key",
            Self::BadSignature => "bad-signature",
            Self::MalformedClaims => "malformed-claims",
            Self::MissingClaim => "missing-claim",
            Self::InvalidClaim => "invalid-claim",
            Self::WrongIssuer => "wrong-issuer",
            Self::WrongAudience => "wrong-audience",
            Self::BoundToken => "bound-token",
            Self::IssuedInFuture => "issued-in-future",
            Self::NotYetValid => "not-yet-valid",
            Self::LivesTooLong => "lives-too-long",
            Self::Expired => "expired",
            Self::StatusOfAnotherIssuer => "status-of-another-issuer",
            Self::Revoked => "revoked",
            Self::OwnCheck => "own-check",
            Self::OwnClaims => "own-claims",
            Self::MissingScope => "missing-scope",
            Self::MissingRole => "missing-role",
            Self::KeysUnavailable => "keys-unavailable",
            Self::StatusUnavailable => "status-unavailable",
            Self::NoVerifier => "no-verifier",
        }
    }

    /// The HTTP status of the answer (RFC 6750 §3.1): 400, 401, 403, 500 or 503.
    pub const fn status(self) -> u16 {
        match self {
            Self::SeveralCredentials | Self::MalformedCredentials => 400,
            Self::MissingScope | Self::MissingRole => 403,
            Self::NoVerifier => 500,
            Self::KeysUnavailable | Self::StatusUnavailable => 503,
            _ => 401,
        }
    }

    /// The error code of the challenge (RFC 6750 §3.1): none when the request carried no bearer token, and none
    /// when the fault is ours.
    pub const fn error_code(self) -> Option<&'static str> {
        match self {
            Self::NoToken
            | Self::OtherScheme
            | Self::NoVerifier
            | Self::KeysUnavailable
            | Self::StatusUnavailable => None,
            Self::SeveralCredentials | Self::MalformedCredentials => Some("invalid_request"),
            Self::MissingScope | Self::MissingRole => Some("insufficient_scope"),
            _ => Some("invalid_token"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_lists_every_reason_with_its_status_and_no_other() {
        let readme = include_str!("../README.md");
        let rows: Vec<(&str, &str)> = readme
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
            .filter_map(|(code, rest)| Some((code, rest.split_once(" | ")?.0)))
            .filter(|(_, status)| status.parse::<u16>().is_ok())
            .collect();
        let statuses: Vec<String> = Reason::ALL.iter().map(|reason| reason.status().to_string()).collect();
        let expected: Vec<(&str, &str)> = Reason::ALL
            .iter()
            .map(|reason| reason.as_str())
            .zip(statuses.iter().map(String::as_str))
            .collect();
        assert_eq!(rows, expected);
    }
}
