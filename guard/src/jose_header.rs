//! The JOSE header of a token: RFC 7515 §4, RFC 9068 §2.1.

use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::jwk::MAX_KEY_ID;
use crate::reason::Reason;
use crate::strict_json::{self, ObjectFault};

/// What a token says it is, in `typ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenType {
    /// `at+jwt`: an access token (RFC 9068 §2.1), and not an ID token, say.
    AccessToken,
    /// `JWT`: anything (RFC 7519 §5.1).
    PlainJwt,
    /// No `typ`: anything.
    Absent,
}

/// A header that asks for nothing this crate does not do. Members that would point at a key (`jwk`, `jku`, `x5u`,
/// `x5c`) are not read: the key comes from the issuer, never from the token.
#[derive(Debug)]
pub(crate) struct JoseHeader(Map<String, Value>);

impl JoseHeader {
    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self, Reason> {
        let members = strict_json::object(bytes).map_err(|fault| match fault {
            ObjectFault::Malformed => Reason::MalformedHeader,
            ObjectFault::DuplicateMember => Reason::DuplicateMember,
        })?;
        // No extension is implemented, so whatever is called critical is not understood (RFC 7515 §4.1.11); an
        // empty list is not allowed either.
        if members.contains_key("crit") {
            return Err(Reason::CriticalHeader);
        }
        if ["enc", "zip", "cty", "b64"].iter().any(|name| members.contains_key(*name)) {
            return Err(Reason::UnsupportedHeader);
        }
        Ok(Self(members))
    }

    /// What the token says it is. Any type but these three is another kind of token.
    pub(crate) fn token_type(&self) -> Result<TokenType, Reason> {
        if self.text("typ")?.is_none() {
            return Ok(TokenType::Absent);
        }
        match self.is_of_type("at+jwt") {
            Ok(()) => Ok(TokenType::AccessToken),
            Err(_) => self.is_of_type("JWT").map(|()| TokenType::PlainJwt),
        }
    }

    /// That the token says it is a status list (draft-ietf-oauth-status-list §5.1).
    #[cfg(feature = "status")]
    pub(crate) fn is_status_list(&self) -> Result<(), Reason> {
        self.is_of_type("statuslist+jwt")
    }

    fn is_of_type(&self, expected: &str) -> Result<(), Reason> {
        // Media types are compared without regard to case (RFC 7515 §4.1.9), `alg` and `kid` with.
        const PREFIX: &str = "application/";
        let is_one = |typ: &str| {
            let bare = typ.get(..PREFIX.len()).filter(|start| start.eq_ignore_ascii_case(PREFIX));
            bare.map_or(typ, |start| &typ[start.len()..]).eq_ignore_ascii_case(expected)
        };
        if self.text("typ")?.is_some_and(is_one) { Ok(()) } else { Err(Reason::WrongType) }
    }

    pub(crate) fn algorithm(&self) -> Result<Algorithm, Reason> {
        self.text("alg")?.and_then(Algorithm::from_name).ok_or(Reason::WrongAlgorithm)
    }

    pub(crate) fn key_id(&self) -> Result<&str, Reason> {
        self.text("kid")?.filter(|kid| !kid.is_empty() && kid.len() <= MAX_KEY_ID).ok_or(Reason::NoKeyId)
    }

    fn text(&self, name: &str) -> Result<Option<&str>, Reason> {
        self.0.get(name).map(|value| value.as_str().ok_or(Reason::MalformedHeader)).transpose()
    }
}
