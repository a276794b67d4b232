//! JSON objects in which no member name comes twice: RFC 7515 §4 and RFC 7519 §4 leave a reader the choice to
//! refuse them, and two readers that choose differently see two different tokens.

use std::collections::HashSet;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Why bytes are no acceptable object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectFault {
    /// Not JSON, not an object, nested too deep, or followed by something.
    Malformed,
    /// A member name comes twice, at whatever depth.
    DuplicateMember,
}

/// Reads one object; a repeated member name at any depth refuses it. Nesting is bounded by serde_json (127).
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, ObjectFault> {
    // Two passes, because only serde_json's own `Value` reader knows how numbers look under every feature that
    // another crate of the binary may have switched on (`arbitrary_precision`).
    let map = serde_json::from_slice::<Map<String, Value>>(bytes).map_err(|_| ObjectFault::Malformed)?;
    serde_json::from_slice::<Unique>(bytes).map_err(|_| ObjectFault::DuplicateMember)?;
    Ok(map)
}

/// Any JSON value in which no object repeats a name.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated member names")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_str<E>(self, _: &str) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unique, A::Error> {
        while items.next_element::<Unique>()?.is_some() {}
        Ok(Unique)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Unique, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !names.insert(name) {
                return Err(de::Error::custom("repeated member name"));
            }
            members.next_value::<Unique>()?;
        }
        Ok(Unique)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn repeated_names_are_refused_at_every_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":{"b":1,"b":2}}"#, r#"{"a":[{"b":1,"\u0062":2}]}"#] {
            assert_eq!(object(text.as_bytes()), Err(ObjectFault::DuplicateMember), "{text}");
        }
        assert!(object(br#"{"a":{"a":1},"b":[{"a":1},{"a":1}],"c":[1,-1,0.5,true,null,"x"]}"#).is_ok());
    }

    #[test]
    fn only_one_object_is_an_object() {
        let deep = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
        for text in ["", "[]", "1", "null", "{}x", "{} {}", "{\"a\":}", "\u{feff}{}", deep.as_str()] {
            assert_eq!(object(text.as_bytes()), Err(ObjectFault::Malformed), "{text}");
        }
    }
}
