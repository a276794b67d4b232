//! Storage that fails under a running server.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::{Client, Response, StatusCode};
use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};

use crate::helpers::app::{PASSWORD, TestApp};
use crate::helpers::process::{Process, prepare};

async fn register(client: &Client, url: &str, email: &str) -> Response {
    let body = json!({ "email": email, "password": PASSWORD });
    client.post(format!("{url}/api/v1/register")).json(&body).send().await.unwrap()
}

fn refused_for_now(answer: &Response) {
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
}

/// A disk that is full, as far as the process can tell: no file may grow beyond the limit.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a125_a_full_disk_refuses_what_it_cannot_keep_and_recovers_by_itself() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};

    let folder = tempfile::tempdir().unwrap();
    // SIGXFSZ, ignored, is inherited: writes beyond the limit then fail as they do on a full disk.
    let mut command = std::process::Command::new("sh");
    prepare(&mut command, folder.path());
    command.args(["-c", "trap '' XFSZ; exec \"$0\"", env!("CARGO_BIN_EXE_signet")]);
    let server = Process::start_command(command, folder.path()).unwrap();
    let client = Client::builder().no_proxy().build().unwrap();
    assert_eq!(register(&client, &server.url, "before@example.com").await.status(), StatusCode::CREATED);

    let pid = Pid::from_child(&server.child);
    let limit = |bytes: Option<u64>| {
        prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    };
    let size = |name: &str| std::fs::metadata(folder.path().join(name)).map_or(0, |file| file.len());
    // The log of this very process may still grow; the write-ahead log may not.
    limit(Some(size("data/signet.db-wal").max(1)));
    for number in 0..3 {
        let answer = register(&client, &server.url, &format!("full{number}@example.com")).await;
        assert!(answer.status() != StatusCode::INTERNAL_SERVER_ERROR, "{}", server.logged());
        refused_for_now(&answer);
        let body = json!({ "email": "before@example.com", "password": PASSWORD });
        let login = client.post(format!("{}/api/v1/login", server.url)).json(&body).send().await.unwrap();
        assert!(login.status() != StatusCode::INTERNAL_SERVER_ERROR, "{}", server.logged());
        refused_for_now(&login);
        assert!(!login.text().await.unwrap().contains("access_token"));
    }
    let keys = client.get(format!("{}/.well-known/jwks.json", server.url)).send().await.unwrap();
    assert_eq!(keys.status(), StatusCode::OK, "verifiers notice nothing");

    limit(None);
    assert_eq!(register(&client, &server.url, "after@example.com").await.status(), StatusCode::CREATED);
    for number in 0..3 {
        let again = register(&client, &server.url, &format!("full{number}@example.com")).await;
        assert_eq!(again.status(), StatusCode::CREATED, "nothing of the refused ones was kept");
    }
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a127_a_database_held_by_somebody_else_is_waited_for_and_then_refused() {
    let app = TestApp::spawn_with_env(&[("SIGNET__DATABASE__BUSY_TIMEOUT", "500ms")]).await;
    app.register("ann@example.com").await;
    let url = app.app.config.database.url.to_string();
    let mut outsider = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut outsider).await.unwrap();

    let started = Instant::now();
    let answer = app.login("ann@example.com", PASSWORD).await;
    refused_for_now(&answer);
    assert!(!answer.text().await.unwrap().contains("access_token"), "no token that was not recorded");
    assert!(started.elapsed() >= Duration::from_millis(400), "it waits first");
    let body = json!({ "email": "bob@example.com", "password": PASSWORD });
    refused_for_now(&app.post("/api/v1/register", &body).await);
    // Reading goes on.
    assert_eq!(app.get("/health/ready").await.status(), StatusCode::OK);
    // And it never fails open: a try that cannot be counted is not looked at, right or wrong.
    refused_for_now(&app.login("ann@example.com", "not the right pass phrase").await);

    sqlx::query("ROLLBACK").execute(&mut outsider).await.unwrap();
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::OK);
    assert_eq!(app.count_users().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_breaks_is_never_quoted_to_the_caller() {
    let app = TestApp::spawn().await;
    app.register("ann@example.com").await;
    let token = app.token("ann@example.com").await;
    let url = app.app.config.database.url.to_string();
    let mut outsider = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("ALTER TABLE users RENAME TO somewhere_else").execute(&mut outsider).await.unwrap();

    let register = json!({ "email": "bob@example.com", "password": PASSWORD });
    for answer in [
        app.post("/api/v1/register", &register).await,
        app.login("ann@example.com", PASSWORD).await,
        app.get_with_token("/api/v1/me", &token).await,
    ] {
        assert!(answer.status().is_server_error());
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let text = answer.text().await.unwrap();
        for word in ["users", "SELECT", "INSERT", "sql", "table", "src/", "ann@"] {
            assert!(!text.contains(word), "{word}: {text}");
        }
    }
    assert_eq!(app.get("/.well-known/jwks.json").await.status(), StatusCode::OK);
}

/// Whether what a process writes and syncs can be watched; says so when it cannot.
#[cfg(target_os = "linux")]
pub(crate) fn strace_is_there() -> bool {
    let is_there = std::process::Command::new("strace").arg("--version").output().is_ok();
    if !is_there {
        assert!(
            std::env::var_os("SIGNET_TEST_REQUIRE_TOOLS").is_none(),
            "strace is missing: scripts/test installs it"
        );
        eprintln!("not run: needs strace, which scripts/test installs");
    }
    is_there
}

/// Every answer that says "done" follows an fsync of what it says. `strace` shows the order in which the process
/// really did both.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a129_what_was_answered_was_on_the_disk_before() {
    if !strace_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let mut command = std::process::Command::new("strace");
    prepare(&mut command, folder.path());
    command.args([
        "-f",
        "-qq",
        "-s",
        "64",
        "-y",
        "-e",
        "trace=fsync,fdatasync,write,writev,pwrite64,sendto,sendmsg",
    ]);
    command.arg("-o").arg(&trace).arg(env!("CARGO_BIN_EXE_signet"));
    let server = Process::start_command(command, folder.path()).unwrap();
    let client = Client::builder().no_proxy().build().unwrap();
    for number in 0..5 {
        let answer = register(&client, &server.url, &format!("n{number}@example.com")).await;
        assert_eq!(answer.status(), StatusCode::CREATED);
    }
    // strace ends with its child.
    let children = format!("/proc/{0}/task/{0}/children", server.child.id());
    let child = std::fs::read_to_string(children).unwrap();
    let child = child.trim().parse().ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(child, rustix::process::Signal::TERM).unwrap();
    let mut server = server;
    server.child.wait().unwrap();

    assert_eq!(
        unsynced_answers(&trace),
        (5, 0),
        "answers in all, and those not preceded by an fsync of their own"
    );
}

/// Counts the 201 answers, and those before which the write-ahead log was not written to, or written to and not synced.
#[cfg(target_os = "linux")]
fn unsynced_answers(trace: &Path) -> (usize, usize) {
    let (mut answers, mut unsynced, mut written, mut synced) = (0, 0, false, false);
    for line in std::fs::read_to_string(trace).unwrap().lines() {
        let to_log = line.contains("signet.db-wal");
        if to_log && line.contains("write") {
            (written, synced) = (true, false);
        } else if (to_log && line.contains("sync(") && !line.contains("unfinished"))
            || line.contains("sync resumed")
        {
            // Begun is not done: a call that another thread interrupted in the trace counts when it is resumed.
            synced = true;
        } else if line.contains("HTTP/1.1 201") {
            answers += 1;
            unsynced += usize::from(!(written && synced));
            (written, synced) = (false, false);
        }
    }
    (answers, unsynced)
}
