//! The JOSE header of an access token: RFC 7515 §4, RFC 9068 §2.1.

use serde_json::{Map, Value};

use crate::jwk::{Algorithm, MAX_KEY_ID};
use crate::reason::Reason;
use crate::strict_json::{self, ObjectFault};

/// What a header of the one accepted shape says. Members that would point at a key (`jwk`, `jku`, `x5u`, `x5c`)
/// are not read: the key comes from the issuer, never from the token.
#[derive(Debug)]
pub(crate) struct JoseHeader {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: String,
}

impl JoseHeader {
    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self, Reason> {
        let mut members = strict_json::object(bytes).map_err(|fault| match fault {
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
        let typ = text(&mut members, "typ")?.ok_or(Reason::WrongType)?;
        if !is_access_token_type(&typ) {
            return Err(Reason::WrongType);
        }
        let alg = text(&mut members, "alg")?.ok_or(Reason::WrongAlgorithm)?;
        let algorithm = Algorithm::from_name(&alg).ok_or(Reason::WrongAlgorithm)?;
        let key_id = text(&mut members, "kid")?.ok_or(Reason::NoKeyId)?;
        if key_id.is_empty() || key_id.len() > MAX_KEY_ID {
            return Err(Reason::NoKeyId);
        }
        Ok(Self { algorithm, key_id })
    }
}

/// Media types are compared without regard to case (RFC 7515 §4.1.9), `alg` and `kid` with.
fn is_access_token_type(typ: &str) -> bool {
    typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
}

fn text(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Reason> {
    match members.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Reason::MalformedHeader),
    }
}
