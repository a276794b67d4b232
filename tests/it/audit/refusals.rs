//! Refusals change nothing: their entries wait in memory, and are written together.

use reqwest::StatusCode;
use serde_json::{Value, json};
use signet::audit::{Event, MOST};
use signet::caller::Caller;
use signet::flow::audit_log;

use super::{Replica, entries_of};
use crate::cli::signet;
use crate::helpers::app::{PASSWORD, TestApp};
use crate::helpers::db::{TestDatabase, on_both_engines};
use crate::helpers::process::{Process, printed};

const WRONG: &str = "not what was set at all";

async fn refuse(app: &TestApp, email: &str, times: usize) {
    for _ in 0..times {
        assert_eq!(app.login(email, WRONG).await.status(), StatusCode::UNAUTHORIZED);
    }
}

fn total(rows: &[signet::store::AuditRow]) -> i64 {
    rows.iter().map(|row| row.count).sum()
}

on_both_engines! {
    async fn a_flood_of_refusals_is_told_of_in_few_entries(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let id = app.register("ann@example.com").await;
        refuse(&app, "ann@example.com", 100).await;
        for name in 0..50 {
            refuse(&app, &format!("nobody{name}@example.com"), 1).await;
        }
        let rows = all_told(&app, 150).await;
        // A task writes once a second, too: a slow machine makes a few more.
        assert!(rows.len() < 75, "{} entries", rows.len());
        let of_ann: Vec<_> = rows.iter().filter(|row| row.user_id.as_deref() == Some(&id)).cloned().collect();
        assert_eq!(total(&of_ann), 100);
        for row in &rows {
            assert_eq!((row.actor.as_str(), row.address.as_deref()), ("anybody", Some("127.0.0.1")));
            assert!(row.request_id.is_some());
            let reason = if row.user_id.is_some() { "wrong-password" } else { "unknown-user" };
            assert_eq!(row.reason.as_deref(), Some(reason));
        }
    }

    async fn what_finds_no_room_is_told_as_a_number(database) {
        let folder = tempfile::tempdir().unwrap();
        let replica = Replica::start(&database.config, folder.path()).await;
        for number in 0..5_000_u32 {
            let address = Some(std::net::Ipv4Addr::from(number).into());
            let caller = Caller { address, ..Caller::default() };
            audit_log::refused(&replica.app, &Event::RegistrationThrottled, &caller);
        }
        audit_log::flush(&replica.app).await;
        let rows = entries_of(&replica.app, "registration.throttled").await;
        assert_eq!(rows.len(), MOST);
        let dropped = entries_of(&replica.app, "audit.dropped").await;
        assert_eq!(dropped.len(), 1);
        assert_eq!(total(&rows) + total(&dropped), 5_000);
        assert_eq!(dropped[0].actor, "signet");
        audit_log::flush(&replica.app).await;
        assert_eq!(entries_of(&replica.app, "audit.dropped").await.len(), 1);
    }

    async fn refusals_outlast_an_outage_of_the_audit_log(database) {
        outage(database).await;
    }
}

async fn outage(database: &TestDatabase) {
    let app = TestApp::spawn_on(database.config.clone()).await;
    app.register("ann@example.com").await;
    let mut outside = database.outside().await;
    outside.execute("ALTER TABLE audit RENAME TO audit_away").await;
    for _ in 0..3 {
        refuse(&app, "ann@example.com", 2).await;
        audit_log::flush(&app.app).await;
    }
    outside.execute("ALTER TABLE audit_away RENAME TO audit").await;
    refuse(&app, "ann@example.com", 1).await;
    audit_log::flush(&app.app).await;
    all_told(&app, 7).await;
}

/// The entries of so many refused sign-ins, as soon as none is missing.
async fn all_told(app: &TestApp, count: i64) -> Vec<signet::store::AuditRow> {
    let mut rows = Vec::new();
    for _ in 0..200 {
        audit_log::flush(&app.app).await;
        rows = entries_of(&app.app, "login.fail").await;
        if total(&rows) == count {
            return rows;
        }
        // The task may just hold some, to write them or to put them back.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await; // poll:
    }
    panic!("{} of {count} are told", total(&rows));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_last_is_written_before_the_service_ends() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path()).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = json!({ "email": "nobody@example.com", "password": PASSWORD });
    let answer = client.post(format!("{}/api/v1/login", server.url)).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(server.stop(), Some(0));
    let printed_entries = signet(folder.path(), &["audit", "--json", "--event", "login.fail"], "");
    let entry: Value = serde_json::from_slice(&printed_entries.stdout)
        .unwrap_or_else(|_| panic!("{}", printed(&printed_entries)));
    assert_eq!((&entry["reason"], &entry["count"]), (&json!("unknown-user"), &json!(1)));
    assert!(entry["seal"].is_i64(), "and sealed: {entry}");
}
