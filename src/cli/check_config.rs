//! `signet check-config`.

use signet_guard::Clock;

use super::{Failure, say};
use crate::config::Config;
use crate::server::Certificate;

/// Prints the settings in force; what is wrong with them was reported before, save for the certificate, which is read
/// here.
pub(super) fn run(config: &Config) -> Result<(), Failure> {
    let certificate = config.tls.files.as_ref().map(Certificate::load).transpose().map_err(Failure::of)?;
    say(config.effective().trim_end())?;
    let age = certificate.and_then(|certificate| certificate.warning(Clock::System.now()));
    config.warnings().iter().chain(&age).try_for_each(|warning| say(format_args!("# warning: {warning}")))
}
