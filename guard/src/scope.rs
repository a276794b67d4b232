//! What a token may be used for: RFC 6749 §3.3.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a text is no scope: it is empty, has a space too many, or a character RFC 6749 §3.3 does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a scope: one or more words of printable ASCII without quote or backslash, one space apart")]
pub struct InvalidScope;

/// One word of a scope: one or more of `%x21 / %x23-5B / %x5D-7E`, compared byte for byte.
///
/// # Source
/// RFC 6749 §3.3.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeToken(String);

impl ScopeToken {
    /// Takes `text` as one scope token.
    ///
    /// # Errors
    /// [`InvalidScope`] when it is empty or holds a character the RFC does not allow, a space among them.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        let allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        if text.is_empty() || !text.bytes().all(allowed) {
            return Err(InvalidScope);
        }
        Ok(Self(text.to_owned()))
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for ScopeToken {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ScopeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A set of scope tokens; may be empty. Printed with one space between the tokens, sorted.
///
/// # Source
/// RFC 6749 §3.3.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope(BTreeSet<ScopeToken>);

impl Scope {
    /// The scope that allows nothing.
    pub const fn empty() -> Self {
        Self(BTreeSet::new())
    }

    /// Reads scope tokens with exactly one space between them; a repeated token counts once.
    ///
    /// # Errors
    /// [`InvalidScope`] for an empty text (say "no scope" by leaving the parameter out), leading, trailing or
    /// doubled spaces, and characters the RFC does not allow.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        text.split(' ').map(ScopeToken::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether `token` is in the set, byte for byte.
    pub fn contains(&self, token: &str) -> bool {
        self.0.contains(token)
    }

    /// Whether the set has no token.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tokens, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &ScopeToken> {
        self.0.iter()
    }
}

impl FromIterator<ScopeToken> for Scope {
    fn from_iter<I: IntoIterator<Item = ScopeToken>>(tokens: I) -> Self {
        Self(tokens.into_iter().collect())
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, token) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(token.as_str())?;
        }
        Ok(())
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_a_set_of_tokens_one_space_apart() {
        let scope = Scope::parse("write read read").unwrap();
        assert_eq!(scope.to_string(), "read write");
        assert!(scope.contains("read"));
        assert!(!scope.contains("rea"));
        assert!(!scope.contains("read write"));
        assert!(!scope.contains(""));
    }

    #[test]
    fn odd_texts_are_no_scope() {
        for text in
            ["", " ", " read", "read ", "read  write", "read\twrite", "re\"ad", "re\\ad", "é", "a\u{7f}"]
        {
            assert_eq!(Scope::parse(text), Err(InvalidScope), "{text:?}");
        }
    }

    #[test]
    fn json_form_is_one_string() {
        let scope: Scope = serde_json::from_str("\"a b\"").unwrap();
        assert_eq!(serde_json::to_string(&scope).unwrap(), "\"a b\"");
        assert!(serde_json::from_str::<Scope>("[\"a\"]").is_err());
    }
}
