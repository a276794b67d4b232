//! What happens is told of once, in order, in the log and in the audit log alike.

use std::path::Path;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::cli::signet;
use crate::helpers::app::PASSWORD;
use crate::helpers::process::{Process, command, printed, run};

const NEW: &str = "another long pass phrase";

/// What an entry and a log line have in common.
fn told(it: &Value, [user, session]: [&str; 2]) -> [Value; 5] {
    [&it["event"], &it[user], &it[session], &it["kid"], &it["reason"]].map(Value::clone)
}

fn stored(folder: &Path) -> Vec<Value> {
    let output = signet(folder, &["audit", "--json"], "");
    assert!(output.status.success(), "{}", printed(&output));
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn logged(log: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["target"] == "signet::audit").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a137_each_act_is_told_of_once_in_order_and_alike_in_both_logs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut serve = command(folder);
    serve.env("SIGNET__LOG__FORMAT", "json");
    let server = Process::start_command(serve, folder).unwrap();
    let client = Client::builder().no_proxy().build().unwrap();
    let post = async |path: &str, email: &str, password: &str| {
        let body = json!({ "email": email, "password": password });
        client.post(format!("{}/api/v1/{path}", server.url)).json(&body).send().await.unwrap().status()
    };
    let mut log = String::new();
    let mut operate = |arguments: &[&str], input: &str| {
        let mut operate = command(folder);
        operate.args(arguments).env("SIGNET__LOG__FORMAT", "json");
        let output = run(operate, input);
        assert!(output.status.success(), "{}", printed(&output));
        log.push_str(&String::from_utf8_lossy(&output.stderr));
    };
    // An entry of a refusal follows within a second: it is waited for, so that the order can be told.
    let refused = async |count: usize| {
        for _ in 0..200 {
            if stored(folder).iter().filter(|entry| entry["event"] == "login.fail").count() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await; // poll:
        }
        panic!("no entry of the refusal");
    };

    while stored(folder).len() < 2 {
        tokio::time::sleep(Duration::from_millis(50)).await; // poll: until the second key is made
    }
    assert_eq!(post("register", "ann@example.com", PASSWORD).await, StatusCode::CREATED);
    assert_eq!(post("register", "ann@example.com", PASSWORD).await, StatusCode::CONFLICT);
    assert_eq!(post("login", "ann@example.com", PASSWORD).await, StatusCode::OK);
    assert_eq!(post("login", "ann@example.com", NEW).await, StatusCode::UNAUTHORIZED);
    refused(1).await;
    assert_eq!(post("login", "nobody@example.com", NEW).await, StatusCode::UNAUTHORIZED);
    refused(2).await;
    operate(&["user", "create", "bob@example.com", "--password-stdin"], &format!("{PASSWORD}\n"));
    operate(&["user", "roles", "bob@example.com", "editor"], "");
    operate(&["user", "set-email", "bob@example.com", "rob@example.com"], "");
    operate(&["user", "set-password", "rob@example.com", "--password-stdin"], &format!("{NEW}\n"));
    operate(&["user", "unlock", "rob@example.com"], "");
    operate(&["user", "disable", "rob@example.com"], "");
    assert_eq!(post("login", "rob@example.com", NEW).await, StatusCode::UNAUTHORIZED);
    refused(3).await;
    operate(&["user", "enable", "rob@example.com"], "");
    assert_eq!(post("login", "rob@example.com", NEW).await, StatusCode::OK);
    log.push_str(&server.logged());
    assert_eq!(server.stop(), Some(0));

    let entries = stored(folder);
    let events: Vec<_> = entries.iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    let expected = [
        "key.created",
        "key.created",
        "user.registered",
        "login.success",
        "login.fail",
        "login.fail",
        "user.created",
        "user.roles",
        "user.email",
        "password.changed",
        "user.unlocked",
        "user.disabled",
        "login.fail",
        "user.enabled",
        "login.success",
    ];
    assert_eq!(events, expected);
    let reasons: Vec<_> = entries.iter().filter_map(|entry| entry["reason"].as_str()).collect();
    assert_eq!(reasons, ["wrong-password", "unknown-user", "disabled"]);
    let times: Vec<_> = entries.iter().map(|entry| entry["at"].as_str().unwrap().to_owned()).collect();
    assert!(times.is_sorted(), "{times:?}");

    let sorted = |mut all: Vec<[Value; 5]>| {
        all.sort_by_key(|it| format!("{it:?}"));
        all
    };
    let lines = logged(&log);
    assert_eq!(
        sorted(entries.iter().map(|entry| told(entry, ["user_id", "session_id"])).collect()),
        sorted(lines.iter().map(|line| told(line, ["user.id", "session.id"])).collect()),
    );
    // Who called, and in which request: the log has it of the same request.
    for entry in entries.iter().filter(|entry| entry["actor"] != "operator" && entry["kid"].is_null()) {
        let request = entry["request_id"].as_str().unwrap();
        let line = lines.iter().find(|line| line.to_string().contains(request)).unwrap();
        assert_eq!(line["event"], entry["event"]);
        assert_eq!(entry["address"], "127.0.0.1");
    }
    let verified = signet(folder, &["audit", "--verify"], "");
    assert!(verified.status.success(), "{}", printed(&verified));
    assert!(printed(&verified).contains("as it was written"), "{}", printed(&verified));
}
