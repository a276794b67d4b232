//! `[keys]`: the root key and the keys made under it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use super::fault::Problem;
use super::parse::{duration, integer, path, quote, show_duration, text};
use super::reader::{Raw, Reader};
use super::tokens::Tokens;
use crate::rotation::{SIGNED_UNREAD, SKEW, least_lead};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// `[keys]`.
#[derive(Debug)]
pub struct Keys {
    /// The folder Signet keeps key files in.
    pub dir: PathBuf,
    /// Where the root key is.
    pub root_key: RootKeySource,
    /// Bits of a new RSA signing key: 2048, 3072 or 4096.
    pub rsa_bits: u32,
    /// How long a key signs before another takes its place.
    pub rotate_every: Duration,
    /// How long a key is published before it signs.
    pub publish_ahead: Duration,
}

/// Where the root key is.
pub enum RootKeySource {
    /// A file only Signet's user can read; made at the first start when it is missing.
    File(PathBuf),
    /// The key itself, from `SIGNET_ROOT_KEY`.
    Value(RootKeyValue),
}

/// A root key as text; wiped from memory when dropped.
pub struct RootKeyValue(Zeroizing<String>);

impl RootKeyValue {
    /// A root key that did not come from the environment: a test's, say.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The key, for `jose` alone.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RootKeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for RootKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Value(value) => f.debug_tuple("Value").field(value).finish(),
        }
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::in_dir(PathBuf::from("keys"))
    }
}

impl Keys {
    /// The defaults, with another folder.
    pub fn in_dir(dir: PathBuf) -> Self {
        Self {
            root_key: RootKeySource::File(dir.join("root.key")),
            dir,
            rsa_bits: 2048,
            rotate_every: Duration::from_secs(30 * DAY),
            publish_ahead: Duration::from_secs(DAY),
        }
    }

    pub(super) fn read(reader: &mut Reader) -> Self {
        let dir = reader.take("keys.dir", path);
        let default = dir.map_or_else(Self::default, Self::in_dir);
        let file = reader.take("keys.root_key_file", text).filter(|file| !file.is_empty());
        let value = reader.take("keys.root_key", root_key_value);
        if file.is_some() && value.is_some() {
            reader.fault("keys.root_key", "is set, and keys.root_key_file too", "remove one of the two");
        }
        let root_key = match (value, file) {
            (Some(value), _) => RootKeySource::Value(value),
            (None, Some(file)) => RootKeySource::File(PathBuf::from(file)),
            (None, None) => default.root_key,
        };
        let rsa_bits = reader.take("keys.rsa_bits", rsa_bits).unwrap_or(default.rsa_bits);
        let rotate_every = reader
            .take("keys.rotate_every", duration(Duration::from_secs(3_600)..=Duration::from_secs(366 * DAY)))
            .unwrap_or(default.rotate_every);
        let publish_ahead = reader
            .take("keys.publish_ahead", duration(Duration::from_secs(60)..=Duration::from_secs(90 * DAY)))
            .unwrap_or(default.publish_ahead);
        Self { dir: default.dir, root_key, rsa_bits, rotate_every, publish_ahead }
    }

    /// Refuses what no verifier could follow: a key that signs before every cache must have it, or whose successor is due
    /// before it may sign, or before what the last one signed is dead.
    pub(super) fn check(&self, reader: &mut Reader, tokens: &Tokens) {
        let least = least_lead(tokens.jwks_max_age);
        if self.publish_ahead < least {
            let problem = format!(
                "is too short: sets may be kept for tokens.jwks_max_age ({})",
                show_duration(tokens.jwks_max_age)
            );
            let cure = format!("write {} or more, or a shorter jwks_max_age", show_duration(least));
            reader.fault("keys.publish_ahead", problem, cure);
        }
        let tail = tokens.access_token_life + SIGNED_UNREAD + SKEW + SKEW;
        if self.rotate_every < self.publish_ahead + tail {
            let problem = format!(
                "is too short: a key is published for keys.publish_ahead ({}) before it signs, and for {} after",
                show_duration(self.publish_ahead),
                show_duration(tail)
            );
            let least = show_duration(self.publish_ahead + tail);
            reader.fault(
                "keys.rotate_every",
                problem,
                format!("write {least} or more, or a shorter publish_ahead"),
            );
        }
    }

    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let root_key = match &self.root_key {
            RootKeySource::File(path) => ("keys.root_key_file", quote(&path.to_string_lossy())),
            RootKeySource::Value(_) => ("keys.root_key", quote("***")),
        };
        vec![
            ("keys.dir", quote(&self.dir.to_string_lossy())),
            root_key,
            ("keys.rsa_bits", self.rsa_bits.to_string()),
            ("keys.rotate_every", quote(&show_duration(self.rotate_every))),
            ("keys.publish_ahead", quote(&show_duration(self.publish_ahead))),
        ]
    }
}

fn root_key_value(raw: &Raw) -> Result<RootKeyValue, Problem> {
    match raw {
        Raw::Toml(_) => Err(Problem::new(
            "does not belong in this file, which is shared and copied",
            "put it into a file of its own and name that in keys.root_key_file",
        )),
        Raw::Env(text) if text.trim().is_empty() => {
            Err(Problem::new("is empty", "remove the variable, or set it to a root key"))
        }
        Raw::Env(text) => Ok(RootKeyValue::new(text.trim().to_owned())),
    }
}

fn rsa_bits(raw: &Raw) -> Result<u32, Problem> {
    let bits = integer::<u32>(0..=i64::from(u32::MAX))(raw).ok();
    bits.filter(|bits| matches!(bits, 2048 | 3072 | 4096))
        .ok_or_else(|| Problem::new("is no size Signet makes", "choose 2048, 3072 or 4096"))
}
