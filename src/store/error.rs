//! What can go wrong with a database, sorted by what the caller should do about it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use sqlx::error::DatabaseError;

/// Why a unit of work, or opening the database, failed. `Display` and `Debug` hold no values from rows and no
/// password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A lock or a connection did not become free in time, or the disk is full: worth trying again in a while.
    #[error("the database is busy")]
    Busy(#[source] Cause),
    /// The database does not answer, answers that it is going away, or refuses to write. Whether a unit that was just
    /// being committed took place is unknown.
    #[error("the database is not available")]
    Unavailable(#[source] Cause),
    /// Another transaction came in between, and again each time the unit was repeated.
    #[error("the database could not serialise the transaction")]
    Conflict(#[source] Cause),
    /// The unit panicked. Nothing of it was kept.
    #[error("a unit of work panicked")]
    UnitPanicked,
    /// The unit went on after one of its statements had failed. Nothing of it was kept.
    #[error("a unit of work ignored a failed statement")]
    FailureIgnored,
    /// A unit handed to `read` tried to write.
    #[error("a unit of work handed to `read` tried to write")]
    WriteInRead,
    /// The runtime that does the database work has stopped.
    #[error("the service is stopping")]
    Stopping,
    /// Migrations are missing.
    #[error("the database lacks {missing} migration(s): run `signet migrate`")]
    Unmigrated {
        /// How many.
        missing: usize,
    },
    /// The database was made by a newer Signet.
    #[error(
        "the database has migration {version}, which this version of Signet does not know: run a newer Signet"
    )]
    TooNew {
        /// The unknown migration.
        version: i64,
    },
    /// A migration stopped half-way.
    #[error("migration {version} stopped half-way: restore the backup made before it, then migrate again")]
    HalfMigrated {
        /// The migration.
        version: i64,
    },
    /// A migration was applied with another text than the one in this binary.
    #[error("migration {version} was applied by another build of Signet with another text: run that build")]
    MigrationAltered {
        /// The migration.
        version: i64,
    },
    /// The file is no SQLite database, or a damaged one.
    #[error("{} is not an SQLite database, or is damaged: name another file, or restore a backup", .0.display())]
    NotADatabase(PathBuf),
    /// The file is the database of another program.
    #[error("{} is a database of another program: name another file", .0.display())]
    ForeignDatabase(PathBuf),
    /// Other users of the machine can read the database file.
    #[error("{} can be read by others (mode {mode:03o}): run `chmod 600 {}`", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The database file or its folder cannot be made or read.
    #[error("{} cannot be used: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database URL is not one the driver understands.
    #[error("the database URL holds a parameter the driver does not understand")]
    Url,
    /// A row holds something no version of Signet wrote.
    #[error("the table {table} is damaged: {what}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What is wrong, without the value.
        what: &'static str,
    },
    /// Anything else: a fault of Signet's.
    #[error("the database refused a statement")]
    Internal(#[source] Cause),
}

impl StoreError {
    /// Whether the same request may succeed a little later: answered as 503 with `Retry-After`.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::Unavailable(_) | Self::Conflict(_) | Self::Stopping)
    }

    /// The error of a statement that has looked whether a name is taken: when PostgreSQL refuses it all the same, another
    /// transaction took the name in between, and the unit is run again.
    pub(super) fn or_taken_meanwhile(self) -> Self {
        match self {
            Self::Internal(Cause(error))
                if error.as_database_error().is_some_and(|error| error.is_unique_violation()) =>
            {
                Self::Conflict(Cause(error))
            }
            error => error,
        }
    }

    /// A unit's turn did not come in time.
    pub(super) fn turn_did_not_come() -> Self {
        let waited =
            std::io::Error::new(std::io::ErrorKind::TimedOut, "others held the only writer too long");
        Self::Busy(Cause(Arc::new(sqlx::Error::Io(waited))))
    }

    /// A failed commit, told to one more of those who shared it.
    pub(super) fn of_commit(&self) -> Self {
        match self {
            Self::Busy(cause) => Self::Busy(cause.clone()),
            Self::Unavailable(cause) => Self::Unavailable(cause.clone()),
            Self::Conflict(cause) => Self::Conflict(cause.clone()),
            Self::Internal(cause) => Self::Internal(cause.clone()),
            _ => Self::FailureIgnored,
        }
    }
}

/// What the driver said, for the log. Without PostgreSQL's `detail`, which quotes rows.
#[derive(Clone)]
pub struct Cause(Arc<sqlx::Error>);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(error) = self.0.as_database_error() else {
            return write!(f, "{}", self.0);
        };
        let code = error.code().unwrap_or_default();
        // Class 22, "data exception", quotes the value in the message itself.
        if code.len() == 5 && code.starts_with("22") {
            write!(f, "code {code}")
        } else {
            write!(f, "code {code}: {}", error.message())
        }
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cause({self})")
    }
}

impl std::error::Error for Cause {}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let kind = match &error {
            sqlx::Error::PoolTimedOut => Self::Busy,
            sqlx::Error::Io(io) if io.kind() == std::io::ErrorKind::StorageFull => Self::Busy,
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable,
            sqlx::Error::Database(error) => match error.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
                Some(error) => sqlite_kind(error),
                None => postgres_kind(&error.code().unwrap_or_default()),
            },
            _ => Self::Internal,
        };
        kind(Cause(Arc::new(error)))
    }
}

/// SQLite's result codes, <https://www.sqlite.org/rescode.html>; the low byte is the primary one.
fn sqlite_kind(error: &sqlx::sqlite::SqliteError) -> fn(Cause) -> StoreError {
    let code: i32 = error.code().and_then(|code| code.parse().ok()).unwrap_or_default();
    match code & 0xff {
        // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_NOMEM, SQLITE_FULL.
        5 | 6 | 7 | 13 => StoreError::Busy,
        // SQLITE_PERM, SQLITE_READONLY, SQLITE_IOERR, SQLITE_CORRUPT, SQLITE_CANTOPEN, SQLITE_PROTOCOL,
        // SQLITE_NOLFS, SQLITE_NOTADB.
        3 | 8 | 10 | 11 | 14 | 15 | 22 | 26 => StoreError::Unavailable,
        _ => StoreError::Internal,
    }
}

/// PostgreSQL's SQLSTATE codes, its documentation's appendix A.
fn postgres_kind(code: &str) -> fn(Cause) -> StoreError {
    match code {
        // serialization_failure, deadlock_detected.
        "40001" | "40P01" => StoreError::Conflict,
        // lock_not_available, query_canceled.
        "55P03" | "57014" => StoreError::Busy,
        // read_only_sql_transaction: a standby, after a failover.
        "25006" => StoreError::Unavailable,
        _ => match code.get(..2) {
            // Insufficient resources: disk full, out of memory, too many connections.
            Some("53") => StoreError::Busy,
            // Connection exception, invalid authorization, invalid catalog, operator intervention, system error.
            Some("08" | "28" | "3D" | "57" | "58") => StoreError::Unavailable,
            _ => StoreError::Internal,
        },
    }
}

/// Whether SQLite says that the file is no database, or a damaged one (SQLITE_CORRUPT, SQLITE_NOTADB).
pub(super) fn is_not_a_database(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<sqlx::sqlite::SqliteError>())
        .and_then(|error| error.code().and_then(|code| code.parse::<i32>().ok()));
    matches!(code.map(|code| code & 0xff), Some(11 | 26))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postgres_codes_are_sorted_by_what_to_do() {
        let cases = [
            ("40001", "could not serialise"),
            ("40P01", "could not serialise"),
            ("53100", "busy"),
            ("53300", "busy"),
            ("55P03", "busy"),
            ("57P01", "not available"),
            ("08006", "not available"),
            ("25006", "not available"),
            ("23505", "refused a statement"),
            ("42P01", "refused a statement"),
            ("", "refused a statement"),
        ];
        for (code, text) in cases {
            let error = postgres_kind(code)(Cause(Arc::new(sqlx::Error::RowNotFound)));
            assert!(error.to_string().contains(text), "{code}: {error}");
        }
    }
}
