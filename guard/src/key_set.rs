//! The keys an issuer publishes: RFC 7517 §5.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::jwk::{MAX_KEY_ID, SkipReason};
use crate::verifying_key::VerifyingKey;

/// The largest set that is read, in bytes.
const MAX_SIZE: usize = 256 * 1024;
/// The most keys a set may hold.
const MAX_KEYS: usize = 100;

/// Why bytes are no JWK Set at all. A single bad key does not come here: it is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// More than 256 KiB.
    #[error("the JWK Set is larger than 256 KiB")]
    TooLarge,
    /// Not a JSON object with one array `keys`.
    #[error("not a JWK Set: expected a JSON object with an array `keys`")]
    Malformed,
    /// More than 100 keys.
    #[error("the JWK Set holds more than 100 keys")]
    TooManyKeys,
}

/// A key that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its `kid`, when it has a usable one.
    pub kid: Option<String>,
    /// Why it is not used.
    pub reason: SkipReason,
}

/// The public keys of one issuer. Each `kid` names one key, each key belongs to one algorithm.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: HashMap<String, Arc<VerifyingKey>>,
    skipped: Vec<SkippedKey>,
}

impl KeySet {
    /// Reads a JWK Set key by key. Keys that are unknown, weak, ambiguous or not for checking signatures are
    /// left out and listed by [`KeySet::skipped`]: one odd key must not take the others with it.
    ///
    /// # Errors
    /// [`KeySetError`] when the bytes are no JWK Set, or one beyond 100 keys or 256 KiB.
    ///
    /// # Source
    /// RFC 7517 §5; RFC 7518 §6.2.1 and §6.3.1; RFC 8037 §2.
    pub fn from_json(bytes: &[u8]) -> Result<Self, KeySetError> {
        if bytes.len() > MAX_SIZE {
            return Err(KeySetError::TooLarge);
        }
        let document: Document = serde_json::from_slice(bytes).map_err(|_| KeySetError::Malformed)?;
        if document.keys.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys);
        }
        let mut set = Self::default();
        let mut bearers: HashMap<&str, usize> = HashMap::new();
        for kid in document.keys.iter().filter_map(Member::key_id) {
            *bearers.entry(kid).or_default() += 1;
        }
        for member in &document.keys {
            let kid = member.key_id();
            let usable = member.key().and_then(|key| match kid {
                None => Err(SkipReason::NoKeyId),
                Some(kid) if bearers.get(kid) == Some(&1) => Ok(key),
                Some(_) => Err(SkipReason::DuplicateKeyId),
            });
            match usable {
                Ok(key) => drop(set.keys.insert(key.id().to_owned(), Arc::new(key))),
                Err(reason) => set.skipped.push(SkippedKey { kid: kid.map(str::to_owned), reason }),
            }
        }
        Ok(set)
    }

    pub(crate) fn key(&self, kid: &str) -> Option<&Arc<VerifyingKey>> {
        self.keys.get(kid)
    }

    /// Whether this very key is still published under its name.
    pub(crate) fn holds(&self, key: &Arc<VerifyingKey>) -> bool {
        self.key(key.id()).is_some_and(|published| Arc::ptr_eq(published, key) || published.is(key))
    }

    /// Whether the set has a usable key of this id.
    pub fn contains(&self, kid: &str) -> bool {
        self.keys.contains_key(kid)
    }

    /// The ids of the usable keys, in no order.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// How many keys are usable.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key is usable.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that were left out.
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }
}

#[derive(serde::Deserialize)]
struct Document {
    keys: Vec<Member>,
}

/// One element of `keys`, whatever it is.
enum Member {
    Object(Map<String, Value>),
    RepeatsAName,
    NoObject,
}

impl Member {
    fn key_id(&self) -> Option<&str> {
        let Self::Object(members) = self else { return None };
        let kid = members.get("kid")?.as_str()?;
        (!kid.is_empty() && kid.len() <= MAX_KEY_ID).then_some(kid)
    }

    fn key(&self) -> Result<VerifyingKey, SkipReason> {
        match self {
            Self::NoObject => Err(SkipReason::Malformed),
            Self::RepeatsAName => Err(SkipReason::DuplicateMember),
            Self::Object(members) if members.get("kid").is_some_and(|kid| !kid.is_string()) => {
                Err(SkipReason::Malformed)
            }
            Self::Object(members) => VerifyingKey::from_jwk(self.key_id().unwrap_or_default(), members),
        }
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemberVisitor)
    }
}

struct MemberVisitor;

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JWK")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Member, E> {
        Ok(Member::NoObject)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Member, E> {
        Ok(Member::NoObject)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Member, E> {
        Ok(Member::NoObject)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Member, E> {
        Ok(Member::NoObject)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Member, E> {
        Ok(Member::NoObject)
    }

    fn visit_unit<E>(self) -> Result<Member, E> {
        Ok(Member::NoObject)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Member, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Member::NoObject)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Member, A::Error> {
        let mut members = Map::new();
        let mut repeats = false;
        while let Some((name, value)) = entries.next_entry::<String, Value>()? {
            repeats |= members.insert(name, value).is_some();
        }
        Ok(if repeats { Member::RepeatsAName } else { Member::Object(members) })
    }
}
