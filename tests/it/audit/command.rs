//! `signet audit`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use sqlx::{Connection as _, SqliteConnection};

use crate::cli::signet;
use crate::helpers::app::PASSWORD;
use crate::helpers::process::{Process, command, printed};

fn create(folder: &Path, email: &str) -> String {
    let made = signet(folder, &["user", "create", email, "--password-stdin"], &format!("{PASSWORD}\n"));
    assert!(made.status.success(), "{}", printed(&made));
    let text = String::from_utf8(made.stdout).unwrap();
    text.split(['(', ')']).nth(1).unwrap().to_owned()
}

fn lines(folder: &Path, arguments: &[&str]) -> Vec<String> {
    let output = signet(folder, &[&["audit"], arguments].concat(), "");
    assert!(output.status.success(), "{}", printed(&output));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn entries_are_found_by_account_name_time_and_number() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ann = create(folder, "ann@example.com");
    let bob = create(folder, "bob@example.com");
    assert!(signet(folder, &["user", "disable", "ann@example.com"], "").status.success());

    let all = lines(folder, &[]);
    assert_eq!(all.len(), 3);
    for (line, (event, user)) in
        all.iter().zip([("user.created", &ann), ("user.created", &bob), ("user.disabled", &ann)])
    {
        assert!(line.contains(event) && line.contains(&format!("user={user}")), "{line}");
        assert!(line.contains("operator") && line.starts_with("20"), "{line}");
    }
    for (arguments, expected) in [
        (&["--user", "Ann@example.com"][..], vec![0, 2]),
        (&["--user", &ann], vec![0, 2]),
        (&["--user", &bob, "--event", "user.disabled"], vec![]),
        (&["--event", "user.created"], vec![0, 1]),
        (&["--limit", "2"], vec![1, 2]),
        (&["--limit", "1", "--user", &ann], vec![2]),
        (&["--limit", "0"], vec![]),
        (&["--since", "1h"], vec![0, 1, 2]),
        (&["--since", "2020-01-01T00:00:00Z"], vec![0, 1, 2]),
        (&["--since", "2100-01-01T00:00:00+02:00"], vec![]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|index: usize| all[index].clone()).collect();
        assert_eq!(lines(folder, arguments), expected, "{arguments:?}");
    }
    let first: Value = serde_json::from_str(&lines(folder, &["--json", "--limit", "3"])[0]).unwrap();
    assert_eq!((&first["event"], &first["user_id"]), (&"user.created".into(), &ann.clone().into()));
    assert!(first["detail"]["uid"].is_u64() && first["seal"].is_null(), "{first}");

    for arguments in [&["--since", "yesterday"][..], &["--user", "no id"], &["--verify", "--json"]] {
        let refused = signet(folder, &[&["audit"], arguments].concat(), "");
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {}", printed(&refused));
    }
    let nobody = signet(folder, &["audit", "--user", "eve@example.com"], "");
    assert_eq!(nobody.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a137_a_broken_seal_ends_the_check_with_one_and_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let none = signet(folder, &["audit", "--verify"], "");
    assert_eq!(none.status.code(), Some(1), "no root key: {}", printed(&none));
    create(folder, "ann@example.com");
    // Its stop seals.
    assert_eq!(Process::start(folder).unwrap().stop(), Some(0));
    create(folder, "bob@example.com");
    let good = signet(folder, &["audit", "--verify"], "");
    assert!(good.status.success(), "{}", printed(&good));
    assert!(printed(&good).contains("Not sealed yet:  1"), "{}", printed(&good));

    let text = printed(&good);
    let newest = text.lines().find_map(|line| line.strip_prefix("Newest seal:")).unwrap().trim();
    let expect = |seal: &str| signet(folder, &["audit", "--verify", "--expect", seal], "");
    assert!(expect(newest).status.success(), "{newest}");
    let (number, tag) = newest.split_once(':').unwrap();
    for other in [format!("9:{tag}"), format!("{number}:0123456789abcdef")] {
        let set_back = expect(&other);
        assert_eq!(set_back.status.code(), Some(1), "{other}");
        assert!(printed(&set_back).contains("set back or begun anew"), "{}", printed(&set_back));
    }
    assert_eq!(expect("1").status.code(), Some(2));

    let url = format!("sqlite://{}", folder.join("data/signet.db").display());
    let mut outside = SqliteConnection::connect(&url).await.unwrap();
    let change = "UPDATE audit SET actor = 'user' WHERE event = 'user.created' AND seal IS NOT NULL";
    assert_eq!(sqlx::query(change).execute(&mut outside).await.unwrap().rows_affected(), 1);
    let broken = signet(folder, &["audit", "--verify"], "");
    assert_eq!(broken.status.code(), Some(1));
    assert!(printed(&broken).contains("seal 1 does not hold"), "{}", printed(&broken));
    assert!(printed(&broken).contains("(entries 1 to "), "{}", printed(&broken));
    assert!(printed(&broken).contains("signet audit --reseal"), "{}", printed(&broken));
}

#[tokio::test(flavor = "multi_thread")]
async fn a137_an_operator_seals_a_broken_log_anew_and_the_break_stays_on_record() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    create(folder, "ann@example.com");
    assert_eq!(Process::start(folder).unwrap().stop(), Some(0));
    let audit = |arguments: &[&str]| signet(folder, &[&["audit"], arguments].concat(), "");
    let good = audit(&["--verify"]);
    let text = printed(&good);
    let newest = text.lines().find_map(|line| line.strip_prefix("Newest seal:")).unwrap().trim();
    let needless = audit(&["--reseal"]);
    assert_eq!(needless.status.code(), Some(1));
    assert!(printed(&needless).contains("nothing to mend"), "{}", printed(&needless));

    let url = format!("sqlite://{}", folder.join("data/signet.db").display());
    let mut outside = SqliteConnection::connect(&url).await.unwrap();
    let mut breaks = 0;
    for (change, complaint, lost) in [
        ("UPDATE audit SET actor = 'user' WHERE event = 'user.created'", "seal 1 does not hold", None),
        ("DELETE FROM audit_head", "is missing", None),
        ("UPDATE audit_head SET mac = X'00'", "the end of the chain does not hold", None),
        ("UPDATE audit_head SET root_key_id = '7-01234567'", "root key 7-01234567", Some("7-01234567")),
    ] {
        sqlx::query(change).execute(&mut outside).await.unwrap();
        let broken = audit(&["--verify"]);
        assert_eq!(broken.status.code(), Some(1), "{change}");
        assert!(printed(&broken).contains(complaint), "{}", printed(&broken));
        if let Some(lost) = lost {
            let refused = audit(&["--reseal"]);
            assert_eq!(refused.status.code(), Some(1), "{change}");
            assert!(printed(&refused).contains(&format!("--lost-root-key {lost}")), "{}", printed(&refused));
        }
        let lost: Vec<&str> = lost.iter().flat_map(|lost| ["--lost-root-key", lost]).collect();
        let done = audit(&[&["--reseal"], &lost[..]].concat());
        assert!(done.status.success(), "{}", printed(&done));
        assert!(printed(&done).contains("Broken:  ") && printed(&done).contains(complaint));
        breaks += 1;
        // The server goes on with the new chain.
        assert_eq!(Process::start(folder).unwrap().stop(), Some(0));
        let good = audit(&["--verify"]);
        assert!(good.status.success(), "{}", printed(&good));
        assert!(printed(&good).contains("Not sealed yet:  0"), "{}", printed(&good));
        assert_eq!(printed(&good).matches("Sealed anew:").count(), breaks, "{}", printed(&good));
        assert!(printed(&good).contains(complaint), "{}", printed(&good));
    }
    assert_eq!(audit(&["--verify", "--expect", newest]).status.code(), Some(1), "not the chain of before");
    let told = lines(folder, &["--event", "audit.resealed", "--json"]);
    let told: Value = serde_json::from_str(&told[0]).unwrap();
    assert_eq!((&told["actor"], &told["reason"]), (&"operator".into(), &"changed".into()), "{told}");
    assert!(told["detail"]["uid"].is_u64() && told["detail"]["broken"]["mac"].is_string(), "{told}");
}

#[test]
fn followed_entries_come_as_they_happen_and_a_closed_pipe_ends_it_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ann = create(folder, "ann@example.com");
    let mut follow = command(folder);
    follow.args(["audit", "--follow", "--limit", "1"]).stdin(Stdio::null());
    let mut child = follow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert!(line.contains("user.created") && line.contains(&ann), "{line}");
    for (command, event) in [("disable", "user.disabled"), ("enable", "user.enabled")] {
        assert!(signet(folder, &["user", command, "ann@example.com"], "").status.success());
        line.clear();
        out.read_line(&mut line).unwrap();
        assert!(line.contains(event), "{line}");
    }
    drop(out);
    assert!(signet(folder, &["user", "unlock", "ann@example.com"], "").status.success());
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert_eq!((child.wait().unwrap().code(), complaint.as_str()), (Some(0), ""));

    let mut follow = command(folder);
    follow.args(["audit", "--follow"]).stdin(Stdio::null());
    let mut child = follow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    line.clear();
    out.read_line(&mut line).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
