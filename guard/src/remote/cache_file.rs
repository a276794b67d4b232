//! The copy of the last good set on disk, so that an API restarts while its issuer is away.
//!
//! The keys are public, but who can write the file says which tokens are good: it is read only when nobody but its owner
//! can write it, and when that is the user of this process or root.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::key_set::KeySet;

const MAX_SIZE: u64 = 256 * 1024;
/// How far ahead of the clock a copy may be: the clock may have been set right since.
const MAX_AHEAD: i64 = 60;
/// What a public key of any kind consists of: nothing else gets to the disk.
const PUBLIC_MEMBERS: [&str; 10] = ["kty", "kid", "alg", "use", "key_ops", "crv", "n", "e", "x", "y"];

/// Why a copy is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("not a plain file")]
    NoFile,
    #[cfg(unix)]
    #[error("belongs to user {owner}: it must be this process's own, or root's")]
    Owner { owner: u32 },
    #[cfg(unix)]
    #[error("mode {mode:04o}: others than its owner can write it")]
    Writable { mode: u32 },
    #[error("larger than 256 KiB")]
    TooLarge,
    #[error("damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    #[error("damaged: no usable set of keys")]
    NoKey,
    #[error("of another issuer, {0:?}")]
    OtherIssuer(String),
    #[error("{0} s old: too old to be used")]
    TooOld(i64),
    #[error("dated {0} s in the future")]
    Future(i64),
}

/// What the file holds.
#[derive(Serialize, Deserialize)]
struct Copy {
    issuer: String,
    /// When the issuer last confirmed the set, in seconds since 1970.
    confirmed_at: i64,
    keys: Vec<Map<String, Value>>,
}

/// A set from the disk.
pub(super) struct Restored {
    pub(super) keys: KeySet,
    /// For how many seconds the issuer had not confirmed it.
    pub(super) age: i64,
}

/// Reads the copy of this issuer's keys, unless there is none.
pub(super) fn read(
    path: &Path,
    issuer: &str,
    now: Timestamp,
    max_stale: i64,
) -> Result<Option<Restored>, CopyError> {
    // Before it is opened: to open a pipe would wait for somebody to write.
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
        Ok(found) if !found.is_file() => return Err(CopyError::NoFile),
        Ok(_) => {}
    }
    let file = File::open(path)?;
    is_ours(&file)?;
    let mut bytes = Vec::new();
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(CopyError::TooLarge);
    }
    let copy: Copy = serde_json::from_slice(&bytes)?;
    if copy.issuer != issuer {
        return Err(CopyError::OtherIssuer(copy.issuer));
    }
    let age = now.as_seconds().saturating_sub(copy.confirmed_at);
    if age < -MAX_AHEAD {
        return Err(CopyError::Future(age.saturating_neg()));
    }
    if age >= max_stale {
        return Err(CopyError::TooOld(age));
    }
    match key_set(&copy.keys)? {
        Some(keys) => Ok(Some(Restored { keys, age: age.max(0) })),
        None => Err(CopyError::NoKey),
    }
}

/// Replaces the copy: whoever reads it finds the old one or the new one. `jwks` is the set as the issuer sent it, `used` what
/// was read of it.
pub(super) fn write(
    path: &Path,
    issuer: &str,
    confirmed_at: Timestamp,
    jwks: &[u8],
    used: &KeySet,
) -> Result<(), CopyError> {
    let copy = Copy {
        issuer: issuer.to_owned(),
        confirmed_at: confirmed_at.as_seconds(),
        keys: public_keys(jwks, used)?,
    };
    // What was odd about the set must not make another one of it.
    let same = |set: &KeySet| set.len() == used.len() && used.key_ids().all(|kid| set.contains(kid));
    if !key_set(&copy.keys)?.is_some_and(|set| same(&set)) {
        return Err(CopyError::NoKey);
    }
    let bytes = serde_json::to_vec(&copy)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(CopyError::TooLarge);
    }
    let temporary = Temporary::write(path, &bytes)?;
    temporary.rename(path)?;
    Ok(())
}

fn public_keys(jwks: &[u8], used: &KeySet) -> Result<Vec<Map<String, Value>>, CopyError> {
    #[derive(Deserialize)]
    struct Document {
        keys: Vec<Value>,
    }
    let document: Document = serde_json::from_slice(jwks)?;
    let is_used = |key: &Map<String, Value>| {
        key.get("kid").and_then(Value::as_str).is_some_and(|kid| used.contains(kid))
    };
    Ok(document
        .keys
        .into_iter()
        .filter_map(|key| match key {
            Value::Object(members) if is_used(&members) => Some(
                members.into_iter().filter(|(name, _)| PUBLIC_MEMBERS.contains(&name.as_str())).collect(),
            ),
            _ => None,
        })
        .collect())
}

fn key_set(keys: &[Map<String, Value>]) -> Result<Option<KeySet>, CopyError> {
    let text = serde_json::to_vec(&serde_json::json!({ "keys": keys }))?;
    Ok(KeySet::from_json(&text).ok().filter(|set| !set.is_empty()))
}

#[cfg(unix)]
fn is_ours(file: &File) -> Result<(), CopyError> {
    use std::os::unix::fs::MetadataExt as _;
    let found = file.metadata()?;
    let (owner, mode) = (found.uid(), found.mode() & 0o7777);
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(CopyError::Owner { owner });
    }
    if mode & 0o022 != 0 {
        return Err(CopyError::Writable { mode });
    }
    Ok(())
}

/// Other systems have no mode: the folder has to be right.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "there is nothing to look at")]
fn is_ours(_: &File) -> Result<(), CopyError> {
    Ok(())
}

/// A file beside the one that it will replace, removed when it does not.
struct Temporary(PathBuf);

impl Temporary {
    fn write(beside: &Path, bytes: &[u8]) -> io::Result<Self> {
        let name = beside.file_name().ok_or_else(|| io::Error::other("not the path of a file"))?;
        let mut chance = [0; 8];
        aws_lc_rs::rand::fill(&mut chance).map_err(|_| io::Error::other("no random numbers"))?;
        let mut name = name.to_owned();
        name.push(format!(".{:016x}.new", u64::from_ne_bytes(chance)));
        let path = beside.with_file_name(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path)?;
        let temporary = Self(path);
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(temporary)
    }

    fn rename(self, to: &Path) -> io::Result<()> {
        fs::rename(&self.0, to)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is nothing left of this name.
        let _ = fs::remove_file(&self.0);
    }
}
