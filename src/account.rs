//! Who an account is: its id, its sign-in name, its display name and its roles.
//!
//! Every type here is parsed once, at the edge; a value of it is already right.

use std::fmt;

use serde::Serialize;
use signet_guard::Timestamp;
use unicode_normalization::UnicodeNormalization;

/// Why a value was refused, in words for the person who sent it. Never repeats the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub &'static str);

/// The subject (`sub`) of every token of this account: a random UUID, never reused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct UserId(String);

impl UserId {
    /// A new random id (UUID version 4).
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }

    /// An id read back from storage or a verified token.
    ///
    /// # Errors
    /// When it is not a UUID in its canonical spelling.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        match uuid::Uuid::try_parse(value) {
            Ok(uuid) if uuid.hyphenated().to_string() == value => Ok(Self(value.to_owned())),
            _ => Err(Invalid("must be a UUID in lower case")),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An e-mail address as sign-in name, normalised so that every spelling names one account:
/// surrounding white space removed, NFKC, lower case, the domain in its ASCII (A-label) form.
///
/// The part before the `@` must be an RFC 5322 `dot-atom` in ASCII. That refuses quoted and internationalised
/// local parts, and with them every invisible or look-alike character that could make two accounts of one name.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

impl Email {
    /// Longest address accepted, in bytes (RFC 5321 §4.5.3.1.3 less the angle brackets).
    pub const MAX_BYTES: usize = 254;

    /// Normalises and checks an address.
    ///
    /// # Errors
    /// When it is not `local@domain` with an ASCII `dot-atom` before the `@` and a host name behind it.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        // NFKC may grow a string eighteenfold: bound the work before doing it.
        if value.len() > 4 * Self::MAX_BYTES {
            return Err(Invalid("must be at most 254 bytes long"));
        }
        let folded: String = value.trim().nfkc().flat_map(char::to_lowercase).collect();
        let Some((local, domain)) = folded.rsplit_once('@') else {
            return Err(Invalid("must be an e-mail address, such as ann@example.com"));
        };
        if local.is_empty() || local.len() > 64 || !local.split('.').all(is_atom) {
            return Err(Invalid(
                "must have 1 to 64 ASCII letters, digits, dots or !#$%&'*+-/=?^_`{|}~ before the @",
            ));
        }
        let domain = domain_to_ascii(domain)?;
        let address = format!("{local}@{domain}");
        if address.len() > Self::MAX_BYTES {
            return Err(Invalid("must be at most 254 bytes long"));
        }
        Ok(Self(address))
    }

    /// The normalised address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the `@`.
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// The host name behind the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// Personal data: `Debug` must not carry it into a log.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(***)")
    }
}

fn is_atom(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
}

fn domain_to_ascii(domain: &str) -> Result<String, Invalid> {
    const REASON: Invalid = Invalid("must have a host name behind the @, such as example.com");
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| REASON)?;
    let labels_fit = ascii.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    });
    if labels_fit && ascii.len() <= 253 { Ok(ascii) } else { Err(REASON) }
}

/// The name an account shows to people: 1 to 100 code points on one line, kept as typed but for NFC and
/// surrounding white space. It may hold markup; whoever prints it escapes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DisplayName(String);

impl DisplayName {
    /// Longest name, in code points.
    pub const MAX_CHARS: usize = 100;

    /// Checks a name.
    ///
    /// # Errors
    /// When there is nothing to see in it, it is too long, or holds control, line-breaking or direction-changing characters.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        if value.len() > 16 * Self::MAX_CHARS {
            return Err(Invalid("must be at most 100 characters long"));
        }
        let name: String = value.trim().nfc().collect();
        if name.chars().all(is_invisible) {
            return Err(Invalid("must not be empty; leave it out instead"));
        }
        if name.chars().count() > Self::MAX_CHARS {
            return Err(Invalid("must be at most 100 characters long"));
        }
        if name.chars().any(is_unprintable) {
            return Err(Invalid("must be one line of text without control characters"));
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, line and paragraph separators, and the bidirectional overrides that make text lie.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// What takes no ink: alone it makes a name that looks like none. Between others it is needed, as in many emoji.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
        )
        || matches!(c, '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}

/// A role: 1 to 32 of `a-z 0-9 . _ : -`, beginning with a letter or digit. The operator gives it a meaning.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Role(String);

impl Role {
    /// Most roles of one account: they travel in every token, and a request's header has little room.
    pub const MOST: usize = 32;

    /// Checks a role name.
    ///
    /// # Errors
    /// When it is empty, longer than 32 bytes or holds another character.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        let fits = (1..=32).contains(&value.len())
            && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._:-".contains(&b))
            && value.as_bytes()[0].is_ascii_alphanumeric();
        if fits {
            Ok(Self(value.to_owned()))
        } else {
            Err(Invalid("must be 1 to 32 of a-z 0-9 . _ : - and begin with a letter or digit"))
        }
    }

    /// The role as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its subject identifier.
    pub id: UserId,
    /// Its sign-in name.
    pub email: Email,
    /// What it is called, if it said so.
    pub name: Option<DisplayName>,
    /// Its roles, sorted, without repetition.
    pub roles: Vec<Role>,
    /// Counts every event after which a sign-in that began earlier must not succeed: disabling, deleting, a new
    /// password.
    pub credential_version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its last successful sign-in.
    pub last_sign_in: Option<Timestamp>,
    /// Since when it may not sign in, if so.
    pub disabled_at: Option<Timestamp>,
}
