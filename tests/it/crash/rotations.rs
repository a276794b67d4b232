//! Killed before each write of a rotation.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use signet::config::DatabaseUrl;
use sqlx::{Connection as _, Executor as _};

use super::client::Server;
use super::each_write::{ANSWER, CALLS, Killer, MANY};
use crate::helpers::app::{PASSWORD, header_of, json_of};
use crate::helpers::db::{Outside, TestDatabase};
use crate::helpers::process::Process;

/// How many keys are like that.
async fn count(server: &Server, which: &str) -> i64 {
    let mut outside = server.outside().await;
    let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM signing_keys WHERE {which}"));
    let (count,): (i64,) = sqlx::query_as(sql).fetch_one(&mut outside).await.unwrap();
    outside.close().await.unwrap();
    count
}

/// Until a key stands by and nothing is due. `Err`: the server is dead.
async fn at_rest(server: &mut Server) -> Result<(), ()> {
    let due = "status = 'active' AND activated_at = 0 OR status = 'retiring' AND retiring_at = 0";
    loop {
        if server.process.child.try_wait().unwrap().is_some() {
            return Err(());
        }
        if count(server, "status = 'pending'").await == 1 && count(server, due).await == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await; // poll: until it is done, or dead
    }
}

/// Everything is due at once: the next key signs, another is published, and the last one leaves the set.
async fn let_all_be_due(server: &Server) {
    let mut outside = server.outside().await;
    for sql in [
        "UPDATE signing_keys SET created_at = 0, ready_at = 0 WHERE status = 'pending'",
        "UPDATE signing_keys SET activated_at = 0 WHERE status = 'active'",
        "UPDATE signing_keys SET retiring_at = 0 WHERE status = 'retiring'",
        "UPDATE keyring SET version = version + 1",
    ] {
        outside.execute(sql).await.unwrap();
    }
    outside.close().await.unwrap();
}

/// One key signs, it is published, and so are those that stand by or did sign.
async fn is_whole(server: &Server, email: &str, when: &str) {
    assert_eq!(count(server, "status = 'active'").await, 1, "{when}");
    let credentials = json!({ "email": email, "password": PASSWORD });
    let registered = server.post("/api/v1/register", &credentials).await.unwrap();
    assert_eq!(registered.status(), StatusCode::CREATED, "{when}");
    let token = json_of(server.post("/api/v1/login", &credentials).await.unwrap()).await;
    let token = token["access_token"].as_str().unwrap();
    let set =
        server.client.get(format!("{}/.well-known/jwks.json", server.process.url)).send().await.unwrap();
    let set = json_of(set).await;
    let kids: Vec<_> = set["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert!(kids.contains(&&header_of(token)["kid"]), "{when}: {kids:?}");
    let me = server.client.get(format!("{}/api/v1/me", server.process.url)).bearer_auth(token);
    assert_eq!(me.send().await.unwrap().status(), StatusCode::OK, "{when}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a079_a_kill_before_each_write_of_a_rotation_leaves_one_signer_and_a_whole_set() {
    // Dozens of writes, each after a start: one in eight of them when there is little time.
    let step = if std::env::var_os("SIGNET_TEST_KILLS").is_some() { 1 } else { 8 };
    let mut server = Server::start();
    let mut kills = 0;
    for calls in CALLS.into_iter().filter(|calls| *calls != ANSWER) {
        for nth in (1..MANY).step_by(step) {
            at_rest(&mut server).await.unwrap();
            let Some(mut killer) = Killer::attach(&server, calls, nth) else {
                assert!(
                    std::env::var_os("SIGNET_TEST_REQUIRE_TOOLS").is_none(),
                    "strace is missing, or may not attach: scripts/test installs it"
                );
                eprintln!("not run: needs strace, which scripts/test installs, and the right to attach it");
                return;
            };
            let_all_be_due(&server).await;
            let is_done = at_rest(&mut server).await.is_ok();
            if is_done {
                killer.let_go();
                killer.0.wait().unwrap();
                // There is no such call: all of its name were tried.
                break;
            }
            drop(killer);
            server.kill();
            server.again();
            is_whole(
                &server,
                &format!("n{kills}@example.com"),
                &format!("killed before call {nth} of {calls}"),
            )
            .await;
            kills += 1;
        }
    }
    eprintln!("{kills} kills");
    assert!(kills > 2, "it writes and makes durable: {kills} kills");
    assert_eq!(server.process.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a079_a_kill_between_two_statements_of_a_rotation_on_postgresql_undoes_the_first() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let DatabaseUrl::Postgres(url) = &database.config.url else { unreachable!() };
    let url = url.expose().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let mut command = super::quick(folder.path());
        command.env("SIGNET_DATABASE_URL", &url);
        Process::start_command(command, folder.path()).unwrap()
    };
    let (mut holder, mut watcher) = (database.outside().await, database.outside().await);
    let until = async |watcher: &mut Outside, question: &str, answer: i64| {
        while watcher.number(question).await != answer {
            tokio::time::sleep(Duration::from_millis(10)).await; // poll: until it is so
        }
    };
    let of = |status: &str| format!("SELECT count(*) FROM signing_keys WHERE status = '{status}'");
    let server = start();
    until(&mut watcher, &of("pending"), 1).await;

    // The key that stands by is held: the version was raised, and nothing else was done.
    watcher.execute("UPDATE signing_keys SET created_at = 0, ready_at = 0 WHERE status = 'pending'").await;
    holder.execute("BEGIN").await;
    holder.execute("SELECT * FROM signing_keys WHERE status = 'pending' FOR UPDATE").await;
    watcher.execute("UPDATE signing_keys SET activated_at = 0 WHERE status = 'active'").await;
    watcher.execute("UPDATE keyring SET version = 1000").await;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND wait_event_type = 'Lock' AND query LIKE 'UPDATE signing_keys%'";
    until(&mut watcher, waiting, 1).await;
    server.kill();
    holder.execute("ROLLBACK").await;
    until(&mut watcher, waiting, 0).await;
    assert_eq!(watcher.number("SELECT version FROM keyring").await, 1000, "half of it happened");
    assert_eq!(watcher.number(&of("active")).await, 1);

    let server = start();
    until(&mut watcher, &of("retiring"), 1).await;
    until(&mut watcher, &of("pending"), 1).await;
    assert_eq!(watcher.number(&of("active")).await, 1);
    assert_eq!(watcher.number("SELECT count(*) FROM audit WHERE event = 'key.rotated'").await, 1);
    assert_eq!(server.stop(), Some(0));
    drop((holder, watcher));
    database.remove().await;
}
