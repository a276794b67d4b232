//! What a new password may be: NIST SP 800-63B-4 §3.1.1.2.
//!
//! Long, not composed: no rule asks for digits or symbols, because such rules make passwords worse. What attackers try
//! first is refused: common passwords, patterns, and words the account itself gives away.

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::Password;
use super::blocklist::is_common;
use super::pattern::{is_repetition, is_run};
use crate::account::{DisplayName, Email};

/// What must be left of a password without the words that its account gives away, in code points.
const LEFT_AT_LEAST: usize = 8;

/// The shortest word that counts as given away: shorter ones are in every phrase.
const SHORTEST_WORD: usize = 4;

/// What an attacker knows about the account that a password is chosen for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// Its sign-in name.
    pub email: Option<&'a Email>,
    /// What it is called.
    pub name: Option<&'a DisplayName>,
}

/// Why a password was refused, as a sentence for the person who chose it. Never repeats the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFault {
    /// Too short.
    #[error("must be at least {min} characters long: take a sentence of a few unrelated words")]
    TooShort {
        /// The least length in code points.
        min: usize,
    },
    /// Too long.
    #[error("must be at most {max} characters long: shorten it")]
    TooLong {
        /// The greatest length in code points.
        max: usize,
    },
    /// One of the passwords that attackers try first.
    #[error("is one of the passwords that attackers try first: choose something that is yours alone")]
    Common,
    /// A short unit over and over.
    #[error("repeats one short piece over and over: choose several different words")]
    Repeated,
    /// Runs along the alphabet, the digits or the keyboard.
    #[error("follows the alphabet, the digits or a row of the keyboard: choose several unrelated words")]
    Sequence,
    /// Too little but what the account gives away.
    #[error(
        "is little more than the e-mail address, the name or the name of this service: choose words that have nothing to do with them"
    )]
    Context,
}

impl PolicyFault {
    /// A stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooShort { .. } => "too-short",
            Self::TooLong { .. } => "too-long",
            Self::Common => "common",
            Self::Repeated => "repetition",
            Self::Sequence => "sequence",
            Self::Context => "context",
        }
    }
}

/// The rules for new passwords. Sign-in checks no policy: an old password stays valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    min: usize,
    max: usize,
}

impl Policy {
    /// Passwords of `min` to `max` code points.
    pub const fn new(min: usize, max: usize) -> Self {
        Self { min, max }
    }

    /// Checks a new password.
    ///
    /// # Errors
    /// Every fault found; never an empty list.
    pub fn check(&self, password: &Password, context: &Context<'_>) -> Result<(), Vec<PolicyFault>> {
        if password.exceeds(self.max) {
            // Alone: the other checks are for passwords of bounded length.
            return Err(vec![PolicyFault::TooLong { max: self.max }]);
        }
        let lower = Zeroizing::new(password.as_str().to_lowercase());
        let chars: Zeroizing<Vec<char>> = Zeroizing::new(lower.chars().collect());
        let mut faults = Vec::new();
        if password.length() < self.min {
            faults.push(PolicyFault::TooShort { min: self.min });
        }
        // One of the two pattern faults is enough to say.
        if is_repetition(&chars, self.min) {
            faults.push(PolicyFault::Repeated);
        } else if is_run(&chars) {
            faults.push(PolicyFault::Sequence);
        }
        if is_common_at_heart(&lower) {
            faults.push(PolicyFault::Common);
        }
        if is_given_away(&lower, context) {
            faults.push(PolicyFault::Context);
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

/// Common as it stands, or once the digits and signs that people put around a word are taken off.
fn is_common_at_heart(lower: &str) -> bool {
    is_common(lower) || is_common(lower.trim_matches(|c: char| !c.is_alphabetic()))
}

/// Whether too little, or only something common, is left without the words of the context.
fn is_given_away(lower: &str, context: &Context<'_>) -> bool {
    let words = words_of(context);
    let mut rest = Zeroizing::new(lower.to_owned());
    // Again until nothing changes, because taking a word out may join the halves of another.
    while let Some(word) = words.iter().find(|word| rest.contains(word.as_str())) {
        rest = Zeroizing::new(rest.replace(word.as_str(), ""));
    }
    if rest.len() == lower.len() {
        return false;
    }
    let chars: Zeroizing<Vec<char>> = Zeroizing::new(rest.chars().collect());
    chars.len() < LEFT_AT_LEAST || is_common_at_heart(&rest) || is_run(&chars)
}

/// The words in lower case, longest first.
fn words_of(context: &Context<'_>) -> Vec<String> {
    let mut words = vec!["signet".to_owned()];
    if let Some(email) = context.email {
        words.extend([email.as_str(), email.local_part(), email.domain()].map(str::to_owned));
        words.extend(email.local_part().split(|c: char| !c.is_alphanumeric()).map(str::to_owned));
        let labels = email.domain().rsplit_once('.').map_or(email.domain(), |(labels, _)| labels);
        words.extend(labels.split('.').map(str::to_owned));
    }
    if let Some(name) = context.name {
        let name: String = name.as_str().to_lowercase().nfc().collect();
        words.extend(name.split(|c: char| !c.is_alphanumeric()).map(str::to_owned));
        words.push(name);
    }
    words.retain(|word| word.chars().count() >= SHORTEST_WORD);
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    words
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy::new(15, 256);

    fn codes(policy: Policy, password: &str, context: &Context<'_>) -> Vec<&'static str> {
        match policy.check(&Password::new(password.to_owned()), context) {
            Ok(()) => Vec::new(),
            Err(faults) => faults.iter().map(PolicyFault::code).collect(),
        }
    }

    fn plain(password: &str) -> Vec<&'static str> {
        codes(POLICY, password, &Context::default())
    }

    #[test]
    fn a005_fourteen_code_points_are_refused_and_fifteen_accepted() {
        assert_eq!(plain("moonlit harbou"), ["too-short"]);
        assert!(plain("moonlit harbour").is_empty());
        // Code points of the normal form, not bytes and not what was typed.
        assert_eq!(plain("žluťoučký kůň "), ["too-short"]);
        assert!(plain("žluťoučký kůň ú").is_empty());
        assert_eq!(plain("moonlit harbo\u{75}\u{301}"), ["too-short"]);
        assert!(plain(" spaces  count ").is_empty());
    }

    #[test]
    fn a013_common_and_context_passwords_are_refused_with_the_reason() {
        for common in [
            "manchesterunited",
            "CorrectHorseBatteryStaple",
            "Password1234567",
            "administrator!!",
            "...iloveyou...99",
        ] {
            assert!(plain(common).contains(&"common"), "{common}");
        }
        assert_eq!(plain("passwordpassword"), ["repetition", "common"]);
        assert_eq!(plain("abcabcabcabcabc"), ["repetition"]);
        assert_eq!(plain("aaaaaaaaaaaaaaaa"), ["repetition"]);
        assert_eq!(plain("abcdefghijklmno"), ["sequence"]);
        assert_eq!(plain("098765432109876"), ["sequence"]);
        let email = Email::parse("annabel.lee@poe-museum.example").unwrap();
        let name = DisplayName::parse("Annabel Wintersmith").unwrap();
        let context = Context { email: Some(&email), name: Some(&name) };
        for given_away in [
            "annabel.lee@poe-museum.example",
            "ANNABEL.lee-2026",
            "poe-museum-2026!",
            "Annabel Wintersmith",
            "Wintersmith1234567",
            "annabel-wintersmith-1",
            "signet-wintersmith",
            "sigsignetnet1234",
            "Signet-password1",
        ] {
            assert_eq!(codes(POLICY, given_away, &context), ["context"], "{given_away}");
        }
        assert!(codes(POLICY, "annabel keeps eleven quiet geese", &context).is_empty());
        assert_eq!(plain("signet-signet-1"), ["context"]);
    }

    #[test]
    fn a013_a_hundred_characters_without_digits_or_symbols_pass() {
        let phrase = "the lighthouse keeper counts every gull before breakfast and forgets the number again by noon sharp";
        assert!(phrase.len() >= 99);
        assert!(plain(phrase).is_empty());
    }

    #[test]
    fn a004_sixty_four_characters_pass_and_the_maximum_holds() {
        let text = |length: usize| -> String {
            "quiet geese walk home over frozen fields, ".chars().cycle().take(length).collect()
        };
        for length in [64, 128, 256] {
            assert!(plain(&text(length)).is_empty(), "{length}");
        }
        assert_eq!(plain(&text(257)), ["too-long"]);
        assert_eq!(plain(&text(1 << 20)), ["too-long"]);
    }

    #[test]
    fn a_low_minimum_still_refuses_what_is_common() {
        let policy = Policy::new(8, 128);
        for (password, wanted) in [
            ("password", "common"),
            ("qwertyui", "sequence"),
            ("abcdabcd", "repetition"),
            ("sunshine", "common"),
        ] {
            assert!(codes(policy, password, &Context::default()).contains(&wanted), "{password}");
        }
        assert!(codes(policy, "kv9-trum", &Context::default()).is_empty());
    }

    #[test]
    fn no_sentence_repeats_the_password() {
        let faults = POLICY.check(&Password::new("letmein".to_owned()), &Context::default()).unwrap_err();
        for fault in faults {
            assert!(!fault.to_string().contains("letmein"));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_judged_and_every_refusal_has_a_reason(text in "\\PC{0,60}", min in 8_usize..=64) {
            if let Err(faults) = Policy::new(min, 256).check(&Password::new(text), &Context::default()) {
                proptest::prop_assert!(!faults.is_empty());
            }
        }

        #[test]
        fn no_dress_makes_the_context_acceptable(
            before in "[0-9!.-]{0,3}", after in "[0-9!.-]{0,4}", upper in proptest::bool::ANY,
        ) {
            let email = Email::parse("annabel.lee@poe-museum.example").unwrap();
            let context = Context { email: Some(&email), name: None };
            let core = if upper { email.as_str().to_uppercase() } else { email.as_str().to_owned() };
            let faults = codes(POLICY, &format!("{before}{core}{after}"), &context);
            proptest::prop_assert!(faults.contains(&"context"));
        }
    }
}
