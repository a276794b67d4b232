//! Killed while a root key is added or made the active one.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{active, ids, list, root};
use crate::helpers::process::{Process, command};

/// How many times each is killed, each time a little later.
const KILLS: u32 = 16;

/// Starts `signet keys root …` and kills it after a while.
fn kill(folder: &Path, arguments: &[&str], after: Duration) {
    let mut root = command(folder);
    root.args(["keys", "root"]).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let mut child = root.spawn().unwrap();
    while started.elapsed() < after && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// How long it takes when nobody kills it.
fn whole(folder: &Path, arguments: &[&str]) -> Duration {
    let started = Instant::now();
    root(folder, arguments);
    started.elapsed()
}

#[test]
fn a134_whenever_root_add_is_killed_the_file_is_whole_and_no_key_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Process::start(folder.path()).unwrap().stop(), Some(0));
    let whole = whole(folder.path(), &["add"]);
    let mut known = ids(&list(folder.path()));
    let first = active(&list(folder.path()));
    for round in 0..KILLS {
        kill(folder.path(), &["add"], whole * round / KILLS * 5 / 4);
        let now = ids(&list(folder.path()));
        assert!(now.starts_with(&known), "round {round}: {known:?} became {now:?}");
        assert!(now.len() <= known.len() + 1);
        known = now;
    }
    root(folder.path(), &["add"]);
    let names: Vec<_> =
        fs::read_dir(folder.path().join("keys")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "what was left behind is removed: {names:?}");
    assert_eq!(active(&list(folder.path())), first);
    assert_eq!(Process::start(folder.path()).unwrap().stop(), Some(0));
}

#[test]
fn a134_whenever_root_use_is_killed_the_old_key_or_the_new_one_is_active_and_everything_opens() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Process::start(folder.path()).unwrap().stop(), Some(0));
    root(folder.path(), &["add"]);
    let whole = whole(folder.path(), &["use", "2"]);
    for round in 0..KILLS {
        let (from, to) = if round % 2 == 0 { (1, "1") } else { (0, "2") };
        kill(folder.path(), &["use", to], whole * round / KILLS * 5 / 4);
        let keys = list(folder.path());
        let now = active(&keys);
        // Whichever it is, the signing key went with it.
        let sealed: Vec<_> = keys.iter().filter(|key| key["signing_keys"] == 1).collect();
        assert_eq!(sealed.len(), 1);
        assert_eq!(sealed[0]["id"], now.as_str(), "round {round}");
        if now == ids(&keys)[from] {
            root(folder.path(), &["use", to]);
        }
        if round % 4 == 0 {
            assert_eq!(Process::start(folder.path()).unwrap().stop(), Some(0), "round {round}");
        }
    }
}
