//! Where log lines go and how they look.

use std::io::IsTerminal as _;

use tracing::Level;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};

/// The filter directives of `log.filter` are not understood.
#[derive(Debug, thiserror::Error)]
#[error("log.filter: not a list of directives: write a level such as \"info\" or \"info,signet=debug\"")]
pub struct FilterError;

/// Said before the operator's own directives, which may overrule it: how many workers actix starts is nobody's news.
const QUIET: &str = "actix_server=warn";

/// Sends log lines to standard error, in the format and with the filter of the settings. A second call in one process
/// changes nothing. `said_better` is a module whose errors are only written when its debug lines are wanted too.
///
/// # Errors
/// When the filter cannot be parsed.
pub fn init(log: &Log, said_better: &str) -> Result<(), FilterError> {
    let mut filter: Targets = format!("{QUIET},{}", log.filter).parse().map_err(|_| FilterError)?;
    if !filter.would_enable(said_better, &Level::DEBUG) {
        filter = filter.with_target(said_better, LevelFilter::OFF);
    }
    // In a file or a journal, colours would stand between a field and whoever searches for it.
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    let lines = match log.format {
        LogFormat::Text => lines.compact().boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // A subscriber that is already installed (a test harness) stays.
    let _already = tracing_subscriber::registry().with(lines).with(filter).try_init();
    Ok(())
}
