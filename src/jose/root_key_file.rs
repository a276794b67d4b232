//! The file the root keys are kept in.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::RootKeyError;

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

/// Writes a file that is either whole and durable or not there, and never replaces one: written under another name,
/// flushed, then linked to its own. An existing file is left as it is, which is no error.
pub(super) fn write_new(path: &Path, text: &str) -> Result<(), RootKeyError> {
    let unwritable = |source| RootKeyError::Write { path: path.to_owned(), source };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    make_folder(folder).map_err(unwritable)?;
    let temporary = temporary_name(folder)?;
    let written = write_private(&temporary, text).and_then(|()| match std::fs::hard_link(&temporary, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    // Also after a failure: half a key must not lie about.
    let removed = match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    };
    written.and(removed).and_then(|()| flush_folder(folder)).map_err(unwritable)
}

/// Two processes in two containers may have the same process id, so the name is random.
fn temporary_name(folder: &Path) -> Result<PathBuf, RootKeyError> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| RootKeyError::Engine)?;
    Ok(folder.join(format!(".root.key.{:016x}", u64::from_be_bytes(random))))
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// The new name is durable once its folder is.
#[cfg(unix)]
fn flush_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn flush_folder(_folder: &Path) -> std::io::Result<()> {
    Ok(())
}
