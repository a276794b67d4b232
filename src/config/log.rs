//! `[log]`: what is logged, and how.

use tracing_subscriber::filter::Targets;

use super::fault::Problem;
use super::parse::{parsed, quote, word};
use super::reader::Reader;

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// What is logged: a level, or directives such as `info,sqlx=warn`.
    pub filter: String,
    /// The shape of a line.
    pub format: LogFormat,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

impl Log {
    pub(super) fn read(reader: &mut Reader) -> Self {
        const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
        let default = Self::default();
        Self {
            filter: reader.take("log.filter", parsed(filter)).unwrap_or(default.filter),
            format: reader.take("log.format", word(FORMATS)).unwrap_or(default.format),
        }
    }

    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let format = match self.format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        vec![("log.filter", quote(&self.filter)), ("log.format", quote(format))]
    }
}

fn filter(text: &str) -> Result<String, Problem> {
    match text.parse::<Targets>() {
        Ok(_) if !text.trim().is_empty() => Ok(text.to_owned()),
        _ => Err(Problem::new("is not a log filter", "write a level, such as info, or info,sqlx=warn")),
    }
}
