//! The settings: defaults, then `signet.toml`, then the environment.
//!
//! Each section is a file here. Values are read into types that can only be right, and everything that is wrong is
//! told at once, each with its cure. `signet.example.toml` documents every setting.

use std::path::{Path, PathBuf};
use std::time::Duration;

mod audit;
mod database;
mod fault;
mod issuer;
mod keys;
mod log;
mod network;
mod parse;
mod passwords;
mod reader;
mod registration;
mod server;
#[cfg(test)]
mod tests;
mod throttle;
mod tls;
mod tokens;

pub use audit::Audit;
pub use database::{Database, DatabaseUrl, PostgresUrl};
pub use fault::Faults;
pub use issuer::Issuer;
pub use keys::{Keys, RootKeySource, RootKeyValue};
pub use log::{Log, LogFormat};
pub use network::Network;
pub use parse::parse_duration;
pub use passwords::{HashCost, Passwords};
pub use registration::Registration;
pub use server::Server;
pub use throttle::Throttle;
pub use tls::{Tls, TlsFiles};
pub use tokens::Tokens;

use reader::Reader;

/// The file read when none is named, if it exists.
const DEFAULT_FILE: &str = "signet.toml";

/// Every setting. `Debug` and [`Config::effective`] mask secrets.
#[derive(Debug)]
pub struct Config {
    /// Who issues the tokens.
    pub issuer: Issuer,
    /// Where Signet listens.
    pub server: Server,
    /// Whether Signet speaks https itself.
    pub tls: Tls,
    /// Where everything is kept.
    pub database: Database,
    /// The root key and the signing keys.
    pub keys: Keys,
    /// What tokens say.
    pub tokens: Tokens,
    /// What passwords must be and cost.
    pub passwords: Passwords,
    /// Who may make an account.
    pub registration: Registration,
    /// How often strangers may guess.
    pub throttle: Throttle,
    /// How long the audit log is kept.
    pub audit: Audit,
    /// What is logged.
    pub log: Log,
}

/// Where settings come from.
#[derive(Default)]
pub struct ConfigSource {
    /// The file named on the command line, which must exist; without one, `signet.toml` in the working folder, which
    /// need not.
    pub file: Option<PathBuf>,
    /// The environment; only names that begin with `SIGNET_` matter.
    pub env: Vec<(String, String)>,
}

impl ConfigSource {
    /// The environment of this process.
    pub fn from_process(file: Option<PathBuf>) -> Self {
        // Not `vars()`: it panics when any variable, ours or not, is not UTF-8.
        let env = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .filter(|(name, _)| name.starts_with("SIGNET_"))
            .collect();
        Self { file, env }
    }
}

impl Default for Config {
    fn default() -> Self {
        let issuer = Issuer::default();
        Self {
            tokens: Tokens::for_issuer(&issuer),
            registration: Registration::for_issuer(&issuer),
            issuer,
            server: Server::default(),
            tls: Tls::default(),
            database: Database::default(),
            keys: Keys::default(),
            passwords: Passwords::default(),
            throttle: Throttle::default(),
            audit: Audit::default(),
            log: Log::default(),
        }
    }
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// Everything that is wrong, all at once: values that cannot be, names that are no setting, a file that cannot be
    /// read.
    pub fn load(source: &ConfigSource) -> Result<Self, Faults> {
        let mut reader = Reader::default();
        let file = source.file.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        match std::fs::read_to_string(file) {
            Ok(text) => reader.add_toml(&file.to_string_lossy(), &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && source.file.is_none() => {}
            Err(error) => {
                let problem = format!("cannot be read ({})", error.kind());
                reader.fault(&file.to_string_lossy(), problem, "name a text file that Signet may read");
            }
        }
        reader.add_env(&source.env);
        let config = Self::read(&mut reader);
        reader.finish()?;
        Ok(config)
    }

    fn read(reader: &mut Reader) -> Self {
        let issuer = reader.take("issuer", parse::parsed(Issuer::parse)).unwrap_or_default();
        let keys = Keys::read(reader);
        let tokens = Tokens::read(reader, &issuer);
        keys.check(reader, &tokens);
        Self {
            registration: Registration::read(reader, &issuer),
            server: Server::read(reader),
            tls: Tls::read(reader, &issuer),
            database: Database::read(reader),
            keys,
            tokens,
            passwords: Passwords::read(reader),
            throttle: Throttle::read(reader),
            audit: Audit::read(reader),
            log: Log::read(reader),
            issuer,
        }
    }

    /// What is allowed but probably not meant, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.issuer.is_loopback() && !self.server.listen.ip().is_loopback() {
            warnings.push(
                "server.listen lets other machines in, but issuer names this machine only: \
                 others cannot use the tokens; set issuer to the https address they know"
                    .to_owned(),
            );
        }
        let is_local = self.server.listen.ip().is_loopback() && self.tls.files.is_none();
        if is_local && !self.issuer.is_loopback() && self.server.trusted_proxies.is_empty() {
            warnings.push(
                "server.listen is behind something on this machine and server.trusted_proxies is empty: all callers \
                 look like one address, to the log and to every limit; list the proxy there"
                    .to_owned(),
            );
        }
        if matches!(self.keys.root_key, RootKeySource::Value(_)) {
            warnings.push(
                "the root key is in the environment, where other processes of this user can read it; \
                 prefer SIGNET_ROOT_KEY_FILE"
                    .to_owned(),
            );
        }
        let grace = self.tokens.refresh_grace;
        let is_cluster = matches!(self.database.url, DatabaseUrl::Postgres(_));
        if is_cluster && !grace.is_zero() && grace < Duration::from_secs(10) {
            warnings.push(
                "tokens.refresh_grace is shorter than the clocks of two replicas may differ (10s): an honest retry may be \
                 taken for a theft; set it to 10s or more, or to 0s"
                    .to_owned(),
            );
        }
        let is_plain = |origin: &String| origin.starts_with("http://") && !self.issuer.is_loopback();
        if self.server.allowed_origins.iter().any(is_plain) {
            warnings.push(
                "server.allowed_origins names an http origin: whoever sits on the line can put scripts into its pages"
                    .to_owned(),
            );
        }
        warnings
    }

    /// The values in force, as TOML, secrets as `***`.
    pub fn effective(&self) -> String {
        let mut lines = vec![("issuer", parse::quote(self.issuer.as_str()))];
        lines.extend(self.registration.lines());
        lines.extend(self.server.lines());
        lines.extend(self.tls.lines());
        lines.extend(self.database.lines());
        lines.extend(self.keys.lines());
        lines.extend(self.tokens.lines());
        lines.extend(self.passwords.lines());
        lines.extend(self.throttle.lines());
        lines.extend(self.audit.lines());
        lines.extend(self.log.lines());
        let mut text = String::new();
        let mut section = "";
        for (key, value) in lines {
            let (of, name) = key.rsplit_once('.').unwrap_or(("", key));
            if of != section {
                text.push_str(&format!("\n[{of}]\n"));
                section = of;
            }
            text.push_str(&format!("{name} = {value}\n"));
        }
        text
    }
}
