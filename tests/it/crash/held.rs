//! Killed between two statements on PostgreSQL: a lock taken from outside holds the unit there.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::json;
use signet::config::DatabaseUrl;

use super::client::refresh_token;
use super::quick;
use crate::helpers::app::PASSWORD;
use crate::helpers::db::{Outside, TestDatabase};
use crate::helpers::process::Process;

/// How long a request may take to reach the lock.
const PATIENCE: Duration = Duration::from_secs(30);

fn start(folder: &Path, url: &str) -> Process {
    let mut command = quick(folder);
    command.env("SIGNET_DATABASE_URL", url);
    Process::start_command(command, folder).unwrap()
}

/// Waits until somebody waits for the lock.
async fn until_held(outside: &mut Outside) {
    let started = Instant::now();
    let waiting = "SELECT count(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while outside.number(waiting).await == 0 {
        assert!(started.elapsed() < PATIENCE, "nobody waits for the lock");
        tokio::time::sleep(Duration::from_millis(5)).await; // poll:
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a126_a_kill_between_two_statements_on_postgresql_undoes_the_first() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let DatabaseUrl::Postgres(url) = &database.config.url else { unreachable!() };
    let url = url.expose().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let client = Client::builder().no_proxy().build().unwrap();
    let mut server = start(folder.path(), &url);
    let post = |server: &Process, path: &str, body: serde_json::Value| {
        client.post(format!("{}{path}", server.url)).json(&body).send()
    };
    let credentials = json!({ "email": "ann@example.com", "password": PASSWORD });
    post(&server, "/api/v1/register", credentials.clone()).await.unwrap();
    let mut held = refresh_token(post(&server, "/api/v1/login", credentials).await.unwrap()).await;
    let (mut holder, mut watcher) = (database.outside().await, database.outside().await);

    // The grant's own row: held before its rotation. The version of all status lists: held after a grant was revoked,
    // and before anybody could learn of it.
    let cases = [
        ("/api/v1/refresh", "SELECT * FROM grants FOR UPDATE"),
        ("/api/v1/logout", "SELECT * FROM status_version FOR UPDATE"),
    ];
    for (path, lock) in cases {
        watcher.execute("UPDATE grants SET rotated_at = rotated_at - 3600").await;
        holder.execute("BEGIN").await;
        holder.execute(lock).await;
        let asked = tokio::spawn(post(&server, path, json!({ "refresh_token": held })));
        until_held(&mut watcher).await;
        server.kill();
        assert!(asked.await.unwrap().is_err(), "{path}: it was answered before the end");
        holder.execute("ROLLBACK").await;

        server = start(folder.path(), &url);
        let answer = post(&server, "/api/v1/refresh", json!({ "refresh_token": held })).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}: half of it happened");
        let next = refresh_token(answer).await;
        assert_ne!(next, held);
        held = next;
    }
    let dead = "SELECT count(*) FROM grants WHERE revoked_at IS NOT NULL";
    assert_eq!(watcher.number(dead).await, 0);
    assert_eq!(server.stop(), Some(0));
    drop((holder, watcher));
    database.remove().await;
}
