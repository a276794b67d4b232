//! For whom a token is meant: RFC 7519 §4.1.3.

use serde::{Serialize, Serializer};

/// For whom a token is meant: one name or several, as `aud` was written (RFC 7519 §4.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// A single string.
    One(String),
    /// An array of strings, never empty in a verified token.
    Many(Vec<String>),
}

impl Audience {
    /// Whether `name` is among them, byte for byte.
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|one| one == name)
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names.as_slice(),
        }
        .iter()
        .map(String::as_str)
    }
}

impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(name) => serializer.serialize_str(name),
            Self::Many(names) => names.serialize(serializer),
        }
    }
}
