//! Starting: the first time, again, together, and with the wrong things at hand.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::helpers::process::{Process, command, printed, run};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn kids(folder: &Path) -> Vec<String> {
    let mut list = command(folder);
    list.args(["keys", "list", "--json"]);
    let keys: serde_json::Value = serde_json::from_slice(&run(list, "").stdout).unwrap();
    keys.as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_first_start_makes_what_it_needs_and_checks_itself() {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(folder.path()).unwrap();
    assert!(first.greeting.contains("Self-check:"), "{}", first.greeting);
    assert_eq!(first.stop(), Some(0));
    let made = kids(folder.path());
    assert_eq!(made.len(), 1);
    let second = Process::start(folder.path()).unwrap();
    assert!(!second.greeting.contains("Self-check:"), "{}", second.greeting);
    assert_eq!(second.stop(), Some(0));
    assert_eq!(kids(folder.path()), made);
}

#[test]
fn a134_what_is_secret_is_private_and_a_lax_root_key_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path()).unwrap();
    assert_eq!(mode(&folder.path().join("keys/root.key")), 0o600);
    assert_eq!(mode(&folder.path().join("data/signet.db")), 0o600);
    for name in ["data/signet.db-wal", "data/signet.db-shm"] {
        assert_eq!(mode(&folder.path().join(name)) & 0o077, 0, "{name}");
    }
    #[cfg(target_os = "linux")]
    {
        let limits = fs::read_to_string(format!("/proc/{}/limits", server.child.id())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        // Soft and hard: the soft limit is zero in most places anyway.
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    }
    assert_eq!(server.stop(), Some(0));

    for lax in [0o644, 0o640, 0o604, 0o660] {
        let root_key = folder.path().join("keys/root.key");
        fs::set_permissions(&root_key, fs::Permissions::from_mode(lax)).unwrap();
        let refused = run(command(folder.path()), "");
        assert_eq!(refused.status.code(), Some(1));
        let text = printed(&refused);
        assert!(text.contains("chmod 600") && text.contains("root.key"), "{text}");
    }
}

#[test]
fn a131_another_root_key_or_none_stops_the_start_and_changes_nothing() {
    let ours = tempfile::tempdir().unwrap();
    let theirs = tempfile::tempdir().unwrap();
    for folder in [&ours, &theirs] {
        assert_eq!(Process::start(folder.path()).unwrap().stop(), Some(0));
    }
    let made = kids(ours.path());
    let root_key = ours.path().join("keys/root.key");
    let kept = fs::read(&root_key).unwrap();

    // An old database with a new root key.
    fs::copy(theirs.path().join("keys/root.key"), &root_key).unwrap();
    let text = Process::start(ours.path()).err().expect("the start is refused");
    assert!(text.contains("sealed with root key 1-") && text.contains("nothing was changed"), "{text}");
    assert_eq!(fs::read(&root_key).unwrap(), fs::read(theirs.path().join("keys/root.key")).unwrap());

    // No root key at all: not taken for a new installation.
    fs::remove_file(&root_key).unwrap();
    let text = Process::start(ours.path()).err().expect("the start is refused");
    assert!(text.contains("root.key") && text.contains("does not exist"), "{text}");
    assert!(!root_key.exists());

    // Broken root keys.
    for broken in ["", "1 AAAA\n", "1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", "rubbish\n"] {
        fs::write(&root_key, broken).unwrap();
        fs::set_permissions(&root_key, fs::Permissions::from_mode(0o600)).unwrap();
        let text = Process::start(ours.path()).err().expect("the start is refused");
        assert!(text.contains("root.key"), "{broken:?}: {text}");
        assert_eq!(fs::read_to_string(&root_key).unwrap(), broken, "nothing is overwritten");
    }

    // The right one again.
    fs::write(&root_key, kept).unwrap();
    assert_eq!(Process::start(ours.path()).unwrap().stop(), Some(0));
    assert_eq!(kids(ours.path()), made);
}
