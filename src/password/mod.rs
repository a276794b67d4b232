//! Passwords: what one may be ([`Policy`]), and how one is kept and compared ([`Hasher`]).

mod blocklist;
mod budget;
mod hasher;
mod memory;
mod pattern;
mod phc;
mod policy;

use std::fmt;
use std::sync::Arc;

use unicode_normalization::{UnicodeNormalization, is_nfc};
use zeroize::Zeroizing;

pub use budget::{BudgetError, Offer, kernel_of, offers};
pub use hasher::{HashError, Hasher, HasherError, Place, Verdict};
pub use phc::PhcString;
pub use policy::{Context, Policy, PolicyFault};

/// A password as somebody typed it, in Unicode normalisation form C and otherwise untouched: no trimming, no case
/// folding, no truncation; white space and NUL count. Wiped when dropped.
///
/// NFC makes a password typed on one keyboard match the same characters typed on another (NIST SP 800-63B-4
/// §3.1.1.2 asks for it before hashing).
pub struct Password(Arc<Zeroizing<String>>);

impl Password {
    /// Takes a password; what it was made of is wiped.
    pub fn new(typed: impl Into<Zeroizing<String>>) -> Self {
        let typed = typed.into();
        if is_nfc(&typed) {
            return Self(Arc::new(typed));
        }
        // NFC may treble the bytes; room for that now means that growing leaves no copy behind.
        let mut normal = Zeroizing::new(String::with_capacity(typed.len().saturating_mul(3)));
        normal.extend(typed.nfc());
        Self(Arc::new(normal))
    }

    /// The same password for a second use: the bytes are shared, not copied, and wiped with the last holder.
    #[must_use]
    pub fn share(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// Its length in code points, the unit of every limit on passwords.
    pub fn length(&self) -> usize {
        self.0.chars().count()
    }

    /// Whether it has more than `max` code points: longer ones are never hashed.
    pub fn exceeds(&self, max: usize) -> bool {
        self.0.chars().nth(max).is_some()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A password must not reach a log.
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_counted_in_code_points_of_the_normal_form() {
        for (typed, length) in [("", 0), ("abc", 3), (" é ", 3), ("e\u{301}", 1), ("🦀🦀", 2), ("\0", 1)]
        {
            let password = Password::new(typed.to_owned());
            assert_eq!(password.length(), length, "{typed:?}");
            assert!(!password.exceeds(length), "{typed:?}");
            assert!(length == 0 || password.exceeds(length - 1), "{typed:?}");
        }
    }

    #[test]
    fn normalising_never_outgrows_the_room_made_for_it() {
        // U+0390 and U+1D160 are the worst expansions of NFC in UTF-8.
        for typed in ["\u{390}".repeat(50), "\u{1d160}".repeat(50), "e\u{301}".repeat(50)] {
            let room = typed.len() * 3;
            assert!(Password::new(typed).as_str().len() <= room);
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Password::new("canary".to_owned())), "Password(***)");
    }
}
