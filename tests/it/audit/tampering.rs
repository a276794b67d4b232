//! Whoever writes to the database changes what was sealed: it shows.

use signet::flow::audit_log::{self, Fault, ResealError};
use signet::store::StoredAudit;

use super::{Replica, entries};
use crate::helpers::db::{Outside, TestDatabase, on_both_engines};

const TABLES: [&str; 3] = ["audit", "audit_seals", "audit_head"];

on_both_engines! {
    async fn a137_every_change_of_what_was_sealed_is_found(database) {
        every_change_is_found(database).await;
    }

    async fn a137_what_is_not_sealed_yet_is_counted_and_an_honest_log_holds(database) {
        let folder = tempfile::tempdir().unwrap();
        let replica = Replica::start(&database.config, folder.path()).await;
        let nothing = replica.verify().await;
        assert_eq!((nothing.newest, nothing.unsealed, nothing.fault), (0, 1, None), "the key was imported");
        replica.append(600).await;
        audit_log::seal(&replica.app).await;
        replica.append(2).await;
        let found = replica.verify().await;
        assert_eq!((found.newest, found.entries, found.unsealed, found.fault), (2, 601, 2, None));
    }
}

/// Three seals: over entries 1 to 3, 4 to 5 and 6 to 7.
async fn sealed(database: &TestDatabase, folder: &std::path::Path) -> Replica {
    let replica = Replica::start(&database.config, folder).await;
    for count in [2, 2, 2] {
        replica.append(count).await;
        audit_log::seal(&replica.app).await;
    }
    let found = replica.verify().await;
    assert_eq!((found.newest, found.entries, found.unsealed, found.fault), (3, 7, 0, None));
    replica
}

async fn every_change_is_found(database: &TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let replica = sealed(database, folder.path()).await;
    let mut outside = database.outside().await;
    for table in TABLES {
        outside.execute(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).await;
    }
    let mut cases: Vec<String> = Vec::new();
    let optional = [
        "user_id",
        "session_id",
        "client_id",
        "kid",
        "reason",
        "address",
        "user_agent",
        "request_id",
        "detail",
    ];
    for column in ["event", "actor"].iter().chain(&optional) {
        cases.push(format!("UPDATE audit SET {column} = 'another' WHERE id = 5"));
        cases.push(format!("UPDATE audit SET {column} = '' WHERE id = 5"));
    }
    for column in optional {
        cases.push(format!("UPDATE audit SET {column} = NULL WHERE id = 5"));
    }
    // A text moved from one column to the next.
    cases.push("UPDATE audit SET reason = NULL, address = reason WHERE id = 5".to_owned());
    for (table, row, columns) in [
        ("audit", "id = 5", &["id", "at", "count", "seal"][..]),
        ("audit_seals", "seal = 2", &["seal", "at", "entries"]),
        ("audit_head", "only_row = 1", &["seal", "swept"]),
    ] {
        for column in columns {
            for change in ["+ 100000", "- 100000"] {
                cases.push(format!("UPDATE {table} SET {column} = {column} {change} WHERE {row}"));
            }
        }
    }
    for table in ["audit_seals", "audit_head"] {
        cases.push(format!("UPDATE {table} SET root_key_id = '1-00000000'"));
        cases.push(format!("UPDATE {table} SET root_key_id = ''"));
        cases.push(format!("UPDATE {table} SET mac = (SELECT mac FROM kept_audit_seals WHERE seal = 1)"));
    }
    // Removed: at the beginning, in the middle, at the end.
    for id in [1, 4, 5, 7] {
        cases.push(format!("DELETE FROM audit WHERE id = {id}"));
        cases.push(format!("UPDATE audit SET seal = NULL WHERE id = {id}"));
    }
    for seal in [1, 2, 3] {
        cases.push(format!("DELETE FROM audit_seals WHERE seal = {seal}"));
        cases.push(format!("DELETE FROM audit WHERE seal = {seal}"));
        cases.push(format!(
            "DELETE FROM audit_seals WHERE seal = {seal}; DELETE FROM audit WHERE seal = {seal}"
        ));
        cases.push(format!("UPDATE audit SET seal = NULL WHERE seal = {seal}"));
    }
    let last = "DELETE FROM audit_seals WHERE seal = 3; DELETE FROM audit WHERE seal = 3";
    cases.push(format!("{last}; UPDATE audit_head SET seal = 2"));
    cases.push(format!(
        "{last}; UPDATE audit_head SET seal = 2, mac = (SELECT mac FROM audit_seals WHERE seal = 2)"
    ));
    // As if they had been swept.
    cases.push("DELETE FROM audit WHERE seal = 1; UPDATE audit_head SET swept = 1".to_owned());
    // Everything, but for what tells how much there was.
    cases.push("DELETE FROM audit_seals; DELETE FROM audit".to_owned());
    cases.push("DELETE FROM audit_head".to_owned());
    // Added.
    let columns = "at, event, actor, count";
    for seal in [2, 3, 4, 0, -1] {
        cases.push(format!(
            "INSERT INTO audit (id, {columns}, seal) VALUES (1000, 1, 'login.success', 'user', 1, {seal})"
        ));
    }
    cases.push(
        "INSERT INTO audit_seals SELECT 4, at, entries, root_key_id, mac FROM audit_seals WHERE seal = 3"
            .to_owned(),
    );
    // Swapped.
    let swap = |column: &str, one: i64, other: i64| {
        format!(
            "UPDATE audit SET {column} = -9 WHERE {column} = {one}; \
             UPDATE audit SET {column} = {one} WHERE {column} = {other}; \
             UPDATE audit SET {column} = {other} WHERE {column} = -9"
        )
    };
    cases.push("UPDATE audit SET seal = CASE id WHEN 3 THEN 2 WHEN 4 THEN 1 ELSE seal END".to_owned());
    cases.push(swap("seal", 2, 3));
    cases.push(swap("id", 1, 2));
    cases.push(
        "UPDATE audit_seals SET seal = -9 WHERE seal = 2; UPDATE audit_seals SET seal = 2 WHERE seal = 3; \
         UPDATE audit_seals SET seal = 3 WHERE seal = -9"
            .to_owned(),
    );
    for case in &cases {
        outside.execute(case).await;
        let found = replica.verify().await;
        assert!(found.fault.is_some(), "not found: {case}");
        // Going on heals nothing.
        replica.append(1).await;
        audit_log::seal(&replica.app).await;
        audit_log::sweep(&replica.app).await;
        assert!(replica.verify().await.fault.is_some(), "healed: {case}");
        reseal(&replica, case).await;
        restore(&mut outside).await;
        assert_eq!(replica.verify().await.fault, None, "after: {case}");
    }
    assert!(cases.len() > 70, "{}", cases.len());
}

/// At the operator's word a new chain begins: no entry is lost by that, one says so, and sealing goes on.
async fn reseal(replica: &Replica, case: &str) {
    let keys = audit_log::keys(&replica.app).unwrap().unwrap();
    let before = entries(&replica.app).await;
    let fault = replica.verify().await.fault.unwrap();
    let lost = match &fault {
        Fault::UnknownKey(_, root_key) => Some(root_key.as_str()),
        _ => None,
    };
    if lost.is_some() {
        let refused = audit_log::reseal(&replica.app, &keys, None).await;
        assert!(matches!(refused, Err(ResealError::UnknownKey { .. })), "{case}");
    }
    let done = audit_log::reseal(&replica.app, &keys, lost).await.unwrap();
    assert_eq!((done.was.fault, done.now.fault, done.now.unsealed), (Some(fault.clone()), None, 0), "{case}");
    let mut after = entries(&replica.app).await;
    let place = after.iter().position(|entry| entry.row.event == "audit.resealed").expect(case);
    let told = after.remove(place).row;
    assert_eq!((told.actor.as_str(), told.reason.as_deref()), ("operator", Some(fault.code())), "{case}");
    assert!(told.detail.unwrap().contains(&fault.to_string()), "{case}");
    let rows = |entries: Vec<StoredAudit>| entries.into_iter().map(|it| (it.id, it.row)).collect::<Vec<_>>();
    assert_eq!(rows(after), rows(before), "{case}");
    let again = audit_log::reseal(&replica.app, &keys, None).await;
    assert!(matches!(again, Err(ResealError::Sound)), "{case}");

    replica.append(1).await;
    audit_log::seal(&replica.app).await;
    let found = replica.verify().await;
    assert_eq!((found.newest, found.unsealed, found.fault), (done.now.newest + 1, 0, None), "{case}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resealing_leaves_the_seals_that_hold_and_what_was_swept() {
    let database = TestDatabase::sqlite().await;
    let folder = tempfile::tempdir().unwrap();
    let replica = sealed(&database, folder.path()).await;
    replica.clock.advance(replica.app.config.audit.keep + std::time::Duration::from_secs(1));
    replica.append(2).await;
    audit_log::seal(&replica.app).await;
    replica.append(2).await;
    audit_log::seal(&replica.app).await;
    audit_log::sweep(&replica.app).await;
    let found = replica.verify().await;
    assert_eq!((found.newest, found.swept, found.entries), (5, 3, 4));
    let seals = async || replica.app.db.read((), |tx, ()| Box::pin(tx.audit_seals(0, 10))).await.unwrap();
    let before = seals().await;

    let mut outside = database.outside().await;
    outside.execute("UPDATE audit SET reason = 'another' WHERE seal = 5").await;
    let found = replica.verify().await;
    assert_eq!((found.fault, found.suspects), (Some(Fault::Changed(5)), Some((10, 11))));
    let keys = audit_log::keys(&replica.app).unwrap().unwrap();
    let done = audit_log::reseal(&replica.app, &keys, None).await.unwrap();
    assert_eq!((done.kept, done.now.newest, done.now.swept, done.now.entries), (4, 5, 3, 5));
    let after = seals().await;
    assert_eq!((&after[..2], after.len()), (&before[..2], 3));
    assert_ne!(after[2], before[2]);
    database.remove().await;
}

async fn restore(outside: &mut Outside) {
    for table in TABLES {
        outside.execute(&format!("DELETE FROM {table}")).await;
        outside.execute(&format!("INSERT INTO {table} SELECT * FROM kept_{table}")).await;
    }
}
