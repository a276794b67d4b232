//! What the operator sees of one account, and lets strangers do to it.

use std::path::Path;

use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};

use crate::cli::signet;
use crate::helpers::app::PASSWORD;
use crate::helpers::process::printed;

fn create(folder: &Path, email: &str) {
    let made = signet(
        folder,
        &["user", "create", email, "--name", "Ann", "--role", "editor", "--password-stdin"],
        &format!("{PASSWORD}\n"),
    );
    assert!(made.status.success(), "{}", printed(&made));
}

fn document(folder: &Path, arguments: &[&str]) -> Value {
    let output = signet(folder, arguments, "");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", printed(&output)))
}

/// As if strangers had guessed so often at the one account.
async fn plant_tries(folder: &Path, email: &str, tries: i64, free_at: i64) {
    let subject = signet::throttle::Subject::strangers(&signet::account::Email::parse(email).unwrap());
    let url = format!("sqlite://{}", folder.join("data/signet.db").display());
    let mut outside = SqliteConnection::connect(&url).await.unwrap();
    let put =
        "INSERT OR REPLACE INTO throttles (subject, tries, free_at, expires_at) VALUES ($1, $2, $3, NULL)";
    sqlx::query(put).bind(subject.as_bytes()).bind(tries).bind(free_at).execute(&mut outside).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_and_ends_what_strangers_did_to_an_account() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    create(folder, "ann@example.com");
    let show = ["user", "show", "Ann@Example.com", "--json"];
    let shown = document(folder, &show);
    assert_eq!(shown["email"], "ann@example.com");
    assert_eq!(shown["strangers"], json!({ "failed_sign_ins": 0, "free_at": null, "locked": false }));
    let text = printed(&signet(folder, &["user", "show", "ann@example.com"], ""));
    for line in
        ["new devices   may try now (0 failed in a row)", "last sign-in  never", "state         active"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }

    let soon = shown["created_at"].as_i64().unwrap() + 900;
    plant_tries(folder, "ann@example.com", 20, soon).await;
    let expected = json!({ "failed_sign_ins": 20, "free_at": soon, "locked": false });
    assert_eq!(document(folder, &show)["strangers"], expected);
    let text = printed(&signet(folder, &["user", "show", "ann@example.com"], ""));
    let time = time::OffsetDateTime::from_unix_timestamp(soon).unwrap();
    let time = time.format(&time::format_description::well_known::Rfc3339).unwrap();
    assert!(text.contains(&format!("may try again at {time} (20 failed in a row)")), "{text}");

    // 2100-01-01: written under a clock that has been set back since. Nobody waits for that.
    plant_tries(folder, "ann@example.com", 20, 4_102_444_800).await;
    let expected = json!({ "failed_sign_ins": 20, "free_at": null, "locked": false });
    assert_eq!(document(folder, &show)["strangers"], expected);

    for end in [
        &["user", "unlock", "ann@example.com"][..],
        &["user", "set-password", "ann@example.com", "--password-stdin"],
    ] {
        plant_tries(folder, "ann@example.com", 100, 0).await;
        let expected = json!({ "failed_sign_ins": 100, "free_at": null, "locked": true });
        assert_eq!(document(folder, &show)["strangers"], expected);
        let text = printed(&signet(folder, &["user", "show", "ann@example.com"], ""));
        assert!(text.contains("locked out") && text.contains("signet user unlock"), "{text}");
        let done = signet(folder, end, "another long pass phrase\n");
        assert!(done.status.success(), "{}", printed(&done));
        assert_eq!(document(folder, &show)["strangers"]["locked"], false, "{end:?}");
        assert_eq!(document(folder, &show)["strangers"]["failed_sign_ins"], 0, "{end:?}");
    }
    let unlocked = signet(folder, &["user", "unlock", "ann@example.com"], "");
    assert!(printed(&unlocked).contains("user.unlocked"), "{}", printed(&unlocked));

    for command in ["unlock", "show", "export"] {
        let nobody = signet(folder, &["user", command, "bob@example.com"], "");
        assert_eq!(nobody.status.code(), Some(1), "{command}");
        assert!(printed(&nobody).contains("no account"), "{}", printed(&nobody));
    }
}

#[test]
fn an_account_gets_another_address_unless_somebody_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    create(folder, "ann@example.com");
    create(folder, "bob@example.com");
    let before = document(folder, &["user", "show", "ann@example.com", "--json"]);
    let set = |from: &str, to: &str| signet(folder, &["user", "set-email", from, to], "");

    let taken = set("ann@example.com", "BOB@example.com");
    assert_eq!(taken.status.code(), Some(1));
    assert!(printed(&taken).contains("exists already"), "{}", printed(&taken));
    assert_eq!(set("carol@example.com", "dan@example.com").status.code(), Some(1));
    assert_eq!(set("ann@example.com", "nowhere").status.code(), Some(2));
    assert_eq!(document(folder, &["user", "show", "ann@example.com", "--json"]), before);

    let done = set("ann@example.com", "Anna@Example.com");
    assert!(done.status.success(), "{}", printed(&done));
    let text = printed(&done);
    assert!(text.contains("anna@example.com") && text.contains("user.email"), "{text}");
    let after = document(folder, &["user", "show", "anna@example.com", "--json"]);
    assert_eq!((&after["id"], &after["created_at"]), (&before["id"], &before["created_at"]));
    assert_eq!(signet(folder, &["user", "show", "ann@example.com"], "").status.code(), Some(1));
    assert!(set("anna@example.com", "anna@example.com").status.success(), "it may stay as it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_holds_what_is_stored_about_a_person_but_not_the_hash() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    create(folder, "ann@example.com");
    plant_tries(folder, "ann@example.com", 3, 0).await;
    let exported = document(folder, &["user", "export", "ann@example.com"]);
    assert_eq!(exported["email"], "ann@example.com");
    assert_eq!(exported["name"], "Ann");
    assert_eq!(exported["roles"], json!(["editor"]));
    assert_eq!(exported["strangers"]["failed_sign_ins"], 3);
    assert_eq!(exported["password"]["changed_at"], exported["created_at"]);
    let text = exported.to_string();
    assert!(!text.contains("$argon2id$") && text.contains("Argon2id"), "{text}");

    // Whatever column a person's row gets, somebody has to decide whether it belongs here.
    let url = format!("sqlite://{}", folder.join("data/signet.db").display());
    let mut outside = SqliteConnection::connect(&url).await.unwrap();
    let columns: Vec<(String,)> =
        sqlx::query_as("SELECT name FROM pragma_table_info('users')").fetch_all(&mut outside).await.unwrap();
    for (column,) in columns {
        assert!(exported.get(&column).is_some(), "{column}: {text}");
    }
}
