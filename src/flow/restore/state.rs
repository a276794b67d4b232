//! `state` in the keys folder: how far the database had come when this folder last saw it.

use std::collections::BTreeSet;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};

use crate::durable_file;
use crate::store::Position;

/// What the file begins with.
const PREAMBLE: &str = "\
# How far the database had come. Signet writes this every few seconds and reads it to notice that an older backup of the
# database was put in its place. No secret, not to be edited, and not to be restored from a backup.
";

/// More is no file of ours, in bytes.
const MOST_BYTES: u64 = 1024 * 1024;

/// How far a database had come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) database: String,
    pub(super) epoch: i64,
    pub(super) serial: i64,
    pub(super) status_version: i64,
    pub(super) retired: BTreeSet<String>,
}

impl State {
    /// As the database says.
    pub(super) fn of(position: &Position) -> Self {
        Self {
            database: position.database.clone(),
            epoch: position.epoch,
            serial: position.serial.number(),
            status_version: position.status_version,
            retired: position.retired.iter().cloned().collect(),
        }
    }

    /// With what another of the same database knows beyond it: several replicas may write one file.
    pub(super) fn merge(&mut self, other: Self) {
        if other.database == self.database {
            self.epoch = self.epoch.max(other.epoch);
            self.serial = self.serial.max(other.serial);
            self.status_version = self.status_version.max(other.status_version);
            self.retired.extend(other.retired);
        }
    }

    /// Reads the file. `None`: there is none. A folder that is none counts as one without.
    ///
    /// # Errors
    /// When it is there and cannot be read, or is not as Signet wrote it.
    pub(super) fn read(path: &Path) -> std::io::Result<Option<Self>> {
        use std::io::{Error, ErrorKind};
        let found = match std::fs::metadata(path) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            found => found?,
        };
        let damaged = || Error::new(ErrorKind::InvalidData, "it is not as Signet wrote it");
        // Looked at before it is opened: opening a pipe would wait for its writer.
        if !found.is_file() || found.len() > MOST_BYTES {
            return Err(damaged());
        }
        Self::parse(&std::fs::read_to_string(path)?).map(Some).ok_or_else(damaged)
    }

    /// Writes the file.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn write(&self, path: &Path) -> std::io::Result<()> {
        durable_file::replace(path, &self.to_text())
    }

    fn to_text(&self) -> String {
        use std::fmt::Write as _;
        let Self { database, epoch, serial, status_version, retired } = self;
        let mut text = format!(
            "{PREAMBLE}database {database}\nepoch {epoch}\nserial {serial}\nstatus-version {status_version}\n"
        );
        for kid in retired {
            let _ = writeln!(text, "retired {kid}");
        }
        let check = check(&text);
        text + &check
    }

    fn parse(text: &str) -> Option<Self> {
        let at = text.rfind("check ")?;
        let (body, found) = text.split_at(at);
        if check(body) != found {
            return None;
        }
        let mut lines = body.lines().filter(|line| !line.starts_with('#'));
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
        let state = Self {
            database: field("database")?,
            epoch: field("epoch")?.parse().ok()?,
            serial: field("serial")?.parse().ok()?,
            status_version: field("status-version")?.parse().ok()?,
            retired: BTreeSet::new(),
        };
        let retired = lines.map(|line| line.strip_prefix("retired ").map(str::to_owned));
        Some(Self { retired: retired.collect::<Option<_>>()?, ..state })
    }
}

/// Not against an attacker, who could compute it: against an editor, and a disk.
fn check(body: &str) -> String {
    let digest = digest(&SHA256, body.as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("check {hex}\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn state() -> State {
        State {
            database: "0123456789abcdef0123456789abcdef".to_owned(),
            epoch: 42,
            serial: 70_000,
            status_version: 9,
            retired: ["a".to_owned(), "b".to_owned()].into(),
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_every_change_is_noticed() {
        let text = state().to_text();
        assert_eq!(State::parse(&text), Some(state()));
        let plain = State { retired: BTreeSet::new(), ..state() };
        assert_eq!(State::parse(&plain.to_text()), Some(plain));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(State::parse(&changed), None, "byte {at}");
            assert_eq!(State::parse(&text[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn two_that_know_something_know_it_together() {
        let mut one = State { epoch: 50, serial: 1, ..state() };
        one.merge(State { retired: ["c".to_owned()].into(), ..state() });
        let retired = ["a", "b", "c"].map(str::to_owned).into();
        assert_eq!(one, State { epoch: 50, retired, ..state() });
        let before = one.clone();
        one.merge(State { database: "another".to_owned(), epoch: 99, ..state() });
        assert_eq!(one, before);
    }
}
