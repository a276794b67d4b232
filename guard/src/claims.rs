//! What an access token says: RFC 9068 §2.2.

use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::audience::Audience;
use crate::clock::Timestamp;
use crate::error::Refusal;
use crate::reason::Reason;
use crate::scope::Scope;
use crate::strict_json::{self, ObjectFault};

/// The longest `iss`, `sub`, `client_id`, `jti`, audience or role, in bytes.
const MAX_TEXT: usize = 1024;
/// The most audiences and the most roles of one token.
const MAX_ITEMS: usize = 256;

/// The claims that are not `own`.
const REGISTERED: [&str; 13] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "scope",
    "auth_time",
    "sid",
    "roles",
    "status",
];

/// Where a token's status stands: one bit of a Token Status List (draft-ietf-oauth-status-list §6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReference {
    /// Which entry of the list.
    pub idx: u64,
    /// Where the list is served.
    pub uri: String,
}

/// The claims of an access token. From a verifier they are proven; its fields are public so that an issuer can
/// write one down, and a value made by hand proves nothing: take an `AccessToken` where proof is wanted.
///
/// # Source
/// RFC 9068 §2.2; RFC 7519 §4.1.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessTokenClaims {
    /// Who issued the token.
    pub iss: String,
    /// Whom it speaks for: a user, or the client itself.
    pub sub: String,
    /// Which APIs it is meant for.
    pub aud: Audience,
    /// From this instant on it is dead.
    pub exp: Timestamp,
    /// Before this instant it is not yet alive.
    pub nbf: Option<Timestamp>,
    /// When it was issued.
    pub iat: Timestamp,
    /// Its own name; no other token has it. Made from the token where its issuer writes none
    /// ([`Relaxation::NoJti`](crate::Relaxation::NoJti)).
    pub jti: String,
    /// The client it was issued to.
    pub client_id: String,
    /// What it may be used for. Empty when there is no `scope`, or one that RFC 6749 §3.3 does not allow.
    pub scope: Scope,
    /// When the user last proved who they are.
    pub auth_time: Option<Timestamp>,
    /// The session it belongs to (OpenID Connect Front-Channel Logout 1.0 §3).
    pub sid: Option<String>,
    /// The roles of the subject (RFC 9068 §2.2.3.1), plain strings.
    pub roles: Vec<String>,
    /// Where to see whether it was revoked, when its issuer publishes that.
    pub status: Option<StatusReference>,
    /// Every other claim, and those from which a [`Relaxation`](crate::Relaxation) read one of the above.
    pub own: Map<String, Value>,
}

impl AccessTokenClaims {
    /// Whether the token has this scope.
    ///
    /// # Errors
    /// A [`Refusal`] with status 403 that names the scope.
    pub fn require_scope(&self, scope: &str) -> Result<(), Refusal> {
        self.check_scope(scope).map_err(Refusal::logged)
    }

    /// Whether the token has this role, byte for byte.
    ///
    /// # Errors
    /// A [`Refusal`] with status 403 that names the role.
    pub fn require_role(&self, role: &str) -> Result<(), Refusal> {
        self.check_role(role).map_err(Refusal::logged)
    }

    pub(crate) fn check_scope(&self, scope: &str) -> Result<(), Refusal> {
        if self.scope.contains(scope) {
            return Ok(());
        }
        Err(Refusal::about(Reason::MissingScope, scope.to_owned()))
    }

    pub(crate) fn check_role(&self, role: &str) -> Result<(), Refusal> {
        if self.roles.iter().any(|one| one == role) {
            return Ok(());
        }
        Err(Refusal::about(Reason::MissingRole, role.to_owned()))
    }

    /// Whether the token has this claim. One that is null, empty or grants nothing does not count.
    pub(crate) fn has(&self, name: &str) -> bool {
        match name {
            "nbf" => self.nbf.is_some(),
            "auth_time" => self.auth_time.is_some(),
            "sid" => self.sid.is_some(),
            "status" => self.status.is_some(),
            "scope" => !self.scope.is_empty(),
            "roles" => !self.roles.is_empty(),
            _ => REGISTERED.contains(&name) || self.own.get(name).is_some_and(|value| !value.is_null()),
        }
    }

    /// Reads the claims set of a token whose signature was checked. Every claim has exactly the JSON type of its
    /// RFC; instants are whole seconds and not negative; no name comes twice. One exception: a `scope` that is no
    /// scope grants nothing instead of refusing the token, so that its sender learns which scope was needed.
    ///
    /// # Errors
    /// A [`Refusal`] (status 401) whose subject is the claim at fault.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Refusal> {
        Self::from_members(Self::members(bytes)?)
    }

    /// The first half: the claims set as it was written.
    pub(crate) fn members(bytes: &[u8]) -> Result<Map<String, Value>, Refusal> {
        strict_json::object(bytes).map_err(|fault| match fault {
            ObjectFault::Malformed => Refusal::new(Reason::MalformedClaims),
            ObjectFault::DuplicateMember => Refusal::new(Reason::DuplicateMember),
        })
    }

    /// The second half: each claim of its type.
    pub(crate) fn from_members(mut rest: Map<String, Value>) -> Result<Self, Refusal> {
        let claims = &mut rest;
        Ok(Self {
            iss: required(text(claims, "iss")?, "iss")?,
            sub: required(text(claims, "sub")?, "sub")?,
            aud: required(audience(claims)?, "aud")?,
            exp: required(instant(claims, "exp")?, "exp")?,
            nbf: instant(claims, "nbf")?,
            iat: required(instant(claims, "iat")?, "iat")?,
            jti: required(text(claims, "jti")?, "jti")?,
            client_id: required(text(claims, "client_id")?, "client_id")?,
            scope: scope(claims),
            auth_time: instant(claims, "auth_time")?,
            sid: text(claims, "sid")?,
            roles: roles(claims)?,
            status: status(claims)?,
            own: rest,
        })
    }
}

fn required<T>(value: Option<T>, name: &'static str) -> Result<T, Refusal> {
    value.ok_or_else(|| Refusal::about(Reason::MissingClaim, name))
}

fn invalid<T>(name: &'static str) -> Result<T, Refusal> {
    Err(Refusal::about(Reason::InvalidClaim, name))
}

fn text(claims: &mut Map<String, Value>, name: &'static str) -> Result<Option<String>, Refusal> {
    match claims.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) if is_bounded(&text) => Ok(Some(text)),
        Some(_) => invalid(name),
    }
}

fn is_bounded(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len())
}

fn texts(items: Vec<Value>, name: &'static str) -> Result<Vec<String>, Refusal> {
    if items.len() > MAX_ITEMS {
        return invalid(name);
    }
    let one = |item| match item {
        Value::String(text) if is_bounded(&text) => Ok(text),
        _ => invalid(name),
    };
    items.into_iter().map(one).collect()
}

/// A `NumericDate` that is a whole number: fractions are allowed by RFC 7519 §2 and written by nobody.
fn instant(claims: &mut Map<String, Value>, name: &'static str) -> Result<Option<Timestamp>, Refusal> {
    match claims.remove(name) {
        None => Ok(None),
        Some(value) => match value.as_i64() {
            Some(seconds) if seconds >= 0 => Ok(Some(Timestamp::from_seconds(seconds))),
            _ => invalid(name),
        },
    }
}

fn audience(claims: &mut Map<String, Value>) -> Result<Option<Audience>, Refusal> {
    match claims.remove("aud") {
        None => Ok(None),
        Some(Value::String(name)) if is_bounded(&name) => Ok(Some(Audience::One(name))),
        Some(Value::Array(names)) if !names.is_empty() => {
            texts(names, "aud").map(|names| Some(Audience::Many(names)))
        }
        Some(_) => invalid("aud"),
    }
}

fn roles(claims: &mut Map<String, Value>) -> Result<Vec<String>, Refusal> {
    match claims.remove("roles") {
        None => Ok(Vec::new()),
        Some(Value::Array(roles)) => texts(roles, "roles"),
        Some(_) => invalid("roles"),
    }
}

/// Other mechanisms than the status list may stand beside it (draft-ietf-oauth-status-list §6.1); they are not ours to
/// read, and a `status` of theirs alone is no reference.
fn status(claims: &mut Map<String, Value>) -> Result<Option<StatusReference>, Refusal> {
    let list = match claims.remove("status") {
        None => return Ok(None),
        Some(Value::Object(mut status)) => status.remove("status_list"),
        Some(_) => return invalid("status"),
    };
    let Some(list) = list else { return Ok(None) };
    let idx = list.get("idx").and_then(Value::as_u64);
    let uri = list.get("uri").and_then(Value::as_str).filter(|uri| is_bounded(uri));
    match (idx, uri) {
        (Some(idx), Some(uri)) => Ok(Some(StatusReference { idx, uri: uri.to_owned() })),
        _ => invalid("status"),
    }
}

fn scope(claims: &mut Map<String, Value>) -> Scope {
    match claims.remove("scope") {
        None => Scope::empty(),
        Some(value) => value.as_str().and_then(|text| Scope::parse(text).ok()).unwrap_or_else(|| {
            tracing::debug!("a `scope` claim is not words one space apart: it grants nothing");
            Scope::empty()
        }),
    }
}

/// Writes the claims set; absent claims are left out.
impl Serialize for AccessTokenClaims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(name) = REGISTERED.iter().find(|name| self.own.contains_key(**name)) {
            return Err(S::Error::custom(format_args!("own claims repeat `{name}`")));
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("iss", &self.iss)?;
        map.serialize_entry("sub", &self.sub)?;
        map.serialize_entry("aud", &self.aud)?;
        map.serialize_entry("exp", &self.exp)?;
        if let Some(nbf) = &self.nbf {
            map.serialize_entry("nbf", nbf)?;
        }
        map.serialize_entry("iat", &self.iat)?;
        map.serialize_entry("jti", &self.jti)?;
        map.serialize_entry("client_id", &self.client_id)?;
        if !self.scope.is_empty() {
            map.serialize_entry("scope", &self.scope)?;
        }
        if let Some(auth_time) = &self.auth_time {
            map.serialize_entry("auth_time", auth_time)?;
        }
        if let Some(sid) = &self.sid {
            map.serialize_entry("sid", sid)?;
        }
        if !self.roles.is_empty() {
            map.serialize_entry("roles", &self.roles)?;
        }
        if let Some(StatusReference { idx, uri }) = &self.status {
            let reference = serde_json::json!({ "status_list": { "idx": idx, "uri": uri } });
            map.serialize_entry("status", &reference)?;
        }
        for (name, value) in &self.own {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
