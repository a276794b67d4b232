//! What the operator does to sessions and accounts, on the command line.

use std::path::Path;

use reqwest::Client;

use super::*;
use crate::cli::signet;
use crate::helpers::process::{Process, printed};

fn document(folder: &Path, arguments: &[&str]) -> Value {
    let output = signet(folder, arguments, "");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", printed(&output)))
}

fn create(folder: &Path, email: &str) {
    let made = signet(folder, &["user", "create", email, "--password-stdin"], &format!("{PASSWORD}\n"));
    assert!(made.status.success(), "{}", printed(&made));
}

async fn login(server: &Process, email: &str, password: &str) -> SignedIn {
    let client = Client::builder().no_proxy().user_agent("phone/1.0").build().unwrap();
    let body = json!({ "email": email, "password": password });
    SignedIn::from(client.post(format!("{}/api/v1/login", server.url)).json(&body).send().await.unwrap())
        .await
}

fn sessions(folder: &Path, email: &str) -> Vec<Value> {
    document(folder, &["user", "sessions", email, "--json"]).as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_lists_and_ends_the_sessions_of_an_account() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    create(folder, "ann@example.com");
    create(folder, "bob@example.com");
    let server = Process::start(folder).unwrap();
    login(&server, "bob@example.com", PASSWORD).await;
    let phone = login(&server, "ann@example.com", PASSWORD).await;
    let laptop = login(&server, "ann@example.com", PASSWORD).await;

    let listed = sessions(folder, "Ann@Example.com");
    assert_eq!(listed.len(), 2, "{listed:?}");
    let found = listed.iter().find(|session| session["id"] == phone.sid).unwrap();
    assert_eq!(found["client_id"], "first-party");
    assert_eq!(found["scope"], "signet:account");
    assert_eq!((&found["address"], &found["user_agent"]), (&json!("127.0.0.1"), &json!("phone/1.0")));
    assert_eq!(found["created_at"], found["last_used_at"]);
    assert_eq!(found["authenticated_at"], found["created_at"]);
    let text = printed(&signet(folder, &["user", "sessions", "ann@example.com"], ""));
    assert!(text.contains(&phone.sid) && text.contains("phone/1.0") && text.contains("127.0.0.1"), "{text}");

    let logout = |sid: &str| signet(folder, &["user", "logout", "ann@example.com", "--session", sid], "");
    let bobs = sessions(folder, "bob@example.com")[0]["id"].as_str().unwrap().to_owned();
    for sid in [bobs.as_str(), "-AAAAAAAAAAAAAAAAAAAAA"] {
        let nobody = logout(sid);
        assert_eq!(nobody.status.code(), Some(1), "{}", printed(&nobody));
        assert!(printed(&nobody).contains("no such session"), "{}", printed(&nobody));
    }
    assert_eq!(logout("not-one").status.code(), Some(2));
    let done = logout(&phone.sid);
    assert!(
        printed(&done).contains("1 sessions ended") && printed(&done).contains("session.ended"),
        "{}",
        printed(&done)
    );
    assert_eq!(sessions(folder, "ann@example.com")[0]["id"], laptop.sid);

    let done = signet(folder, &["user", "logout", "ann@example.com"], "");
    assert!(done.status.success() && printed(&done).contains("sessions.ended"), "{}", printed(&done));
    assert!(sessions(folder, "ann@example.com").is_empty());
    let none = signet(folder, &["user", "sessions", "ann@example.com"], "");
    assert_eq!(none.status.code(), Some(0));
    let (out, remark) = (String::from_utf8_lossy(&none.stdout), String::from_utf8_lossy(&none.stderr));
    assert_eq!((&*out, remark.trim()), ("", "no sessions"), "nothing for a script, a word for a person");
    assert_eq!(sessions(folder, "bob@example.com").len(), 1);
    assert!(
        signet(folder, &["user", "logout", "ann@example.com"], "").status.success(),
        "nothing is left to end"
    );

    // What has ended is still stored, and is the person's to see.
    let exported = document(folder, &["user", "export", "ann@example.com"]);
    let ended: Vec<_> =
        exported["sessions"].as_array().unwrap().iter().map(|it| &it["ended"]["reason"]).collect();
    assert_eq!(ended, ["ended-by-operator", "ended-by-operator"]);
    for command in ["sessions", "logout", "delete"] {
        let nobody = signet(folder, &["user", command, "carol@example.com"], "");
        assert_eq!(nobody.status.code(), Some(1), "{command}");
        assert!(printed(&nobody).contains("no account"), "{}", printed(&nobody));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_does_to_an_account_ends_its_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    create(folder, "ann@example.com");
    create(folder, "bob@example.com");
    let server = Process::start(folder).unwrap();
    login(&server, "bob@example.com", PASSWORD).await;
    let (mut email, mut password) = ("ann@example.com", PASSWORD);
    for (arguments, reason) in [
        (&["user", "disable", "ann@example.com"][..], "account-disabled"),
        (&["user", "set-password", "ann@example.com", "--password-stdin"], "credential-changed"),
        (&["user", "set-email", "ann@example.com", "anna@example.com"], "credential-changed"),
        (&["user", "delete", "anna@example.com"], "account-deleted"),
    ] {
        login(&server, email, password).await;
        let output = signet(folder, arguments, &format!("{NEW}\n"));
        assert!(output.status.success(), "{}", printed(&output));
        assert!(
            printed(&output).contains("sessions.ended") && printed(&output).contains(reason),
            "{}",
            printed(&output)
        );
        match arguments[1] {
            "disable" => assert!(signet(folder, &["user", "enable", email], "").status.success()),
            "set-password" => password = NEW,
            "set-email" => email = "anna@example.com",
            _ => break,
        }
        assert!(sessions(folder, email).is_empty(), "{arguments:?}");
    }
    assert_eq!(signet(folder, &["user", "show", email], "").status.code(), Some(1));
    assert_eq!(sessions(folder, "bob@example.com").len(), 1);
    // The address may stay as it is; then nothing has changed.
    assert!(
        signet(folder, &["user", "set-email", "bob@example.com", "bob@example.com"], "").status.success()
    );
    assert_eq!(sessions(folder, "bob@example.com").len(), 1);
}
