//! `[database]`: where everything is kept.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;
use zeroize::Zeroizing;

use super::fault::Problem;
use super::parse::{duration, integer, parsed, quote, show_duration};
use super::reader::Reader;

/// `[database]`.
#[derive(Debug, Clone)]
pub struct Database {
    /// Which database.
    pub url: DatabaseUrl,
    /// Most connections at once: readers on SQLite, all of them on PostgreSQL.
    pub max_connections: u32,
    /// Longest wait for a lock or a free connection.
    pub busy_timeout: Duration,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: DatabaseUrl::Sqlite(PathBuf::from("data/signet.db")),
            max_connections: 10,
            busy_timeout: Duration::from_secs(5),
        }
    }
}

impl Database {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let default = Self::default();
        Self {
            url: reader.take("database.url", parsed(DatabaseUrl::parse)).unwrap_or(default.url),
            max_connections: reader
                .take("database.max_connections", integer(1..=1000))
                .unwrap_or(default.max_connections),
            busy_timeout: reader
                .take("database.busy_timeout", duration(Duration::from_millis(100)..=Duration::from_secs(60)))
                .unwrap_or(default.busy_timeout),
        }
    }

    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        vec![
            ("database.url", quote(&self.url.to_string())),
            ("database.max_connections", self.max_connections.to_string()),
            ("database.busy_timeout", quote(&show_duration(self.busy_timeout))),
        ]
    }
}

/// Where a database is. `Debug` and `Display` mask what may be secret.
#[derive(Clone)]
pub enum DatabaseUrl {
    /// `sqlite://data/signet.db`, relative to the working folder, or `sqlite:///var/lib/signet.db`: a file.
    Sqlite(PathBuf),
    /// `postgres://user:password@host:port/database`, also spelled `postgresql://`.
    Postgres(PostgresUrl),
}

impl DatabaseUrl {
    /// Reads a database URL.
    fn parse(text: &str) -> Result<Self, Problem> {
        if text.starts_with("sqlite:") {
            Self::parse_sqlite(text)
        } else if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            Self::parse_postgres(text)
        } else {
            Err(Problem::new("is no database Signet knows", "begin it with sqlite:// or postgres://"))
        }
    }

    fn parse_sqlite(text: &str) -> Result<Self, Problem> {
        if text.contains(":memory:") {
            return Err(Problem::new(
                "is a database in memory, which every connection would have its own of",
                "name a file, such as sqlite://data/signet.db",
            ));
        }
        match text.strip_prefix("sqlite://") {
            Some(path) if path.contains(['?', '#', '\0']) => {
                Err(Problem::new("has settings behind the path", "remove everything from ? or # on"))
            }
            Some(path) if !path.is_empty() && !path.ends_with('/') => Ok(Self::Sqlite(PathBuf::from(path))),
            _ => Err(Problem::new("names no file", "write it like sqlite://data/signet.db")),
        }
    }

    fn parse_postgres(text: &str) -> Result<Self, Problem> {
        let url = Url::parse(text).map_err(|_| {
            let cure = "write it like postgres://user:password@host:5432/signet, with special letters as %XX";
            Problem::new("is not a URL", cure)
        })?;
        if url.path().len() < 2 {
            return Err(Problem::new("names no database", "add its name behind a slash, such as /signet"));
        }
        Ok(Self::Postgres(PostgresUrl(Zeroizing::new(text.to_owned()))))
    }
}

/// The URL with its password as `***`, and without its query, which may hold secrets too.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = match self {
            Self::Sqlite(path) => return write!(f, "sqlite://{}", path.display()),
            Self::Postgres(PostgresUrl(secret)) => secret,
        };
        match Url::parse(secret) {
            Ok(mut url) => {
                url.set_query(None);
                url.set_fragment(None);
                if url.password().is_some() && url.set_password(Some("***")).is_err() {
                    return f.write_str("postgres://***");
                }
                f.write_str(url.as_str())
            }
            Err(_) => f.write_str("postgres://***"),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// A PostgreSQL URL, which may hold a password; wiped from memory when dropped.
#[derive(Clone)]
pub struct PostgresUrl(Zeroizing<String>);

impl PostgresUrl {
    /// A URL that did not come from the configuration: a test's, say.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The whole URL, for the driver alone.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_paths_are_relative_or_absolute() {
        for (text, path) in [
            ("sqlite://data/signet.db", "data/signet.db"),
            ("sqlite:///var/lib/signet.db", "/var/lib/signet.db"),
            ("sqlite://signet.db", "signet.db"),
        ] {
            let DatabaseUrl::Sqlite(parsed) = DatabaseUrl::parse(text).unwrap() else { unreachable!() };
            assert_eq!(parsed, PathBuf::from(path));
            assert_eq!(DatabaseUrl::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_databases_are_refused() {
        for text in [
            "",
            "data/signet.db",
            "mysql://localhost/signet",
            "sqlite::memory:",
            "sqlite://:memory:",
            "sqlite://",
            "sqlite:data.db",
            "sqlite://data/",
            "sqlite://data.db?mode=ro",
            "postgres://",
            "postgres://host",
            "postgres://host/",
            "postgres://host:port/db",
            "POSTGRES://host/db",
        ] {
            assert!(DatabaseUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for text in [
            "postgres://ann:hunter2@db.example.com:5432/signet",
            "postgresql://ann:hunter2@db/signet?sslmode=require",
            "postgres://ann@db/signet?password=hunter2",
            "postgres://ann:a%40hunter2@db/signet#hunter2",
        ] {
            let url = DatabaseUrl::parse(text).unwrap();
            assert!(matches!(url, DatabaseUrl::Postgres(_)));
            assert!(!url.to_string().contains("hunter2"), "{url}");
            assert!(!format!("{url:?}").contains("hunter2"), "{url:?}");
        }
        let url = DatabaseUrl::parse("postgres://ann:hunter2@db.example.com:5432/signet").unwrap();
        assert_eq!(url.to_string(), "postgres://ann:***@db.example.com:5432/signet");
    }
}
