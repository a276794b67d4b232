//! Hands the settings out to the sections, and collects what is wrong with them.

use std::collections::BTreeMap;

use super::fault::{Fault, Faults, Problem};

/// The environment variables that have a short name, and the setting each one stands for.
const SHORT_NAMES: [(&str, &str); 7] = [
    ("SIGNET_LISTEN", "server.listen"),
    ("SIGNET_ISSUER", "issuer"),
    ("SIGNET_DATABASE_URL", "database.url"),
    ("SIGNET_KEYS_DIR", "keys.dir"),
    ("SIGNET_LOG", "log.filter"),
    ("SIGNET_ROOT_KEY_FILE", "keys.root_key_file"),
    ("SIGNET_ROOT_KEY", "keys.root_key"),
];

/// A value as it came in.
pub(super) enum Raw {
    /// From the file, with TOML's type.
    Toml(toml::Value),
    /// From the environment, always text.
    Env(String),
}

struct Given {
    raw: Raw,
    shown_as: String,
}

/// The settings not yet taken, by dotted key, and the faults so far.
#[derive(Default)]
pub(super) struct Reader {
    given: BTreeMap<String, Given>,
    shown_as: BTreeMap<&'static str, String>,
    known: Vec<&'static str>,
    faults: Vec<Fault>,
}

impl Reader {
    /// Adds the settings of a TOML text. Only the place of a syntax error is told: its line may hold a password.
    pub(super) fn add_toml(&mut self, file_name: &str, text: &str) {
        match text.parse::<toml::Table>() {
            Ok(table) => self.add_table("", table),
            Err(error) => {
                let start = error.span().map_or(0, |span| span.start.min(text.len()));
                let line = text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
                self.fault(file_name, format!("is not TOML, see line {line}"), "mend that line");
            }
        }
    }

    fn add_table(&mut self, prefix: &str, table: toml::Table) {
        for (name, value) in table {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
                self.fault(&key, "is not a setting", "remove it; settings are named with a-z, 0-9 and _");
                continue;
            }
            match value {
                toml::Value::Table(inner) => self.add_table(&key, inner),
                other => {
                    self.given.insert(key.clone(), Given { raw: Raw::Toml(other), shown_as: key });
                }
            }
        }
    }

    /// Adds the environment over what the file said. Variables that do not begin with `SIGNET_` are not ours, those
    /// that begin with `SIGNET_TEST_` belong to the tests, and some are made by Kubernetes.
    pub(super) fn add_env(&mut self, env: &[(String, String)]) {
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for (name, text) in env {
            let is_ours = name.starts_with("SIGNET_") && !name.starts_with("SIGNET_TEST_");
            if !is_ours || is_service_link(name, text) {
                continue;
            }
            let short = SHORT_NAMES.iter().find(|(short, _)| short == name).map(|(_, key)| (*key).to_owned());
            let long = name.strip_prefix("SIGNET__").map(|rest| rest.to_ascii_lowercase().replace("__", "."));
            let Some(key) = short.or(long) else {
                let cure = match closest(name, SHORT_NAMES.iter().map(|(short, _)| *short)) {
                    Some(near) => format!("did you mean {near}?"),
                    None => "write SIGNET__SECTION__KEY, or remove it".to_owned(),
                };
                self.fault(name, "is not a setting", cure);
                continue;
            };
            if let Some(other) = seen.insert(key.clone(), name) {
                self.fault(name, format!("sets the same as {other}"), "remove one of the two");
                continue;
            }
            let shown_as = format!("{name} ({key})");
            self.given.insert(key, Given { raw: Raw::Env(text.clone()), shown_as });
        }
    }

    /// Takes a setting. `None` when it was not given, or when it was refused and a fault noted.
    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Raw) -> Result<T, Problem>,
    ) -> Option<T> {
        self.known.push(key);
        let given = self.given.remove(key)?;
        let outcome = parse(&given.raw);
        self.shown_as.insert(key, given.shown_as);
        match outcome {
            Ok(value) => Some(value),
            Err(Problem { problem, cure }) => {
                self.fault(key, problem, cure);
                None
            }
        }
    }

    /// Whether a setting was given, be it right or wrong.
    pub(super) fn was_given(&self, key: &'static str) -> bool {
        self.shown_as.contains_key(key)
    }

    /// Notes a fault.
    pub(super) fn fault(&mut self, key: &str, problem: impl Into<String>, cure: impl Into<String>) {
        let shown = self.shown_as.get(key).map_or(key, String::as_str);
        // An unknown key is foreign text: keep it on its line, and short.
        let key = shown.chars().take(120).flat_map(char::escape_debug).collect();
        self.faults.push(Fault { key, problem: problem.into(), cure: cure.into() });
    }

    /// Turns what nobody took into faults, and answers whether there were any.
    pub(super) fn finish(mut self) -> Result<(), Faults> {
        for (key, given) in std::mem::take(&mut self.given) {
            let section = format!("{key}.");
            let cure = if self.known.iter().any(|known| known.starts_with(&section)) {
                "it is a section: give it keys of its own".to_owned()
            } else {
                match closest(&key, self.known.iter().copied()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => "remove it; signet.example.toml lists every setting".to_owned(),
                }
            };
            self.fault(&given.shown_as, "is not a setting", cure);
        }
        if self.faults.is_empty() { Ok(()) } else { Err(Faults(self.faults)) }
    }

    /// The keys the sections asked for.
    #[cfg(test)]
    pub(super) fn known(&self) -> &[&'static str] {
        &self.known
    }
}

/// Whether Kubernetes made the variable, as it does in every pod for a service that is called `signet`:
/// `SIGNET_SERVICE_HOST`, `SIGNET_SERVICE_PORT_HTTP`, `SIGNET_PORT=tcp://10.0.0.1:8080`, `SIGNET_PORT_8080_TCP_ADDR`.
///
/// # Source
/// <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>
fn is_service_link(name: &str, value: &str) -> bool {
    let is_address =
        |text: &str| ["tcp://", "udp://", "sctp://"].iter().any(|scheme| text.starts_with(scheme));
    let follows_a_port = |rest: &str| {
        let behind = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        behind.len() < rest.len() && ["_TCP", "_UDP", "_SCTP"].iter().any(|kind| behind.starts_with(kind))
    };
    !name.starts_with("SIGNET__")
        && (name.ends_with("_SERVICE_HOST")
            || name.ends_with("_SERVICE_PORT")
            || name.contains("_SERVICE_PORT_")
            || (name.ends_with("_PORT") && is_address(value))
            || name.split_once("_PORT_").is_some_and(|(_, rest)| follows_a_port(rest)))
}

/// The known name nearest to a mistyped one: at most three letters off, or the right name in the wrong section.
fn closest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let wrong_last = last(wrong);
    known
        .map(|name| {
            let moved = if last(name) == wrong_last { 3 } else { usize::MAX };
            (edit_distance(wrong, name).min(moved), name)
        })
        .filter(|(distance, _)| *distance <= 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many bytes must be added, dropped or changed to turn one name into the other (Levenshtein).
fn edit_distance(from: &str, to: &str) -> usize {
    if from.len().abs_diff(to.len()) > 3 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.bytes().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distance_counts_single_letter_changes() {
        let cases =
            [("abc", "abc", 0), ("abc", "abd", 1), ("abc", "ab", 1), ("", "ab", 2), ("lisen", "listen", 1)];
        for (from, to, distance) in cases {
            assert_eq!(edit_distance(from, to), distance, "{from} {to}");
        }
    }

    #[test]
    fn a_name_in_the_wrong_section_is_found() {
        assert_eq!(
            closest("database.listen", ["server.listen", "issuer"].into_iter()),
            Some("server.listen")
        );
        assert_eq!(closest("nonsense", ["server.listen", "issuer"].into_iter()), None);
    }
}
