//! What the rules are made of: the files of the repository, and small questions about their text.

use std::fs;
use std::path::{Path, PathBuf};

/// One file, by its path from the repository's root with `/` between the parts.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// The text with `//` comments (and so doc comments) removed; line numbers stay.
    pub(crate) fn code(&self) -> String {
        self.text.lines().map(without_comment).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn is_under(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| {
            self.path == *folder || self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        })
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// A `//` that begins a line or follows a space; the one in `"https://…"` follows a colon.
fn without_comment(line: &str) -> &str {
    let mut from = 0;
    while let Some(at) = line[from..].find("//").map(|at| at + from) {
        if line[..at].chars().next_back().is_none_or(char::is_whitespace) {
            return &line[..at];
        }
        from = at + 2;
    }
    line
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn exists(path: &str) -> bool {
    root().join(path).exists()
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every text file a person wrote, in order of its path.
pub(crate) fn files() -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root(), "", &mut found);
    assert!(found.iter().any(|file| file.path == "src/lib.rs"), "the walk lost its way");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<Source>) {
    const NOT_OURS: [&str; 9] = [
        ".git",
        "target",
        "data",
        ".venv",
        "node_modules",
        "__pycache__",
        "Cargo.lock",
        "root.key",
        ".hypothesis",
    ];
    for entry in fs::read_dir(folder).expect("a folder that can be read") {
        let entry = entry.expect("an entry that can be read");
        let name = entry.file_name().to_string_lossy().into_owned();
        if NOT_OURS.contains(&name.as_str()) {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.path().is_dir() {
            walk(&entry.path(), &format!("{path}/"), found);
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            found.push(Source { path, text });
        }
    }
}

/// Whether `text` holds `needle` with no identifier character touching an end that is one itself.
pub(crate) fn mentions(text: &str, needle: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(needle).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + needle.len()..].chars().next();
        !(needle.starts_with(joins) && before.is_some_and(joins)
            || needle.ends_with(joins) && after.is_some_and(joins))
    })
}

/// `path:line: text` for every line of code that mentions one of `words`.
pub(crate) fn lines_that_mention(file: &Source, words: &[&str]) -> Vec<String> {
    file.code()
        .lines()
        .enumerate()
        .filter(|(_, line)| words.iter().any(|word| mentions(line, word)))
        .map(|(number, line)| format!("{}:{}: {}", file.path, number + 1, line.trim()))
        .collect()
}

/// The top-level modules that `code` names as `crate::module` or `crate::{module, other::Item}`.
pub(crate) fn modules_used(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    for (at, word) in code.match_indices("crate::") {
        let rest = &code[at + word.len()..];
        if let Some(list) = rest.strip_prefix('{') {
            used.extend(heads_of_list(list));
        } else {
            used.push(identifier(rest));
        }
    }
    used.retain(|name| name.starts_with(|c: char| c.is_lowercase()));
    used.sort();
    used.dedup();
    used
}

/// First path parts in `a::{b, c}, d}…`, read up to the brace that closes the list.
fn heads_of_list(list: &str) -> Vec<String> {
    let (mut depth, mut heads, mut at_head) = (0, Vec::new(), true);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_head = true,
            c if at_head && !c.is_whitespace() => {
                heads.push(identifier(&list[at..]));
                at_head = false;
            }
            _ => {}
        }
    }
    heads
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Names behind `keyword` (`fn `, `def `): the functions a file defines.
pub(crate) fn functions(text: &str, keyword: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            let at = line.find(keyword)?;
            let starts = line[..at].chars().next_back().is_none_or(char::is_whitespace);
            let name = identifier(&line[at + keyword.len()..]);
            (starts && !name.is_empty()).then_some(name)
        })
        .collect()
}

/// A method and a path of the route table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) method: String,
    pub(crate) path: String,
}

/// The route table: one entry per `"/path"` literal, its method the last word before it that is an HTTP method
/// (`Method::POST`, `"POST"` and `post(` all count). Adapt this when the table changes its form.
pub(crate) fn routes(table: &str) -> Vec<Route> {
    const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    let mut method = String::new();
    let mut routes = Vec::new();
    let words = table.split(|c: char| !(c.is_alphanumeric() || "/_-.{}\"".contains(c)));
    for word in words.filter(|word| !word.is_empty()) {
        let bare = word.trim_matches('"');
        if word.starts_with("\"/") {
            routes.push(Route { method: method.clone(), path: bare.to_owned() });
        } else if METHODS.contains(&bare.to_ascii_uppercase().as_str()) {
            method = bare.to_ascii_uppercase();
        }
    }
    routes
}

/// Whether a test names the path: what stands before a `{parameter}` is enough, a longer path is not.
pub(crate) fn names_path(text: &str, path: &str) -> bool {
    let fixed = path.split('{').next().unwrap_or(path);
    text.match_indices(fixed).any(|(at, _)| {
        let after = text[at + fixed.len()..].chars().next();
        fixed != path || !after.is_some_and(|c| c.is_alphanumeric() || "/_-.".contains(c))
    })
}
