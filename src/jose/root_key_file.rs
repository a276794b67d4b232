//! The file the root keys are kept in.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::RootKeyError;
use crate::durable_file::{self, Replacement};

/// What a new file begins with.
pub(super) const PREAMBLE: &str = "\
# The root key of this Signet installation.
#
# The signing keys in the database are sealed under it. Whoever has this file and the database can sign tokens in your
# name; whoever loses it loses the signing keys for good. Back it up, apart from the database, and let nobody but
# Signet's user read it (mode 0600).
#
# One key a line: a number, a space, 32 random bytes in base64url. Do not edit the lines below.
";

/// More is no file of ours.
const MOST_BYTES: u64 = 64 * 1024;

/// The text of the file, or `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<String>>, RootKeyError> {
    let unreadable = |source| RootKeyError::Read { path: path.to_owned(), source };
    // Looked at before it is opened: opening a pipe would wait for its writer.
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
        Ok(found) if !found.is_file() => return Err(RootKeyError::NotAFile { path: path.to_owned() }),
        Ok(_) => {}
    }
    let file = File::open(path).map_err(unreadable)?;
    // And again once open: this is the file that is read.
    let opened = file.metadata().map_err(unreadable)?;
    refuse_exposed(path, &opened)?;
    let length = usize::try_from(opened.len().min(MOST_BYTES)).unwrap_or(0);
    let mut text = Zeroizing::new(String::with_capacity(length + 1));
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    Ok(Some(text))
}

#[cfg(unix)]
fn refuse_exposed(path: &Path, opened: &std::fs::Metadata) -> Result<(), RootKeyError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = opened.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(RootKeyError::Exposed { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn refuse_exposed(_path: &Path, _opened: &std::fs::Metadata) -> Result<(), RootKeyError> {
    Ok(())
}

/// Writes a file that is either whole and durable or not there, and never replaces one. An existing file is left as it
/// is, which is no error.
pub(super) fn write_new(path: &Path, text: &str) -> Result<(), RootKeyError> {
    durable_file::create(path, text).map_err(|source| RootKeyError::Write { path: path.to_owned(), source })
}

/// The file as it is, held against others who would add to it: two who add at once must not lose one key.
pub(super) struct HeldFile {
    /// Where it is, behind any symbolic link.
    path: PathBuf,
    /// What is in it.
    pub(super) text: Zeroizing<String>,
    /// Unlocked when closed.
    _lock: File,
}

impl HeldFile {
    /// Waits for others who add to it, and reads it. `None`: there is none.
    pub(super) fn take(path: &Path) -> Result<Option<Self>, RootKeyError> {
        let unwritable = |source| RootKeyError::Write { path: path.to_owned(), source };
        // A link to the file stays one.
        let path = match std::fs::canonicalize(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            found => found.map_err(unwritable)?,
        };
        loop {
            let Some(text) = read(&path)? else { return Ok(None) };
            let lock = File::open(&path).map_err(unwritable)?;
            lock.lock().map_err(unwritable)?;
            // Whoever held it before has put another file in its place.
            if is_at(&lock, &path).map_err(unwritable)? && read(&path)?.is_some_and(|now| *now == *text) {
                durable_file::remove_leftovers(&path);
                return Ok(Some(Self { path, text, _lock: lock }));
            }
        }
    }

    /// Writes a text that is to take its place.
    pub(super) fn prepare(self, text: &str) -> Result<NextFile, RootKeyError> {
        match Replacement::prepare(&self.path, text) {
            Ok(replacement) => Ok(NextFile { held: self, replacement }),
            Err(source) => Err(RootKeyError::Fixed { origin: self.path.display().to_string(), source }),
        }
    }
}

/// The next text of the file, durable and not in place yet.
pub(super) struct NextFile {
    held: HeldFile,
    replacement: Replacement,
}

impl NextFile {
    /// Puts it in place.
    pub(super) fn put(self) -> Result<(), RootKeyError> {
        let path = &self.held.path;
        self.replacement.put().map_err(|source| RootKeyError::Write { path: path.clone(), source })
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let (held, named) = (file.metadata()?, std::fs::metadata(path)?);
    Ok((held.dev(), held.ino()) == (named.dev(), named.ino()))
}

#[cfg(not(unix))]
fn is_at(_file: &File, _path: &Path) -> std::io::Result<bool> {
    Ok(true)
}
