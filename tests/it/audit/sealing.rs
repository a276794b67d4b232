//! Seals and age, on one replica and on two.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use signet::flow::audit_log;
use signet::store::{AuditFilter, AuditRow};
use signet_guard::Timestamp;

use super::{Replica, entries, full_row};
use crate::helpers::app::NOW;
use crate::helpers::db::{Outside, TestDatabase, on_both_engines};

on_both_engines! {
    async fn entries_are_removed_by_whole_seals_once_they_are_too_old_and_the_rest_still_holds(database) {
        let folder = tempfile::tempdir().unwrap();
        let replica = Replica::start(&database.config, folder.path()).await;
        for count in [2, 3, 4] {
            replica.append(count).await;
            audit_log::seal(&replica.app).await;
            replica.clock.advance(Duration::from_secs(86_400));
        }
        replica.append(1).await;
        audit_log::sweep(&replica.app).await;
        assert_eq!(entries(&replica.app).await.len(), 11, "nothing is old");
        // The first seal is 400 days and a second old, the second 399.
        replica.clock.advance(replica.app.config.audit.keep - Duration::from_secs(3 * 86_400 - 1));
        audit_log::sweep(&replica.app).await;
        let found = replica.verify().await;
        assert_eq!((found.newest, found.swept, found.entries, found.unsealed), (3, 1, 7, 1));
        assert_eq!(found.fault, None);
        replica.append(5).await;
        audit_log::seal(&replica.app).await;
        replica.clock.advance(replica.app.config.audit.keep + Duration::from_secs(86_400));
        replica.append(2).await;
        audit_log::sweep(&replica.app).await;
        let found = replica.verify().await;
        assert_eq!((found.newest, found.swept, found.entries, found.fault), (4, 4, 0, None));
        assert_eq!(entries(&replica.app).await.len(), 2, "what is not sealed is not removed");
        audit_log::seal(&replica.app).await;
        let found = replica.verify().await;
        assert_eq!((found.newest, found.swept, found.entries, found.fault), (5, 4, 2, None));
    }

    async fn replicas_that_write_seal_and_sweep_at_once_leave_one_chain(database) {
        at_once(database).await;
    }
}

async fn at_once(database: &TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let one = Replica::start(&database.config, folder.path()).await;
    let two = Replica::start(&database.config, folder.path()).await;
    let (mut writers, mut tasks) = (tokio::task::JoinSet::new(), tokio::task::JoinSet::new());
    let done = Arc::new(AtomicBool::new(false));
    for replica in [&one, &two] {
        for _ in 0..2 {
            let app = replica.app.clone();
            writers.spawn(async move {
                for _ in 0..60 {
                    let row = full_row(Timestamp::from_seconds(NOW));
                    app.db.write(row, |tx, row| Box::pin(tx.append_audit(row))).await.unwrap();
                }
            });
            let (app, done) = (replica.app.clone(), done.clone());
            tasks.spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    audit_log::seal(&app).await;
                    audit_log::sweep(&app).await;
                }
            });
        }
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let before = one.verify().await;
    assert!(before.newest > 2, "they sealed meanwhile: {before:?}");
    audit_log::seal(&two.app).await;
    let found = one.verify().await;
    assert_eq!((found.entries, found.unsealed, found.swept, found.fault), (241, 0, 0, None));

    for replica in [&one, &two] {
        replica.clock.advance(replica.app.config.audit.keep + Duration::from_secs(1));
    }
    while one.verify().await.swept < found.newest {
        tokio::join!(audit_log::sweep(&one.app), audit_log::sweep(&two.app));
    }
    let found = two.verify().await;
    assert_eq!((found.entries, found.fault), (0, None));
    assert!(entries(&one.app).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seals_of_an_older_root_key_hold_as_long_as_it_is_in_the_file() {
    const ONE: &str = "1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n";
    const TWO: &str = "2 IAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n";
    let database = TestDatabase::sqlite().await;
    let folder = tempfile::tempdir().unwrap();
    let put = |text: String| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = folder.path().join("keys/root.key");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    put(ONE.to_owned());
    let replica = Replica::start(&database.config, folder.path()).await;
    audit_log::seal(&replica.app).await;
    put(format!("{TWO}{ONE}"));
    let replica = Replica::start(&database.config, folder.path()).await;
    replica.append(1).await;
    audit_log::seal(&replica.app).await;
    let found = replica.verify().await;
    assert_eq!((found.newest, found.entries, found.fault), (2, 2, None));
    let seals = replica.app.db.read((), |tx, ()| Box::pin(tx.audit_seals(0, 10))).await.unwrap();
    let numbers: Vec<_> = seals.iter().map(|seal| seal.root_key_id.split('-').next().unwrap()).collect();
    assert_eq!(numbers, ["1", "2"]);

    put(TWO.to_owned());
    let roots = signet::jose::RootKeys::load(&replica.app.config.keys.root_key).unwrap().unwrap();
    let keys = signet::jose::AuditKeys::derive(&roots).unwrap();
    let found = audit_log::verify(&replica.app, &keys, None).await.unwrap();
    let expected = audit_log::Fault::UnknownKey(1, seals[0].root_key_id.clone());
    assert_eq!(found.fault, Some(expected), "not taken for a change, nor for good");
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_is_committed_late_is_sealed_and_followed_all_the_same() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(&database.config, folder.path()).await;
    let filter = AuditFilter { since: Timestamp::from_seconds(0), user_id: None, event: None };
    let mut follower = audit_log::Follower::start(&replica.app, filter).await.unwrap();

    let mut late = database.outside().await;
    late.execute("BEGIN").await;
    late.execute("INSERT INTO audit (at, event, actor, count) VALUES (1, 'late', 'user', 1)").await;
    replica.append(2).await;
    audit_log::seal(&replica.app).await;
    let ids = |entries: Vec<signet::store::StoredAudit>| entries.iter().map(|it| it.id).collect::<Vec<_>>();
    assert_eq!(ids(follower.next(&replica.app).await.unwrap()), [3, 4]);
    late.execute("COMMIT").await;
    assert_eq!(ids(follower.next(&replica.app).await.unwrap()), [2], "its number is lower");
    assert!(follower.next(&replica.app).await.unwrap().is_empty());

    let found = replica.verify().await;
    assert_eq!((found.newest, found.entries, found.unsealed, found.fault), (1, 3, 1, None));
    audit_log::seal(&replica.app).await;
    let found = replica.verify().await;
    assert_eq!((found.newest, found.entries, found.unsealed, found.fault), (2, 4, 0, None));
    assert!(matches!(late, Outside::Postgres(_)));
    drop(late);
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_of_what_is_rare_in_a_long_log_shows_what_comes_and_nothing_that_was() {
    let database = TestDatabase::sqlite().await;
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(&database.config, folder.path()).await;
    let add = async |event: &str, count: usize| {
        let row = AuditRow { event: event.to_owned(), ..full_row(replica.clock.now()) };
        let unit = vec![row; count];
        replica.app.db.write(unit, |tx, rows| Box::pin(tx.append_audits(rows))).await.unwrap();
    };
    add("rare", 1).await;
    // More than are looked at again.
    add("common", 6_000).await;
    add("rare", 1).await;
    let filter =
        AuditFilter { since: Timestamp::from_seconds(0), user_id: None, event: Some("rare".to_owned()) };
    let mut follower = audit_log::Follower::start(&replica.app, filter).await.unwrap();
    assert!(follower.next(&replica.app).await.unwrap().is_empty(), "all of it was there before");
    for _ in 0..2 {
        add("common", 600).await;
        add("rare", 2).await;
        assert_eq!(follower.next(&replica.app).await.unwrap().len(), 2);
        assert!(follower.next(&replica.app).await.unwrap().is_empty());
    }
    database.remove().await;
}

/// Log lines of this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// How many errors and how many remarks there were since the last look.
    fn counts(&self) -> (usize, usize) {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        let count = |level: &str| text.lines().filter(|line| line.contains(level)).count();
        (count("ERROR"), count(" INFO "))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_sealed_is_told_of_once_an_hour_and_once_when_it_is_mended() {
    let database = TestDatabase::sqlite().await;
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(&database.config, folder.path()).await;
    audit_log::seal(&replica.app).await;
    let mut outside = database.outside().await;
    outside.execute("CREATE TABLE kept AS SELECT * FROM audit_head").await;
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let turns = async |count: usize| {
        for _ in 0..count {
            audit_log::seal(&replica.app).await;
            audit_log::sweep(&replica.app).await;
            replica.clock.advance(Duration::from_secs(10));
        }
        lines.counts()
    };
    assert_eq!(turns(3).await, (0, 0));
    outside.execute("UPDATE audit_head SET mac = X'00'").await;
    assert_eq!(turns(360).await, (1, 0), "the first hour");
    assert_eq!(turns(360).await, (1, 0), "the second");
    outside.execute("DELETE FROM audit_head").await;
    assert_eq!(turns(3).await, (1, 0), "another kind");
    outside.execute("INSERT INTO audit_head SELECT * FROM kept").await;
    assert_eq!(turns(3).await, (0, 1), "mended");
    drop(outside);
    database.remove().await;
}
