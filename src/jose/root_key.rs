//! Root keys: the one secret an operator keeps. Everything secret in the database is sealed under one of them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::root_key_file as file;
use crate::config::RootKeySource;

/// Bytes of a root key.
const KEY_BYTES: usize = 32;

/// Separates our derived keys from those of any other use of the same secret (RFC 5869 §3.1).
const SALT: &[u8] = b"signet/v1";

/// Why there are no root keys, with the way to mend it.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// The file is there and cannot be read.
    #[error("cannot read the root key file {}: {source}; give Signet's user the right to read it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The path names a folder, a pipe or a device.
    #[error("{} is no regular file; name the root key file in keys.root_key_file", path.display())]
    NotAFile {
        /// What was found.
        path: PathBuf,
    },
    /// Others than the owner may read or change the file.
    #[error("the root key file {0} can be read by others (mode {mode:04o}); run: chmod 600 {0}", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The text is no list of root keys.
    #[error("{origin}, line {line}: {problem}; restore the root key from your backup")]
    Malformed {
        /// The file, or the environment variable.
        origin: String,
        /// Counted from one.
        line: usize,
        /// What is wrong with it; never the line itself.
        problem: &'static str,
    },
    /// The text holds no key.
    #[error("{origin} holds no root key; restore it from your backup")]
    Empty {
        /// The file, or the environment variable.
        origin: String,
    },
    /// A new file could not be written.
    #[error("cannot write the root key file {}: {source}; Signet's user needs the right to write there", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A key cannot be added: the text does not come from a file, or nothing can be written beside it.
    #[error(
        "{origin} cannot be changed from here ({source}): add the line by hand wherever it comes from, under the next \
         number (`echo \"2 $(openssl rand 32 | basenc --base64url | tr -d =)\"`), and give it to every replica"
    )]
    Fixed {
        /// The file, or the environment variable.
        origin: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The crypto library gave no random bytes, or derived no key.
    #[error("the crypto library refused to make or derive a root key")]
    Engine,
}

/// A root key's name: its number, and eight hexadecimal digits derived from the key, which tell two keys of one number
/// apart and reveal nothing. `1-9f3a0c12`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RootKeyId {
    number: u32,
    fingerprint: [u8; 4],
}

impl RootKeyId {
    /// Its number in the file.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The four bytes of the fingerprint.
    pub(super) const fn fingerprint(&self) -> [u8; 4] {
        self.fingerprint
    }
}

impl fmt::Display for RootKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:08x}", self.number, u32::from_be_bytes(self.fingerprint))
    }
}

/// The text is no root key id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a root key id such as 1-9f3a0c12")]
pub struct InvalidRootKeyId;

impl FromStr for RootKeyId {
    type Err = InvalidRootKeyId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, fingerprint) = text.split_once('-').ok_or(InvalidRootKeyId)?;
        let id = Self {
            number: number.parse().map_err(|_| InvalidRootKeyId)?,
            fingerprint: u32::from_str_radix(fingerprint, 16).map_err(|_| InvalidRootKeyId)?.to_be_bytes(),
        };
        // Only the one spelling: `+1`, `01` and upper case are others.
        if id.to_string() == text { Ok(id) } else { Err(InvalidRootKeyId) }
    }
}

/// One root key. It is never used itself, only what HKDF-SHA256 derives from it (RFC 5869).
pub struct RootKey {
    id: RootKeyId,
    secret: Zeroizing<[u8; KEY_BYTES]>,
}

impl RootKey {
    fn new(number: u32, secret: Zeroizing<[u8; KEY_BYTES]>) -> Result<Self, RootKeyError> {
        let mut key = Self { id: RootKeyId { number, fingerprint: [0; 4] }, secret };
        let mut fingerprint = [0; 4];
        key.derive(b"id", &mut fingerprint)?;
        key.id.fingerprint = fingerprint;
        Ok(key)
    }

    /// Its name.
    pub const fn id(&self) -> RootKeyId {
        self.id
    }

    /// Fills `derived` with a key for one purpose, independent of those for all others.
    pub(super) fn derive(&self, purpose: &[u8], derived: &mut [u8]) -> Result<(), RootKeyError> {
        struct Length(usize);
        impl KeyType for Length {
            fn len(&self) -> usize {
                self.0
            }
        }
        Salt::new(HKDF_SHA256, SALT)
            .extract(&*self.secret)
            .expand(&[purpose], Length(derived.len()))
            .and_then(|okm| okm.fill(derived))
            .map_err(|_| RootKeyError::Engine)
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootKey({})", self.id)
    }
}

/// The root keys of one file, or of `SIGNET_ROOT_KEY`. At least one.
#[derive(Debug)]
pub struct RootKeys(Vec<RootKey>);

impl RootKeys {
    /// Reads the root keys. `None`: the file does not exist. A database that holds sealed secrets must then stop the
    /// start, never lead to a new key.
    ///
    /// # Errors
    /// When it cannot be read, can be read by others, or holds anything but root keys. All-zero keys are refused.
    pub fn load(source: &RootKeySource) -> Result<Option<Self>, RootKeyError> {
        match source {
            RootKeySource::Value(value) => {
                // Several keys with commas in between; neither sign is one of base64url.
                let signs = |sign| match sign {
                    ':' => ' ',
                    ',' => '\n',
                    other => other,
                };
                let mut lines = Zeroizing::new(String::with_capacity(value.expose().len()));
                lines.extend(value.expose().chars().map(signs));
                Self::parse(&lines, "SIGNET_ROOT_KEY").map(Some)
            }
            RootKeySource::File(path) => match file::read(path)? {
                Some(text) => Self::parse(&text, &path.display().to_string()).map(Some),
                None => Ok(None),
            },
        }
    }

    /// Makes a root key and writes it to a new file that only its owner can read. Whoever loses a race for the file
    /// gets the winner's key.
    ///
    /// # Errors
    /// When the file cannot be written, or the winner's cannot be read.
    pub fn create(path: &Path) -> Result<Self, RootKeyError> {
        let line = new_line(1)?;
        file::write_new(path, &Zeroizing::new(format!("{}{}", file::PREAMBLE, *line)))?;
        // Read back whatever is there now, so that winner and loser take the same way.
        Self::load(&RootKeySource::File(path.to_owned()))?
            .ok_or_else(|| RootKeyError::Empty { origin: path.display().to_string() })
    }

    /// Makes a root key that waits to be appended to the file, under the next number. Whoever else adds one meanwhile
    /// waits.
    ///
    /// # Errors
    /// When there is no file, or it cannot be changed.
    pub fn prepare_addition(source: &RootKeySource) -> Result<AddedRootKey, RootKeyError> {
        let fixed =
            |origin: String, kind: std::io::ErrorKind| RootKeyError::Fixed { origin, source: kind.into() };
        let RootKeySource::File(path) = source else {
            return Err(fixed("SIGNET_ROOT_KEY".to_owned(), std::io::ErrorKind::Unsupported));
        };
        let origin = path.display().to_string();
        let held =
            file::HeldFile::take(path)?.ok_or_else(|| RootKeyError::Empty { origin: origin.clone() })?;
        let number = Self::parse(&held.text, &origin)?.0.iter().map(|key| key.id.number).max().unwrap_or(0);
        let line = new_line(number.checked_add(1).ok_or(RootKeyError::Engine)?)?;
        let between = if held.text.ends_with('\n') { "" } else { "\n" };
        let text = Zeroizing::new(format!("{}{between}{}", *held.text, *line));
        // Read by the rules by which the servers will read it, before they do.
        let id = Self::parse(&text, &origin)?.0.pop().ok_or(RootKeyError::Engine)?.id;
        Ok(AddedRootKey { id, next: held.prepare(&text)? })
    }

    /// The key that new secrets are made under: the one that was activated, or the first of the file. A key added at the
    /// end thus changes nothing until it is activated.
    pub fn active(&self) -> &RootKey {
        // `parse` makes no empty list.
        &self.0[0]
    }

    /// Makes the key of that name the active one. `false`: there is none; nothing has changed.
    pub fn activate(&mut self, id: &str) -> bool {
        let Some(at) = self.0.iter().position(|key| key.id.to_string() == id) else { return false };
        self.0[..=at].rotate_right(1);
        true
    }

    /// Their names, the active one first.
    pub fn ids(&self) -> Vec<String> {
        self.0.iter().map(|key| key.id.to_string()).collect()
    }

    /// The key of that number.
    pub fn by_number(&self, number: u32) -> Option<&RootKey> {
        self.0.iter().find(|key| key.id.number == number)
    }

    /// All of them, the active one first.
    pub(super) fn all(&self) -> impl Iterator<Item = &RootKey> {
        self.0.iter()
    }

    /// The key of that name.
    pub fn by_id(&self, id: &RootKeyId) -> Option<&RootKey> {
        self.0.iter().find(|key| key.id == *id)
    }

    fn parse(text: &str, origin: &str) -> Result<Self, RootKeyError> {
        let mut keys: Vec<RootKey> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let malformed =
                |problem| RootKeyError::Malformed { origin: origin.to_owned(), line: number + 1, problem };
            let (id, secret) = parse_line(line).map_err(malformed)?;
            let key = RootKey::new(id, secret)?;
            if keys.iter().any(|known| known.id.number == id || *known.secret == *key.secret) {
                return Err(malformed("the number or the key is there twice"));
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(RootKeyError::Empty { origin: origin.to_owned() });
        }
        Ok(Self(keys))
    }
}

/// A root key that is made and durable, and not in the file yet; it never will be if this is dropped.
pub struct AddedRootKey {
    id: RootKeyId,
    next: file::NextFile,
}

impl AddedRootKey {
    /// Its name.
    pub const fn id(&self) -> RootKeyId {
        self.id
    }

    /// Puts the file with it in the place of the one without.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn put(self) -> Result<RootKeyId, RootKeyError> {
        self.next.put()?;
        Ok(self.id)
    }
}

/// The line of a new random key.
fn new_line(number: u32) -> Result<Zeroizing<String>, RootKeyError> {
    let mut secret = Zeroizing::new([0; KEY_BYTES]);
    aws_lc_rs::rand::fill(&mut *secret).map_err(|_| RootKeyError::Engine)?;
    let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(*secret));
    Ok(Zeroizing::new(format!("{number} {}\n", *encoded)))
}

fn parse_line(line: &str) -> Result<(u32, Zeroizing<[u8; KEY_BYTES]>), &'static str> {
    const FORM: &str = "expected a number, a space and 43 characters of base64url";
    let (number, encoded) = line.split_once(' ').ok_or(FORM)?;
    if number.is_empty() || number.starts_with('0') || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the number of a root key begins with 1 to 9 and has only digits");
    }
    let number = number.parse().map_err(|_| "the number of the root key is too large")?;
    let mut secret = Zeroizing::new([0; KEY_BYTES]);
    let mut bytes = Zeroizing::new([0; 2 * KEY_BYTES]);
    // Checked first, so that the decoder needs no more room than it has.
    if encoded.len() != 43 {
        return Err(FORM);
    }
    let length = URL_SAFE_NO_PAD.decode_slice(encoded, &mut *bytes).map_err(|_| FORM)?;
    secret.copy_from_slice(bytes.get(..length).filter(|bytes| bytes.len() == KEY_BYTES).ok_or(FORM)?);
    if secret.iter().all(|&byte| byte == secret[0]) {
        return Err("the root key is one byte over and over, not a random key");
    }
    Ok((number, secret))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
