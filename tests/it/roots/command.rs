//! `signet keys root` beside a real server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{active, ids, list, root, try_root};
use crate::helpers::process::{Process, command, printed, run};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Tries until the servers have read the key.
fn use_soon(folder: &Path, number: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let (text, is_done) = try_root(folder, &["use", number]);
        if is_done {
            return text;
        }
        assert!(text.contains("is not everywhere yet"), "{text}");
        assert!(Instant::now() < deadline, "the server never read the key: {text}");
    }
}

#[test]
fn a134_a_root_key_is_added_used_and_removed_while_a_server_runs_and_all_of_it_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys/root.key");
    let server = Process::start(folder.path()).unwrap();
    let first = active(&list(folder.path()));
    while list(folder.path())[0]["signing_keys"] != 2 {
        std::thread::sleep(std::time::Duration::from_millis(50)); // poll: until the second key is made
    }
    assert_eq!(list(folder.path())[0]["replicas"].as_array().unwrap().len(), 1);

    let added = root(folder.path(), &["add"]);
    assert!(added.contains("root key 2-") && added.contains("signet keys root use 2"), "{added}");
    let keys = list(folder.path());
    assert_eq!((keys.len(), active(&keys)), (2, first.clone()), "nothing is made under it yet");
    let (unknown, is_done) = try_root(folder.path(), &["use", "3"]);
    assert!(!is_done && unknown.contains("there is no root key 3, only 1-"), "{unknown}");

    let used = use_soon(folder.path(), "2");
    assert!(used.contains("Signing keys sealed anew: 2."), "{used}");
    let keys = list(folder.path());
    assert_eq!(active(&keys), ids(&keys)[1]);
    let table = root(folder.path(), &["list"]);
    let words: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[1][..4], [&ids(&keys)[0], "-", "0", "0"], "{table}");
    assert_eq!(words[1][5..], ["1", "of", "1"], "{table}");
    assert_eq!(words[2][..3], [&ids(&keys)[1], "active", "2"], "{table}");
    assert_eq!((&keys[0]["signing_keys"], &keys[1]["signing_keys"]), (&0.into(), &2.into()));
    let again = root(folder.path(), &["use", "2"]);
    assert!(again.contains("Signing keys sealed anew: 0."), "{again}");
    for name in ["keys/root.key", "keys/state"] {
        assert_eq!(mode(&folder.path().join(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&folder.path().join("keys")), 0o700);
    let left: Vec<_> =
        fs::read_dir(folder.path().join("keys")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(server.stop(), Some(0));
    assert!(
        list(folder.path())[0]["replicas"].as_array().unwrap().is_empty(),
        "a server that ended is forgotten"
    );

    // Without the older key, which nothing needs: its line is the first that is no comment.
    let both = fs::read_to_string(&file).unwrap();
    let (old, new) = (line(&both, "1 "), line(&both, "2 "));
    fs::write(&file, both.replace(&old, "")).unwrap();
    assert_eq!(Process::start(folder.path()).unwrap().stop(), Some(0));
    // Without the one that is needed, it says which.
    fs::write(&file, both.replace(&new, "")).unwrap();
    let refused = Process::start(folder.path()).err().unwrap();
    assert!(refused.contains(&format!("root key {}", ids(&keys)[1])), "{refused}");
    assert!(refused.contains("nothing was changed"), "{refused}");
    let listed = list(folder.path());
    assert_eq!(listed.iter().filter(|key| key["in_file"] == false).count(), 1, "{listed:?}");
}

fn line(text: &str, start: &str) -> String {
    format!("{}\n", text.lines().find(|line| line.starts_with(start)).unwrap())
}

#[test]
fn of_many_who_add_a_root_key_at_once_each_adds_one() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Process::start(folder.path()).unwrap().stop(), Some(0));
    let adding: Vec<_> = (0..8)
        .map(|_| {
            let folder = folder.path().to_owned();
            std::thread::spawn(move || root(&folder, &["add"]))
        })
        .collect();
    adding.into_iter().for_each(|thread| drop(thread.join().unwrap()));
    let numbers: Vec<String> =
        ids(&list(folder.path())).iter().map(|id| id.split('-').next().unwrap().to_owned()).collect();
    assert_eq!(numbers, ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
}

#[test]
fn a_root_key_from_the_environment_is_added_to_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let mut add = command(folder.path());
    add.env("SIGNET_ROOT_KEY", "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8").args(["keys", "root", "add"]);
    let refused = run(add, "");
    let text = printed(&refused);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(
        text.contains("SIGNET_ROOT_KEY cannot be changed from here") && text.contains("by hand"),
        "{text}"
    );
    assert!(!folder.path().join("keys/root.key").exists());
}

#[test]
fn where_nothing_can_be_written_beside_the_file_it_says_how_to_add_a_key_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Process::start(folder.path()).unwrap().stop(), Some(0));
    // A name with which a temporary one is too long. Read-only folders do not stop `root`, as whom tests may run.
    let file = folder.path().join("k".repeat(245));
    fs::copy(folder.path().join("keys/root.key"), &file).unwrap();
    let mut add = command(folder.path());
    add.env("SIGNET_ROOT_KEY_FILE", &file).args(["keys", "root", "add"]);
    let refused = run(add, "");
    let text = printed(&refused);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("cannot be changed from here") && text.contains("by hand"), "{text}");
    assert_eq!(fs::read(&file).unwrap(), fs::read(folder.path().join("keys/root.key")).unwrap());
    assert_eq!(list(folder.path()).len(), 1);
}

#[test]
fn a_link_to_the_root_key_file_stays_one() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Process::start(folder.path()).unwrap().stop(), Some(0));
    let (link, file) = (folder.path().join("keys/root.key"), folder.path().join("elsewhere.key"));
    fs::rename(&link, &file).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    root(folder.path(), &["add"]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(mode(&file), 0o600);
    assert_eq!(list(folder.path()).len(), 2);
}

#[tokio::test]
async fn a_root_key_that_is_taken_away_too_early_is_told_of_with_what_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys/root.key");
    let server = Process::start(folder.path()).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let account = serde_json::json!({ "email": "ann@example.com", "password": "a quiet walk by the sea" });
    for path in ["register", "login"] {
        let answer =
            client.post(format!("{}/api/v1/{path}", server.url)).json(&account).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}");
    }
    let first = active(&list(folder.path()));
    root(folder.path(), &["add"]);
    use_soon(folder.path(), "2");
    assert!(!server.logged().contains("root_keys.needed"));
    let text = fs::read_to_string(&file).unwrap();
    let without: Vec<&str> = text.lines().filter(|line| !line.starts_with("1 ")).collect();
    fs::write(&file, without.join("\n") + "\n").unwrap();
    let told = |server: &Process| {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !server.logged().contains("these sessions cannot be refreshed") {
            assert!(Instant::now() < deadline, "{}", server.logged());
            std::thread::sleep(Duration::from_millis(20)); // poll: until the server has told of it
        }
        assert!(server.logged().contains(&first), "{}", server.logged());
    };
    told(&server);
    assert_eq!(server.stop(), Some(0));
    // Also at a start.
    told(&Process::start(folder.path()).unwrap());
}
