//! What is wrong with a configuration, and how to mend it.

use std::fmt;

/// One thing wrong with the configuration. Never repeats a value: any of them may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The setting, as the operator wrote it: `server.listen`, or `SIGNET_LISTEN (server.listen)`.
    pub(super) key: String,
    /// What is wrong.
    pub(super) problem: String,
    /// What to do about it.
    pub(super) cure: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.key, self.problem, self.cure)
    }
}

/// Everything wrong with the configuration; printed one fault a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub(super) Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let line_end = if index == 0 { "" } else { "\n" };
            write!(f, "{line_end}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Why one value was refused; the reader adds the name of the setting.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) problem: String,
    pub(super) cure: String,
}

impl Problem {
    pub(super) fn new(problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { problem: problem.into(), cure: cure.into() }
    }
}
