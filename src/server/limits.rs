//! How many connections there may be at once.

use crate::config::Config;

/// Files that are open beside connections and database: listeners, logs, runtimes, certificate files being read.
const OTHER_FILES: usize = 128;

/// Lets the process open as many files as the system allows it. Many systems start services with a soft limit of 1024,
/// meant for programs that use `select`, and a hard one of a hundred times that. Where it is refused, the lower limit
/// holds, and the number of connections keeps to it.
pub fn raise_file_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let found = getrlimit(Resource::Nofile);
        if found.current != found.maximum {
            match setrlimit(Resource::Nofile, Rlimit { current: found.maximum, maximum: found.maximum }) {
                Ok(()) => tracing::debug!(
                    from = found.current,
                    to = found.maximum,
                    "raised the limit of open files"
                ),
                Err(error) => tracing::debug!(%error, "could not raise the limit of open files"),
            }
        }
    }
}

/// `server.max_connections`, or fewer when the process may not open that many files.
pub(super) fn connections(config: &Config) -> usize {
    let wanted = config.server.max_connections;
    let possible = open_files().map_or(usize::MAX, |files| connections_within(files, config));
    if possible < wanted {
        tracing::warn!(
            "server.max_connections: {possible} at most, because this process may not open more files; \
             raise its limit (LimitNOFILE= in systemd) or lower the setting"
        );
    }
    wanted.min(possible)
}

/// SQLite keeps three files open per connection, PostgreSQL one.
fn connections_within(files: usize, config: &Config) -> usize {
    let database = usize::try_from(config.database.max_connections).unwrap_or(usize::MAX).saturating_mul(3);
    files.saturating_sub(OTHER_FILES.saturating_add(database)).max(1)
}

/// How many files this process may have open; `None` means as many as it likes.
fn open_files() -> Option<usize> {
    #[cfg(unix)]
    {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
        usize::try_from(limit).ok()
    }
    #[cfg(not(unix))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_for_the_rest_are_kept_back() {
        let config = Config::default();
        assert_eq!(connections_within(1024, &config), 1024 - 128 - 30);
        assert_eq!(connections_within(10, &config), 1);
    }
}
