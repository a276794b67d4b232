//! The process is killed, or the power fails, while many write: what was answered is there.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use signet::config::DatabaseUrl;

use super::disk::Disk;
use super::*;
use crate::helpers::db::{TestDatabase, at as config_at, connect};

/// Names the file for [`writes_and_tells`].
const FILE: &str = "SIGNET_TEST_STORE_FILE";
const CALLERS: usize = 32;

/// Writes accounts from many callers and prints each as soon as it was answered, until it is killed or has enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process of its own: run by a126_every_unit_that_was_answered_survives_a_kill"]
async fn writes_and_tells() {
    let path = std::env::var_os(FILE).expect("the file to write to");
    let enough: usize = std::env::var("SIGNET_TEST_STORE_WRITES").map_or(usize::MAX, |n| n.parse().unwrap());
    let db = Db::open(&config_at(DatabaseUrl::Sqlite(path.into()))).await.unwrap();
    let first = find_last(&db).await;
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let db = db.clone();
            tokio::spawn(async move {
                for number in (first + caller..enough).step_by(CALLERS) {
                    let account = user(&format!("n{number}@example.com"));
                    assert!(insert(&db, &account).await.unwrap());
                    // Whole lines are written at once: a trace holds them in one piece.
                    std::io::stdout().lock().write_all(format!("\nanswered {number}.\n").as_bytes()).unwrap();
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    db.close().await;
}

/// A number that no account of an earlier run has.
async fn find_last(db: &Db) -> usize {
    let users = db.read((), |tx, ()| Box::pin(async move { tx.users(None, 100_000).await })).await.unwrap();
    users.iter().filter_map(|user| number_of(user.email.as_str())).max().map_or(0, |last| last + 1)
}

fn number_of(address: &str) -> Option<usize> {
    address.strip_prefix('n')?.split('@').next()?.parse().ok()
}

fn child<'p>(program: &'p mut Command, file: &Path) -> &'p mut Command {
    program
        .args(["--ignored", "--exact", "--nocapture", "store::crash::writes_and_tells"])
        .env(FILE, file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
}

/// Every account that was answered is there, whole, and the file is sound.
async fn check(file: &Path, answered: &[usize]) {
    let config = config_at(DatabaseUrl::Sqlite(file.to_owned()));
    let mut outside = connect(&config).await;
    assert_eq!(
        outside.number("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'").await,
        0
    );
    let db = Db::open(&config).await.unwrap();
    for number in answered {
        let email = Email::parse(&format!("n{number}@example.com")).unwrap();
        let found = db.read(email, |tx, email| Box::pin(tx.user_by_email(email))).await.unwrap();
        assert_eq!(found.expect("it was answered").roles, roles(&["admin", "editor"]), "n{number}");
    }
    // A unit writes an account and its two roles.
    assert_eq!(
        outside.number("SELECT (SELECT count(*) FROM user_roles) - 2 * (SELECT count(*) FROM users)").await,
        0
    );
    db.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a126_every_unit_that_was_answered_survives_a_kill() {
    let database = TestDatabase::sqlite().await;
    database.db.close().await;
    let file = database.folder().join("data/signet.db");
    let mut answered = Vec::new();
    for round in 0..3 {
        let mut process = child(&mut Command::new(std::env::current_exe().unwrap()), &file).spawn().unwrap();
        let before = answered.len();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        for number in lines.map_while(Result::ok).filter_map(|line| told(&line)) {
            answered.push(number);
            if answered.len() == before + 150 + 20 * round {
                process.kill().unwrap();
            }
        }
        process.wait().unwrap();
        assert!(answered.len() > before + 100, "it was killed while it wrote");
        check(&file, &answered).await;
    }
}

fn told(line: &str) -> Option<usize> {
    line.strip_prefix("answered ")?.strip_suffix('.')?.parse().ok()
}

/// The power fails at every answer: of both files only what had been synced by then is kept. `strace` shows what was
/// written and synced, in the order in which it was.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a129_every_unit_that_was_answered_survives_a_power_cut() {
    if !crate::faults::strace_is_there() {
        return;
    }
    let database = TestDatabase::sqlite().await;
    database.db.close().await;
    let file = database.folder().join("data/signet.db");
    let trace = database.folder().join("trace");
    let before = std::fs::read(&file).unwrap();
    let mut strace = Command::new("strace");
    strace.args([
        "-f",
        "-qq",
        "-y",
        "-xx",
        "-s",
        "8192",
        "-e",
        "trace=pwrite64,write,fsync,fdatasync,ftruncate",
    ]);
    strace.arg("-o").arg(&trace).arg(std::env::current_exe().unwrap());
    let output = child(&mut strace, &file).env("SIGNET_TEST_STORE_WRITES", "320").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));

    let mut disk = Disk::with("signet.db", before);
    let (mut answered, mut checked) = (Vec::new(), 0);
    for line in std::fs::read_to_string(&trace).unwrap().lines() {
        let printed = disk.play(line).unwrap_or_default();
        let Some(number) = printed.lines().find_map(told) else { continue };
        answered.push(number);
        // Every answer would take long to check; nearly every batch is.
        if answered.len() % 8 == 1 {
            let folder = tempfile::tempdir().unwrap();
            disk.restore(folder.path());
            check(&folder.path().join("signet.db"), &answered).await;
            checked += 1;
        }
    }
    assert_eq!((answered.len(), checked), (320, 40));
}
