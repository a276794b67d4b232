//! Root keys: adding one, making it the active one, and what stays valid.

mod command;
mod crash;
mod live;

use std::path::Path;

use serde_json::Value;

use crate::helpers::process::{command, printed, run};

/// Runs `signet keys root …` and answers what it printed; fails when it failed.
fn root(folder: &Path, arguments: &[&str]) -> String {
    let (text, is_done) = try_root(folder, arguments);
    assert!(is_done, "{arguments:?}: {text}");
    text
}

/// The same, and whether it was done.
fn try_root(folder: &Path, arguments: &[&str]) -> (String, bool) {
    let mut root = command(folder);
    root.args(["keys", "root"]).args(arguments);
    let output = run(root, "");
    (printed(&output), output.status.success())
}

/// The list as a program reads it.
fn list(folder: &Path) -> Vec<Value> {
    let text = root(folder, &["list", "--json"]);
    let keys: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    keys.as_array().unwrap().clone()
}

fn ids(keys: &[Value]) -> Vec<String> {
    keys.iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect()
}

/// The id of the active key.
fn active(keys: &[Value]) -> String {
    let active: Vec<&Value> = keys.iter().filter(|key| key["active"] == true).collect();
    assert_eq!(active.len(), 1, "{keys:?}");
    active[0]["id"].as_str().unwrap().to_owned()
}
