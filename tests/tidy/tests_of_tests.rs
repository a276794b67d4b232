//! Rules about the tests: that they exist, are named, run, and cannot pass by waiting.

use std::collections::BTreeSet;

use crate::assert_none;
use crate::source::{Route, Source, files, functions, names_path, read, routes};

/// The highest id of the list of attacks.
const LAST_ATTACK: u16 = 141;

fn is_test(file: &Source) -> bool {
    file.is_under(&["tests", "argon2id/tests", "guard/tests"]) && !is_tidy(file)
}

fn is_tidy(file: &Source) -> bool {
    file.is_under(&["tests/tidy.rs", "tests/tidy"])
}

/// Rust files that may hold test functions: test folders, and modules beside the code.
fn rust_with_tests() -> Vec<Source> {
    files().into_iter().filter(|file| file.is_rust() && !is_tidy(file)).collect()
}

/// Names of all test functions, in Rust and in Python.
pub(crate) fn test_names() -> BTreeSet<String> {
    let mut names: BTreeSet<_> =
        rust_with_tests().iter().flat_map(|file| functions(&file.code(), "fn ")).collect();
    for file in files().iter().filter(|file| is_test(file) && file.path.ends_with(".py")) {
        names.extend(functions(&file.text, "def "));
    }
    names
}

/// `(number, digits)` of a name like `a063_…`.
fn attack_id(name: &str) -> Option<(u16, usize)> {
    let (digits, _) = name.strip_prefix('a')?.split_once('_')?;
    let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| (digits.parse().unwrap_or(u16::MAX), digits.len()))
}

#[test]
fn attack_tests_are_named_with_three_digits_and_once_per_file() {
    let mut breaches = Vec::new();
    for file in rust_with_tests() {
        let mut seen = BTreeSet::new();
        for name in functions(&file.code(), "fn ") {
            let Some((id, digits)) = attack_id(&name) else { continue };
            if digits != 3 || id == 0 || id > LAST_ATTACK {
                breaches.push(format!("{}: {name}: ids are a001 to a{LAST_ATTACK}", file.path));
            }
            if !seen.insert(name.clone()) {
                breaches.push(format!("{}: {name} stands here twice", file.path));
            }
        }
    }
    assert_none(&breaches, "name the test a063_what_must_hold, with the id of the attack it tries");
}

#[test]
fn every_attack_on_the_list_has_a_test_and_every_attack_test_is_on_the_list() {
    let covered: BTreeSet<u16> =
        test_names().iter().filter_map(|name| attack_id(name)).map(|(id, _)| id).collect();
    let text = read("docs/attacks.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| A")?.split(' ').next()?.parse().ok());
    let mut listed: BTreeSet<u16> = BTreeSet::new();
    let mut breaches: Vec<_> = rows
        .filter(|id| !listed.insert(*id))
        .map(|id| format!("A{id:02} is in docs/attacks.md twice"))
        .collect();
    let lonely = listed.symmetric_difference(&covered);
    breaches.extend(
        lonely.map(|id| format!("A{id:02} is in docs/attacks.md or in the name of a test, not in both")),
    );
    assert_none(&breaches, "write the test `fn aNNN_…`, or the row in docs/attacks.md");
}

#[test]
fn every_route_is_named_by_a_test() {
    let table = Source { path: String::new(), text: read("src/http/mod.rs") }.code();
    let routes = routes(&table);
    assert!(!routes.is_empty(), "no route found in src/http/mod.rs: adapt `routes` in tests/tidy/source.rs");
    let tests: Vec<_> = files().into_iter().filter(is_test).collect();
    let breaches: Vec<_> = routes
        .iter()
        .filter(|route| !tests.iter().any(|test| names_path(&test.text, &route.path)))
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    assert_none(&breaches, "write a test that calls the route by its path");
}

#[test]
fn every_row_of_the_conformance_table_names_a_test_that_exists() {
    let mut names = test_names();
    // `a063` alone stands for every test of that attack.
    let attacks: Vec<_> =
        names.iter().filter(|name| attack_id(name).is_some()).map(|name| name[..4].into()).collect();
    names.extend(attacks);
    let mut breaches = Vec::new();
    for row in rows(&read("docs/conformance.md")) {
        let cited = cited(&row);
        if cited.is_empty() {
            breaches.push(format!("no test: {row}"));
        }
        breaches.extend(
            cited.iter().filter(|name| !names.contains(*name)).map(|name| format!("`{name}`: {row}")),
        );
    }
    assert_none(
        &breaches,
        "name, between backticks in the last column, test functions that exist, or attacks (`a063`)",
    );
}

/// Body rows of the tables in a page.
fn rows(page: &str) -> Vec<String> {
    let lines: Vec<_> = page.lines().collect();
    lines
        .iter()
        .enumerate()
        .filter(|(at, line)| {
            let heads =
                lines.get(at + 1).is_some_and(|next| next.starts_with("|--") || next.starts_with("| --"));
            line.starts_with('|') && !line.trim_start_matches(['|', ' ']).starts_with('-') && !heads
        })
        .map(|(_, line)| (*line).to_owned())
        .collect()
}

/// What stands between backticks in the last cell of a row.
fn cited(row: &str) -> Vec<String> {
    let last = row.trim_end().trim_end_matches('|').rsplit('|').next().unwrap_or_default();
    last.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// A test that another one starts in a process of its own says so: `#[ignore = "… run by its_name"]`.
#[test]
fn no_test_is_ignored() {
    let names = test_names();
    let is_run = |line: &str| {
        let runner = line.rsplit("run by ").next().unwrap_or_default();
        names.contains(runner.trim_end_matches(['"', ']', ')']))
    };
    let mut breaches = Vec::new();
    for file in rust_with_tests() {
        let code = file.code();
        let ignored = code.lines().filter(|line| line.contains("#[ignore") && !is_run(line));
        breaches.extend(ignored.map(|line| format!("{}: {}", file.path, line.trim())));
    }
    assert_none(
        &breaches,
        "mend the test or delete it; a test that needs a service fails when the service is missing",
    );
}

#[test]
fn no_test_sleeps() {
    let mut breaches = Vec::new();
    for file in files() {
        let text = match file.text.split_once("#[cfg(test)]") {
            _ if is_tidy(&file) => continue,
            _ if is_test(&file) => file.text.as_str(),
            Some((_, tests)) if file.is_rust() => tests,
            _ => continue,
        };
        let sleeps = |line: &&str| line.contains("sleep(") && !line.contains(" poll:");
        breaches.extend(text.lines().filter(sleeps).map(|line| format!("{}: {}", file.path, line.trim())));
    }
    assert_none(
        &breaches,
        "advance the clock, or ask again until a deadline; the pause between two questions is marked `poll:`",
    );
}

#[test]
fn the_rules_read_names_tables_and_routes() {
    assert_eq!(attack_id("a063_claims"), Some((63, 3)));
    assert_eq!(attack_id("answers_once"), None);
    assert_eq!(rows("| a | b |\n|---|---|\n| 1 | `x`, `y` |\ntext"), ["| 1 | `x`, `y` |"]);
    assert_eq!(cited("| `no` | `x`, `y` |"), ["x", "y"]);
    let table = r#"Route { method: Method::POST, path: "/api/v1/login" }, ("GET", "/users/{id}")"#;
    let route = |method: &str, path: &str| Route { method: method.into(), path: path.into() };
    assert_eq!(routes(table), [route("POST", "/api/v1/login"), route("GET", "/users/{id}")]);
    assert!(
        names_path("get(\"/users/7\")", "/users/{id}") && !names_path("/api/v1/me/password", "/api/v1/me")
    );
}
