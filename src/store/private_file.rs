//! The database file on disk: only Signet's user may read it.

#[cfg(unix)]
use std::fs::File;
use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::path::Path;

use super::error::StoreError;

/// Makes an empty database file with mode 0600 and its folder with 0700, if they are missing. SQLite gives the files
/// beside it (`-wal`, `-shm`) the same mode.
///
/// # Errors
/// [`StoreError::Exposed`] when the file is there and others can read it.
pub(super) fn make(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| StoreError::File { path, source }
    };
    if !folder.is_dir() {
        private_folder().recursive(true).create(folder).map_err(failed(folder))?;
    }
    match private_options().create_new(true).write(true).open(path) {
        Ok(file) => {
            file.sync_all().map_err(failed(path))?;
            sync_folder(folder).map_err(failed(folder))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => must_be_private(path),
        Err(error) => Err(failed(path)(error)),
    }
}

#[cfg(unix)]
fn must_be_private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;

    let permissions = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata.permissions(),
        Ok(_) => {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "it is not a file");
            return Err(StoreError::File { path: path.to_owned(), source });
        }
        Err(source) => return Err(StoreError::File { path: path.to_owned(), source }),
    };
    let mode = permissions.mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(StoreError::Exposed { path: path.to_owned(), mode }) }
}

#[cfg(unix)]
fn private_options() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;

    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(unix)]
fn private_folder() -> DirBuilder {
    use std::os::unix::fs::DirBuilderExt;

    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// A new name in a folder survives a power cut only once the folder is synced.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn must_be_private(_: &Path) -> Result<(), StoreError> {
    Ok(())
}

#[cfg(not(unix))]
fn private_options() -> OpenOptions {
    OpenOptions::new()
}

#[cfg(not(unix))]
fn private_folder() -> DirBuilder {
    DirBuilder::new()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
