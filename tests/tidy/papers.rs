//! Rules about everything that is not code.

use crate::assert_none;
use crate::source::{exists, files};

/// Folders of one person's machine, and the address of one company's mirror, have no place in a public repository.
#[test]
fn no_file_names_somebodys_machine() {
    let needles = [
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/"),
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
        concat!("arti", "factory"),
    ];
    let mut breaches = Vec::new();
    for file in files() {
        for (number, line) in file.text.lines().enumerate() {
            if needles.iter().any(|needle| line.contains(needle)) {
                breaches.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    assert_none(&breaches, "use a relative path, or one every machine has (/var/lib/signet)");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut breaches = Vec::new();
    for file in files().iter().filter(|file| file.path.ends_with(".md")) {
        let folder = file.path.rfind('/').map_or("", |slash| &file.path[..=slash]);
        for target in links(&file.text) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
                continue;
            }
            if !exists(&format!("{folder}{path}")) {
                breaches.push(format!("{}: ({target})", file.path));
            }
        }
    }
    assert_none(&breaches, "write the path from the folder of the document that holds the link");
}

/// The targets of `[text](target)`.
fn links(page: &str) -> Vec<String> {
    page.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned).collect()
}

#[test]
fn the_papers_every_visitor_looks_for_are_there() {
    let breaches: Vec<_> = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "keys/README.md",
    ]
    .iter()
    .filter(|path| !exists(path))
    .map(|path| format!("{path} is missing"))
    .collect();
    assert_none(&breaches, "write it");
}

#[test]
fn links_are_read() {
    assert_eq!(links("see [a](docs/a.md) and [b](../b.md#c)"), ["docs/a.md", "../b.md#c"]);
}
