//! Rules about everything that is not code.

use crate::assert_none;
use crate::source::{exists, files, read};

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
fn no_merge_was_left_half_done() {
    let mut breaches = Vec::new();
    for file in files() {
        for (number, line) in file.text.lines().enumerate() {
            if ["<<<<<<< ", ">>>>>>> "].iter().any(|marker| line.starts_with(marker)) {
                breaches.push(format!("{}:{}: {line}", file.path, number + 1));
            }
        }
    }
    assert_none(&breaches, "choose what stays of the two sides, and remove the marks");
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
fn the_verifiers_that_are_shown_are_those_that_are_tested() {
    let page = read("docs/verifying.md");
    let shown = shown_files(&page);
    let mut breaches: Vec<_> = shown
        .iter()
        .filter(|(path, text)| !exists(path) || read(path) != *text)
        .map(|(path, _)| format!("{path} is another than docs/verifying.md shows"))
        .collect();
    for library in
        ["verify_pyjwt.py", "verify_joserfc.py", "verify.mjs", "withkeyfunc", "withoidc", "AccessTokens"]
    {
        if !shown.iter().any(|(path, _)| path.contains(library)) {
            breaches.push(format!("{library} is not shown"));
        }
    }
    // The table and the locks.
    for (lock, before) in [
        ("tests/interop/python/requirements.txt", "=="),
        ("tests/interop/node/package.json", "\": \""),
        ("tests/interop/go/go.mod", " v"),
        ("tests/interop/java/pom.xml", "<version>"),
    ] {
        let (lock, text) = (lock, read(lock));
        let folder = lock.rsplit_once('/').map_or("", |(folder, _)| folder);
        for row in page.lines().filter(|line| line.starts_with("| [") && line.contains(folder)) {
            for version in row.split('|').nth(2).unwrap_or_default().split(',').map(str::trim) {
                if !text.contains(&format!("{before}{version}")) {
                    breaches.push(format!("{lock} has no {version}: {row}"));
                }
            }
        }
    }
    assert_none(&breaches, "copy the file into the block behind its marker, or the version into the table");
}

/// Path and text of each fenced block behind a marker `<!-- file: PATH -->`.
fn shown_files(page: &str) -> Vec<(String, String)> {
    page.split("<!-- file: ")
        .skip(1)
        .filter_map(|rest| {
            let (path, rest) = rest.split_once(" -->\n```")?;
            let (_, rest) = rest.split_once('\n')?;
            let (text, _) = rest.split_once("```\n")?;
            Some((path.to_owned(), text.to_owned()))
        })
        .collect()
}

#[test]
fn shown_files_are_read() {
    let page = "text\n<!-- file: a.py -->\n```python\nimport a\n```\nmore";
    assert_eq!(shown_files(page), [("a.py".to_owned(), "import a\n".to_owned())]);
}

#[test]
fn links_are_read() {
    assert_eq!(links("see [a](docs/a.md) and [b](../b.md#c)"), ["docs/a.md", "../b.md#c"]);
}
