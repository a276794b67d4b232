//! `signet check-config`.

use super::{Failure, say};
use crate::config::Config;

/// Prints the settings in force; what is wrong with them was reported before.
pub(super) fn run(config: &Config) -> Result<(), Failure> {
    say(config.effective().trim_end())?;
    config.warnings().iter().try_for_each(|warning| say(format_args!("# warning: {warning}")))
}
