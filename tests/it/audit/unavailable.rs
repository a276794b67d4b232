//! No entry, no change.

use std::path::Path;

use reqwest::StatusCode;
use serde_json::{Value, json};
use signet::account::{Email, Role};
use signet::flow::accounts;
use signet::password::Password;
use sqlx::{Column as _, Connection as _, Row as _, SqliteConnection};

use super::entries;
use crate::cli::signet;
use crate::helpers::app::{PASSWORD, TestApp, key_pem, new_pem, standby_pem};
use crate::helpers::db::on_both_engines;
use crate::helpers::process::printed;

/// Every value of every table that holds what may be changed.
async fn state(folder: &Path) -> Vec<String> {
    let url = format!("sqlite://{}", folder.join("data/signet.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let mut values = Vec::new();
    for table in ["users", "passwords", "throttles", "signing_keys", "keyring", "grants"] {
        let query = sqlx::AssertSqlSafe(format!("SELECT * FROM {table}"));
        for row in sqlx::query(query).fetch_all(&mut connection).await.unwrap() {
            for column in row.columns() {
                let index = column.ordinal();
                let text = row.try_get::<String, _>(index);
                let value = text.or_else(|_| row.try_get::<i64, _>(index).map(|it| it.to_string()));
                values.push(format!("{table}.{}: {value:?}", column.name()));
            }
        }
    }
    values
}

async fn rename(folder: &Path, from: &str, to: &str) {
    let url = format!("sqlite://{}", folder.join("data/signet.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let rename = sqlx::AssertSqlSafe(format!("ALTER TABLE {from} RENAME TO {to}"));
    sqlx::query(rename).execute(&mut connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a112_no_command_changes_anything_while_the_audit_log_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, pem) in [("first.pem", key_pem()), ("next.pem", standby_pem()), ("own.pem", &new_pem())] {
        std::fs::write(folder.join(name), pem).unwrap();
    }
    for name in ["first.pem", "next.pem"] {
        assert!(signet(folder, &["keys", "import", name], "").status.success());
    }
    let keys: Value =
        serde_json::from_slice(&signet(folder, &["keys", "list", "--json"], "").stdout).unwrap();
    let first = keys.as_array().unwrap().iter().find(|key| key["status"] == "active").unwrap();
    let first = first["kid"].as_str().unwrap();
    let create = ["user", "create", "ann@example.com", "--role", "editor", "--password-stdin"];
    assert!(signet(folder, &create, &format!("{PASSWORD}\n")).status.success());
    let before = state(folder).await;
    assert!(before.len() > 5, "{before:?}");
    let commands: [&[&str]; 11] = [
        &["user", "create", "bob@example.com", "--password-stdin"],
        &["user", "disable", "ann@example.com"],
        &["user", "enable", "ann@example.com"],
        &["user", "roles", "ann@example.com", "admin"],
        &["user", "set-password", "ann@example.com", "--password-stdin"],
        &["user", "unlock", "ann@example.com"],
        &["user", "set-email", "ann@example.com", "eve@example.com"],
        &["keys", "import", "own.pem"],
        &["keys", "rotate"],
        &["keys", "rotate", "--now"],
        &["keys", "withdraw", first],
    ];
    rename(folder, "audit", "audit_away").await;
    for command in commands {
        let refused = signet(folder, command, "another long pass phrase\n");
        let text = printed(&refused);
        assert_eq!(refused.status.code(), Some(1), "{command:?}: {text}");
        assert!(text.contains("signet: ") && text.contains("no such table: audit"), "{command:?}: {text}");
        assert!(!text.contains("signet::audit"), "nothing is told to have happened: {command:?}: {text}");
        assert_eq!(state(folder).await, before, "{command:?}");
    }
    rename(folder, "audit_away", "audit").await;
    for command in commands {
        let done = signet(folder, command, "another long pass phrase\n");
        assert!(done.status.success(), "{command:?}: {}", printed(&done));
    }
    assert_ne!(state(folder).await, before);
}

on_both_engines! {
    async fn a112_no_request_and_no_act_changes_anything_while_the_audit_log_cannot_be_written(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let email = |text: &str| Email::parse(text).unwrap();
        app.register("ann@example.com").await;
        let mut outside = database.outside().await;
        outside.execute("ALTER TABLE audit RENAME TO audit_away").await;

        let body = json!({ "email": "bob@example.com", "password": PASSWORD });
        let answer = app.post("/api/v1/register", &body).await;
        assert!(answer.status().is_server_error(), "{}", answer.status());
        assert_eq!(app.count_users().await, 1);
        let answer = app.login("ann@example.com", PASSWORD).await;
        assert!(answer.status().is_server_error(), "{}", answer.status());
        assert_eq!(outside.number("SELECT COUNT(*) FROM grants").await, 0);

        let before = accounts::by_email(&app.app, email("ann@example.com")).await.unwrap().unwrap();
        let admin = vec![Role::parse("admin").unwrap()];
        assert!(accounts::set_roles(&app.app, email("ann@example.com"), admin.clone()).await.is_err());
        assert!(accounts::disable(&app.app, email("ann@example.com")).await.is_err());
        let new = Password::new("another long pass phrase".to_owned());
        assert!(accounts::set_password(&app.app, email("ann@example.com"), new).await.is_err());
        let after = accounts::by_email(&app.app, email("ann@example.com")).await.unwrap().unwrap();
        assert_eq!(format!("{before:?}"), format!("{after:?}"));

        outside.execute("ALTER TABLE audit_away RENAME TO audit").await;
        accounts::set_roles(&app.app, email("ann@example.com"), admin).await.unwrap();
        assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::OK);
    }

    async fn a112_every_change_names_its_actor_its_target_and_what_was_before_and_after(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let email = |text: &str| Email::parse(text).unwrap();
        let roles = |names: &[&str]| names.iter().map(|name| Role::parse(name).unwrap()).collect::<Vec<_>>();
        let id = app.register("ann@example.com").await;
        for names in [&["editor"][..], &["admin", "editor"], &["editor"]] {
            accounts::set_roles(&app.app, email("ann@example.com"), roles(names)).await.unwrap();
        }
        accounts::set_email(&app.app, email("ann@example.com"), email("anna@example.com")).await.unwrap();
        accounts::set_email(&app.app, email("anna@example.com"), email("ann@example.com")).await.unwrap();

        let rows: Vec<_> = entries(&app.app).await.into_iter().map(|entry| entry.row).collect();
        let detail = |event: &str| -> Vec<serde_json::Value> {
            let of = rows.iter().filter(|row| row.event == event);
            of.map(|row| serde_json::from_str(row.detail.as_ref().unwrap()).unwrap()).collect()
        };
        let changes = detail("user.roles");
        assert_eq!(changes[1]["roles"], json!(["admin", "editor"]));
        for pair in changes.windows(2) {
            assert_eq!(pair[0]["after"]["roles"], pair[1]["before"]["roles"]);
            assert_ne!(pair[1]["after"]["roles"], pair[1]["before"]["roles"]);
        }
        let (made, moved) = (detail("user.registered"), detail("user.email"));
        assert_eq!(made[0]["after"]["email"], moved[0]["before"]["email"]);
        assert_eq!(moved[0]["after"]["email"], moved[1]["before"]["email"]);
        assert_eq!(moved[0]["before"]["email"], moved[1]["after"]["email"]);
        assert_ne!(moved[0]["before"]["email"], moved[0]["after"]["email"]);
        for row in rows.iter().filter(|row| row.event.starts_with("user.") && row.event != "user.registered") {
            assert_eq!((row.actor.as_str(), row.user_id.as_deref()), ("operator", Some(id.as_str())));
            let detail: serde_json::Value = serde_json::from_str(row.detail.as_ref().unwrap()).unwrap();
            assert_eq!(detail["uid"], json!(rustix::process::getuid().as_raw()));
        }
        for row in &rows {
            assert!(!format!("{row:?}").contains("@example.com"), "{row:?}");
        }
    }
}
