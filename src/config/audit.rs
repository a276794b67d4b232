//! `[audit]`: how long it is kept who did what.

use std::time::Duration;

use super::parse::{duration, quote, show_duration};
use super::reader::Reader;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// `[audit]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// How long an entry of the audit log is kept, at least.
    pub keep: Duration,
}

impl Default for Audit {
    fn default() -> Self {
        Self { keep: Duration::from_secs(400 * DAY) }
    }
}

impl Audit {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let bounds = Duration::from_secs(DAY)..=Duration::from_secs(3_650 * DAY);
        Self { keep: reader.take("audit.keep", duration(bounds)).unwrap_or(Self::default().keep) }
    }

    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        vec![("audit.keep", quote(&show_duration(self.keep)))]
    }
}
