//! `registration`: whether anybody may make an account.

use super::issuer::Issuer;
use super::parse::{quote, word};
use super::reader::Reader;

/// Whether anybody may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Anybody who reaches the service may.
    Open,
    /// Only the operator makes accounts.
    Closed,
}

impl Registration {
    /// What `auto` means: open on an issuer that names this machine, closed elsewhere.
    pub fn for_issuer(issuer: &Issuer) -> Self {
        if issuer.is_loopback() { Self::Open } else { Self::Closed }
    }

    pub(super) fn read(reader: &mut Reader, issuer: &Issuer) -> Self {
        const WORDS: &[(&str, Option<Registration>)] =
            &[("auto", None), ("open", Some(Registration::Open)), ("closed", Some(Registration::Closed))];
        reader.take("registration", word(WORDS)).flatten().unwrap_or_else(|| Self::for_issuer(issuer))
    }

    pub(super) fn lines(self) -> Vec<(&'static str, String)> {
        let word = match self {
            Self::Open => "open",
            Self::Closed => "closed",
        };
        vec![("registration", quote(word))]
    }
}
