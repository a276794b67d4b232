//! Reads a token of another form as if its issuer had written it as RFC 9068 says.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::compact_jws::CompactJws;
use crate::error::Refusal;
use crate::jose_header::TokenType;
use crate::profile::Relaxation;
use crate::reason::Reason;
use crate::scope::{Scope, ScopeToken};

/// Where issuers write the client id.
const CLIENT_IDS: [&str; 4] = ["client_id", "azp", "appid", "cid"];

/// The relaxations of one verifier: a set. Empty: RFC 9068.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Dialect(u16);

impl Dialect {
    pub(crate) fn with(self, relaxations: &[Relaxation]) -> Self {
        Self(relaxations.iter().fold(self.0, |set, one| set | bit(*one)))
    }

    const fn allows(self, relaxation: Relaxation) -> bool {
        self.0 & bit(relaxation) != 0
    }

    /// Whether a token of this type may be one of ours at all; for some, the claims decide later.
    pub(crate) fn admits(self, token_type: TokenType) -> Result<(), Reason> {
        let of_plain = [Relaxation::PlainJwt, Relaxation::BearerClaim, Relaxation::PermissionClaim];
        let admitted = match token_type {
            TokenType::AccessToken => true,
            TokenType::PlainJwt => of_plain.into_iter().any(|one| self.allows(one)),
            TokenType::Absent => self.allows(Relaxation::NoType),
        };
        if admitted { Ok(()) } else { Err(Reason::WrongType) }
    }

    /// Puts the claims where RFC 9068 §2.2 wants them. Types and bounds are checked afterwards, as for any other token.
    pub(crate) fn translate(
        self,
        claims: &mut Map<String, Value>,
        token_type: TokenType,
        jws: &CompactJws<'_>,
    ) -> Result<(), Refusal> {
        if self == Self::default() {
            return Ok(());
        }
        for (relaxation, from, to) in [
            (Relaxation::ClientIdInAzp, "azp", "client_id"),
            (Relaxation::ClientIdInAppid, "appid", "client_id"),
            (Relaxation::ClientIdInCid, "cid", "client_id"),
            (Relaxation::JtiInUti, "uti", "jti"),
            (Relaxation::ScopeInScp, "scp", "scope"),
        ] {
            if self.allows(relaxation)
                && !claims.contains_key(to)
                && let Some(value) = claims.get(from).cloned()
            {
                claims.insert(to.to_owned(), if to == "scope" { words(value) } else { value });
            }
        }
        if self.allows(Relaxation::NoJti) && !claims.contains_key("jti") {
            claims.insert("jti".to_owned(), Value::String(name(jws)));
        }
        if self.allows(Relaxation::ScopeAsArray)
            && let Some(scope) = claims.get_mut("scope")
        {
            *scope = words(scope.take());
        }
        if self.allows(Relaxation::RolesInRealmAccess)
            && !claims.contains_key("roles")
            && let Some(roles) = claims.get("realm_access").and_then(|access| access.get("roles")).cloned()
        {
            claims.insert("roles".to_owned(), roles);
        }
        match token_type {
            TokenType::AccessToken => Ok(()),
            TokenType::PlainJwt | TokenType::Absent => self
                .tells(claims, token_type)
                .map_or(Ok(()), |claim| Err(Refusal::about(Reason::WrongType, claim))),
        }
    }

    /// The claim by which a token that does not say `at+jwt` is told to be something else than an access token.
    fn tells(self, claims: &Map<String, Value>, token_type: TokenType) -> Option<&'static str> {
        let typ = claims.get("typ");
        if let Some(other) =
            ["at_hash", "c_hash", "s_hash", "events"].into_iter().find(|name| claims.contains_key(*name))
        {
            return Some(other);
        }
        if typ.is_some_and(|typ| typ != "Bearer") {
            return Some("typ");
        }
        if is_for_its_client(claims) {
            return Some("aud");
        }
        if typ.is_some() && token_type == TokenType::PlainJwt && self.allows(Relaxation::BearerClaim) {
            return None;
        }
        let plain = match token_type {
            TokenType::Absent => self.allows(Relaxation::NoType),
            _ => self.allows(Relaxation::PlainJwt),
        };
        let by_permission = token_type == TokenType::PlainJwt && self.allows(Relaxation::PermissionClaim);
        if !plain && !by_permission {
            return Some("typ");
        }
        if claims.contains_key("nonce") {
            return Some("nonce");
        }
        (!plain && !has_permission(claims)).then_some("scope")
    }
}

const fn bit(relaxation: Relaxation) -> u16 {
    1 << relaxation as u16
}

/// A scope written as an array. One that holds anything but scope tokens is no scope and becomes null, which grants
/// nothing: joined with a space, `"read write"` would be two.
fn words(scope: Value) -> Value {
    let Value::Array(items) = scope else { return scope };
    let token = |item: &Value| ScopeToken::parse(item.as_str()?).ok().map(|token| token.as_str().to_owned());
    let tokens: Option<Vec<String>> = items.iter().map(token).collect();
    tokens.map_or(Value::Null, |tokens| Value::String(tokens.join(" ")))
}

/// A name for a token that has none: of what was signed, since an ECDSA signature can be written in two ways.
fn name(jws: &CompactJws<'_>) -> String {
    format!("sha256:{}", URL_SAFE_NO_PAD.encode(digest(&SHA256, jws.signed().as_bytes())))
}

fn is_for_its_client(claims: &Map<String, Value>) -> bool {
    let mut clients = CLIENT_IDS.iter().filter_map(|name| claims.get(*name));
    match claims.get("aud") {
        Some(Value::Array(names)) => clients.any(|client| names.contains(client)),
        Some(name) => clients.any(|client| client == name),
        None => false,
    }
}

fn has_permission(claims: &Map<String, Value>) -> bool {
    let scope = claims.get("scope").and_then(Value::as_str).is_some_and(|text| Scope::parse(text).is_ok());
    scope || claims.get("roles").and_then(Value::as_array).is_some_and(|roles| !roles.is_empty())
}
