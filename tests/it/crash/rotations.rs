//! Killed in the middle of a rotation.

use std::time::Duration;

use reqwest::StatusCode;
use signet::config::DatabaseUrl;
use sqlx::{Connection as _, Executor as _};

use super::client::{Server, Session};
use super::each_write::{ANSWER, CALLS, Killer, MANY};
use crate::helpers::app::{header_of, json_of};
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

/// One key signs, it is published, and so are those that stand by or did sign: whoever holds a session goes on with it.
async fn is_whole(server: &Server, session: &mut Session, when: &str) {
    assert_eq!(count(server, "status = 'active'").await, 1, "{when}");
    let answer = server.refresh(session.tokens.last().unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{when}");
    let answer = json_of(answer).await;
    session.tokens.push(answer["refresh_token"].as_str().unwrap().to_owned());
    let token = answer["access_token"].as_str().unwrap();
    let set =
        server.client.get(format!("{}/.well-known/jwks.json", server.process.url)).send().await.unwrap();
    let set = json_of(set).await;
    let kids: Vec<_> = set["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert!(kids.contains(&&header_of(token)["kid"]), "{when}: {kids:?}");
    let me = server.client.get(format!("{}/api/v1/me", server.process.url)).bearer_auth(token);
    assert_eq!(me.send().await.unwrap().status(), StatusCode::OK, "{when}");
}

/// A part of a rotation that is written by itself.
struct Part {
    /// What makes it due, and nothing else.
    due: &'static [&'static str],
    /// What makes it due no more: it is not to be finished before the next kill.
    put_off: &'static str,
    /// Before which calls it is killed: in the middle, and before and after what makes it durable.
    points: &'static [(&'static str, usize)],
}

const ACTIVATION: Part = Part {
    due: &[
        "UPDATE signing_keys SET created_at = 0, ready_at = 0 WHERE status = 'pending'",
        "UPDATE signing_keys SET activated_at = 0 WHERE status = 'active'",
    ],
    put_off: "UPDATE signing_keys SET activated_at = unixepoch() WHERE status = 'active'",
    points: &[("pwrite64", 1), ("pwrite64", 8), ("fsync", 1)],
};

const PUBLICATION: Part = Part {
    due: &["UPDATE signing_keys SET status = 'retired', sealed = x'' WHERE status = 'pending'"],
    put_off: "SELECT 1",
    points: &[("pwrite64", 1), ("pwrite64", 8), ("fsync", 1)],
};

const RETIREMENT: Part = Part {
    due: &["UPDATE signing_keys SET retiring_at = 0 WHERE kid = \
            (SELECT kid FROM signing_keys WHERE status = 'retiring' LIMIT 1)"],
    put_off: "UPDATE signing_keys SET retiring_at = unixepoch() WHERE status = 'retiring'",
    // The last one: before the keys folder has it.
    points: &[("pwrite64", 1), ("pwrite64", 8), ("fsync", 1), ("rename", 1)],
};

/// Writes beside the server, which is to notice if it runs.
async fn write(server: &Server, statements: &[&'static str]) {
    let mut outside = server.outside().await;
    for sql in statements.iter().chain(&["UPDATE keyring SET version = version + 1"]) {
        outside.execute(*sql).await.unwrap();
    }
    outside.close().await.unwrap();
}

/// Kills a server before each of the calls by which it does this part, with `before` done so often.
async fn kill_in_the_middle_of(part: &Part, before: usize) {
    let mut server = Server::start();
    let mut session = server.sessions("ann@example.com", 1).await.remove(0);
    at_rest(&mut server).await.unwrap();
    for _ in 0..before {
        write(&server, ACTIVATION.due).await;
        at_rest(&mut server).await.unwrap();
    }
    for (calls, nth) in part.points {
        let when = format!("killed before call {nth} of {calls}");
        let Some(killer) = attach(&server, calls, *nth) else { return };
        write(&server, part.due).await;
        while server.process.child.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await; // poll: until it is dead
        }
        drop(killer);
        server.kill();
        write(&server, &[part.put_off]).await;
        server.again();
        is_whole(&server, &mut session, &when).await;
    }
    // What was begun so often is done in the end.
    write(&server, part.due).await;
    at_rest(&mut server).await.unwrap();
    is_whole(&server, &mut session, "at the end").await;
    assert_eq!(server.process.stop(), Some(0));
}

/// `None`, and a word of it: this machine does not allow it.
fn attach(server: &Server, calls: &str, nth: usize) -> Option<Killer> {
    let killer = Killer::attach(server, calls, nth);
    if killer.is_none() {
        assert!(
            std::env::var_os("SIGNET_TEST_REQUIRE_TOOLS").is_none(),
            "strace is missing, or may not attach: scripts/test installs it"
        );
        eprintln!("not run: needs strace, which scripts/test installs, and the right to attach it");
    }
    killer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a079_a_kill_while_the_next_key_takes_over_leaves_one_signer_and_a_whole_set() {
    kill_in_the_middle_of(&ACTIVATION, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a079_a_kill_while_a_key_is_published_leaves_one_signer_and_a_whole_set() {
    kill_in_the_middle_of(&PUBLICATION, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a079_a_kill_while_a_key_leaves_the_set_leaves_one_signer_and_a_whole_set() {
    kill_in_the_middle_of(&RETIREMENT, 2).await;
}

/// All of it at once, killed before each single write: dozens, and as many starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a079_a_kill_before_each_write_of_a_rotation_leaves_one_signer_and_a_whole_set() {
    if std::env::var_os("SIGNET_TEST_KILLS").is_none() {
        eprintln!("not run: `scripts/prove crash` does; the tests beside this one are its short form");
        return;
    }
    let mut server = Server::start();
    let mut session = server.sessions("ann@example.com", 1).await.remove(0);
    let mut kills = 0;
    for calls in CALLS.into_iter().filter(|calls| *calls != ANSWER) {
        for nth in 1..MANY {
            at_rest(&mut server).await.unwrap();
            let Some(mut killer) = attach(&server, calls, nth) else { return };
            write(&server, &[ACTIVATION.due, RETIREMENT.due].concat()).await;
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
            is_whole(&server, &mut session, &format!("killed before call {nth} of {calls}")).await;
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
