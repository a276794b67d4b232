//! The operator's commands, as processes.

use std::fs;

use serde_json::{Value, json};

use crate::helpers::app::PASSWORD;
use crate::helpers::process::{Process, command, printed, run};

pub(crate) fn signet(folder: &std::path::Path, arguments: &[&str], input: &str) -> std::process::Output {
    let mut command = command(folder);
    command.args(arguments);
    run(command, input)
}

#[test]
fn an_operator_makes_lists_disables_and_changes_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let create =
        ["user", "create", "Ann@Example.com", "--name", "Ann", "--role", "admin", "--password-stdin"];
    let made = signet(folder, &create, &format!("{PASSWORD}\n"));
    assert!(made.status.success(), "{}", printed(&made));
    let again = signet(folder, &create, &format!("{PASSWORD}\n"));
    assert_eq!(again.status.code(), Some(1));
    assert!(printed(&again).contains("exists already"), "{}", printed(&again));

    let list = || -> Value {
        let output = signet(folder, &["user", "list", "--json"], "");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let users = list();
    assert_eq!(users[0]["email"], "ann@example.com");
    assert_eq!(users[0]["roles"], json!(["admin"]));
    assert_eq!(users[0]["disabled_at"], Value::Null);

    for (arguments, input) in [
        (vec!["user", "disable", "ann@example.com"], ""),
        (vec!["user", "roles", "ann@example.com", "editor", "admin"], ""),
        (vec!["user", "set-password", "ann@example.com", "--password-stdin"], "another long pass phrase\n"),
    ] {
        let output = signet(folder, &arguments, input);
        assert!(output.status.success(), "{arguments:?}: {}", printed(&output));
    }
    assert_eq!(list()[0]["roles"], json!(["admin", "editor"]));
    assert!(list()[0]["disabled_at"].is_i64());
    assert!(signet(folder, &["user", "enable", "ann@example.com"], "").status.success());
    assert_eq!(list()[0]["disabled_at"], Value::Null);

    // Taking everything away is said, not forgotten.
    assert_eq!(signet(folder, &["user", "roles", "ann@example.com"], "").status.code(), Some(2));
    let many: Vec<String> = (0..33).map(|number| format!("role{number}")).collect();
    let too_many =
        [vec!["user", "roles", "ann@example.com"], many.iter().map(String::as_str).collect()].concat();
    let refused = signet(folder, &too_many, "");
    assert!(printed(&refused).contains("at most 32 roles"), "{}", printed(&refused));
    assert_eq!(list()[0]["roles"], json!(["admin", "editor"]));
    assert!(signet(folder, &["user", "roles", "ann@example.com", "--none"], "").status.success());
    assert_eq!(list()[0]["roles"], json!([]));

    let nobody = signet(folder, &["user", "disable", "bob@example.com"], "");
    assert_eq!(nobody.status.code(), Some(1));
    assert!(printed(&nobody).contains("no account"), "{}", printed(&nobody));
}

#[test]
fn a_refused_password_is_explained_and_an_argument_is_never_one() {
    let folder = tempfile::tempdir().unwrap();
    let create = ["user", "create", "ann@example.com", "--password-stdin"];
    let short = signet(folder.path(), &create, "short\n");
    assert_eq!(short.status.code(), Some(1));
    assert!(printed(&short).contains("15"), "{}", printed(&short));
    let empty = signet(folder.path(), &create, "");
    assert_eq!(empty.status.code(), Some(2));
    let argument = signet(folder.path(), &["user", "create", "ann@example.com", "--password", PASSWORD], "");
    assert_eq!(argument.status.code(), Some(2));
    let no_terminal = signet(folder.path(), &["user", "create", "ann@example.com"], PASSWORD);
    assert_eq!(no_terminal.status.code(), Some(2));
    assert!(printed(&no_terminal).contains("--password-stdin"));
}

#[test]
fn check_config_prints_what_is_in_force_and_every_fault_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let good = signet(folder.path(), &["check-config"], "");
    assert!(good.status.success(), "{}", printed(&good));
    assert!(printed(&good).contains("127.0.0.1"), "{}", printed(&good));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "it only looks");

    fs::write(
        folder.path().join("signet.toml"),
        "issuer = \"http://login.example.com\"\nisuer = 1\n[tokens]\naccess_token_life = \"10 fortnights\"\n",
    )
    .unwrap();
    let bad = signet(folder.path(), &["check-config"], "");
    assert_eq!(bad.status.code(), Some(2));
    let text = printed(&bad);
    for word in ["issuer", "https", "isuer", "access_token_life"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(text.lines().count() >= 3, "{text}");
}

#[test]
fn a_key_of_ones_own_signs_when_it_was_imported_before_the_first_start() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let pem = folder.join("own.pem");
    fs::write(&pem, crate::helpers::app::key_pem()).unwrap();
    let pem = pem.to_str().unwrap();
    let imported = signet(folder, &["keys", "import", pem], "");
    assert!(imported.status.success(), "{}", printed(&imported));
    let again = signet(folder, &["keys", "import", pem], "");
    assert_eq!(again.status.code(), Some(1), "{}", printed(&again));
    let list = signet(folder, &["keys", "list", "--json"], "");
    let keys: Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(keys.as_array().unwrap().len(), 1);
    assert_eq!(keys[0]["status"], "active");

    let server = Process::start(folder).unwrap();
    assert!(!server.greeting.contains("Self-check"), "the database is not new");
    assert_eq!(server.stop(), Some(0));
    for text in ["", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
        let bad = folder.join("bad.pem");
        fs::write(&bad, text).unwrap();
        let refused = signet(folder, &["keys", "import", bad.to_str().unwrap()], "");
        assert_eq!(refused.status.code(), Some(1));
        assert!(printed(&refused).contains("private key"), "{}", printed(&refused));
    }
}

#[test]
fn what_a_hash_may_cost_is_measured_here() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| signet(folder.path(), &[&["hash-cost"], arguments].concat(), "");
    let offers = run(&["--target", "300ms", "--json"]);
    let offers: Vec<Value> = serde_json::from_slice(&offers.stdout).unwrap();
    assert!(offers.iter().any(|offer| offer["kernel"] == "portable"), "{offers:?}");
    for offer in &offers {
        assert!(
            offer["memory_kib"].as_u64().unwrap() > 7_168 && offer["takes_ms"].as_f64().unwrap() > 0.0,
            "{offer}"
        );
    }
    let said = printed(&run(&["--target", "300ms"]));
    assert!(said.contains("What 300 ms buy") && said.contains("kernel portable  iterations = 1"), "{said}");
    let refused = run(&["--target", "1h"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(printed(&refused).contains("from 10ms to 5s"), "{}", printed(&refused));
}

#[test]
fn signing_keys_are_listed_rotated_and_withdrawn_beside_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let unknown = signet(folder, &["keys", "rotate"], "");
    assert!(printed(&unknown).contains("no key for RS256 yet"), "{}", printed(&unknown));
    let server = Process::start(folder).unwrap();
    let list = || -> Vec<Value> {
        serde_json::from_slice(&signet(folder, &["keys", "list", "--json"], "").stdout).unwrap()
    };
    let of = |status: &str| -> Vec<String> {
        let keys = list();
        let found = keys.iter().filter(|key| key["status"] == status);
        found.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    };
    while of("pending").is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(50)); // poll: until a standby is made
    }
    let (first, second) = (of("active").remove(0), of("pending").remove(0));
    let later = signet(folder, &["keys", "rotate"], "");
    assert!(later.status.success() && printed(&later).contains("signs until 20"), "{}", printed(&later));
    assert_eq!(of("active"), std::slice::from_ref(&first));
    let now = signet(folder, &["keys", "rotate", "--now"], "");
    let text = printed(&now);
    assert!(text.contains(&format!("{second} signs now")) && text.contains("may not have"), "{text}");
    assert_eq!((of("active"), of("retiring")), (vec![second.clone()], vec![first.clone()]));
    let withdrawn = signet(folder, &["keys", "withdraw", &first], "");
    let text = printed(&withdrawn);
    assert!(withdrawn.status.success() && text.contains("at most 600 s from now"), "{text}");
    let human = printed(&signet(folder, &["keys", "list"], ""));
    let story = |kid: &str| human.lines().find(|line| line.starts_with(kid)).unwrap().to_owned();
    assert!(story(&first).contains("withdrawn 20"), "{human}");
    assert!(
        story(&second).contains("signs since 20") && story(&second).contains("to be replaced 20"),
        "{human}"
    );
    for (kid, said) in [(first.as_str(), "is retired"), ("-nobody", "there is no signing key")] {
        let refused = signet(folder, &["keys", "withdraw", kid], "");
        assert_eq!(refused.status.code(), Some(1));
        assert!(printed(&refused).contains(said), "{}", printed(&refused));
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_taken_port_is_said_in_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    command.env("SIGNET_LISTEN", taken.local_addr().unwrap().to_string());
    let output = run(command, "");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.lines().any(|line| line.contains("server.listen") && line.contains("taken")), "{text}");
}

#[test]
fn a_reader_who_leaves_early_makes_no_command_panic() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [["user", "list", "--json"], ["keys", "list", "--json"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut list = command(folder.path());
        let output = list.args(arguments).stdout(writer).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!text.contains("panicked"), "{text}");
        assert_eq!(output.status.code(), Some(0), "{text}");
    }
}

#[test]
fn a_database_that_cannot_be_reached_is_named_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["serve"][..], &["migrate"], &["user", "list"]] {
        let mut unreachable = command(folder.path());
        unreachable
            .args(arguments)
            .env("SIGNET_DATABASE_URL", "postgres://ann:hunter2@127.0.0.1:1/signet")
            .env("SIGNET__DATABASE__BUSY_TIMEOUT", "200ms");
        let output = run(unreachable, "");
        assert_eq!(output.status.code(), Some(1));
        let text = printed(&output);
        assert!(text.contains("not available") && text.contains("refused"), "{arguments:?}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a134_a_command_that_holds_a_secret_leaves_no_core_dump() {
    let folder = tempfile::tempdir().unwrap();
    let mut create = command(folder.path());
    create.args(["user", "create", "ann@example.com", "--password-stdin"]);
    // It waits for the password all the while.
    let mut child = create.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let limits = format!("/proc/{}/limits", child.id());
    let core = || {
        let limits = fs::read_to_string(&limits).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        line.split_whitespace().skip(4).take(2).collect::<Vec<_>>().join(" ")
    };
    let started = std::time::Instant::now();
    while core() != "0 0" {
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "{}", core());
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
