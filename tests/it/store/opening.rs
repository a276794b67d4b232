//! Opening a database: new, old, newer, half-done, foreign, broken, readable by others.

use signet::store::{Migrated, migrate};
use sqlx::Connection;

use super::*;
use crate::helpers::db::{TestDatabase, connect, drop_database, new_file, new_on_server, sqlite_path};

async fn refusal(config: &signet::config::Database) -> StoreError {
    match Db::open(config).await {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

/// How many there are: their numbers have no gap.
fn migrations() -> i64 {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    std::fs::read_dir(folder).unwrap().count().try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_makes_folder_file_and_tables() {
    let (config, _folder) = new_file();
    let db = Db::open(&config).await.unwrap();
    assert_eq!(db.engine(), signet::store::Engine::Sqlite);
    assert!(insert(&db, &user("ann@example.com")).await.unwrap());
    db.close().await;
    assert_eq!(migrate(&config).await.unwrap(), Migrated { applied: 0, version: migrations() });
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a134_the_file_is_private_and_a_lax_one_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let database = TestDatabase::sqlite().await;
    insert(&database.db, &user("ann@example.com")).await.unwrap();
    let data = database.folder().join("data");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    let files: Vec<_> = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "the file, -wal and -shm: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    database.db.close().await;
    let path = sqlite_path(&database.config);
    for lax in [0o640, 0o604, 0o666] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(lax)).unwrap();
        let error = refusal(&database.config).await;
        assert!(matches!(error, StoreError::Exposed { mode, .. } if mode == lax), "{error:?}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    Db::open(&database.config).await.unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_start_together_on_an_empty_folder_all_open() {
    for _ in 0..5 {
        let (config, _folder) = new_file();
        let starts: Vec<_> = (0..6)
            .map(|_| {
                let config = config.clone();
                tokio::spawn(async move { Db::open(&config).await })
            })
            .collect();
        let mut ids = std::collections::BTreeSet::new();
        for start in starts {
            let db = start.await.unwrap().unwrap();
            ids.insert(db.database_id().await.unwrap());
            assert!(insert(&db, &user(&format!("{}@example.com", UserId::random()))).await.unwrap());
            db.close().await;
        }
        assert_eq!(ids.len(), 1, "one database");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a131_a_file_that_is_no_database_of_ours_is_refused_and_left_alone() {
    let (config, _folder) = new_file();
    let path = sqlite_path(&config);
    Db::open(&config).await.unwrap().close().await;
    std::fs::write(&path, b"Dear diary, today I was mistaken for a database.".repeat(50)).unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(refusal(&config).await, StoreError::NotADatabase(_)));
    assert_eq!(std::fs::read(&path).unwrap(), before);

    std::fs::remove_file(&path).unwrap();
    std::fs::File::create(&path).unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut other = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("CREATE TABLE recipes (name TEXT)").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    make_private(&path);
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(refusal(&config).await, StoreError::ForeignDatabase(_)));
    assert_eq!(std::fs::read(&path).unwrap(), before);

    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(refusal(&config).await, StoreError::File { .. }));
}

fn make_private(path: &std::path::Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a131_a_half_done_an_altered_and_a_newer_migration_are_refused_on_sqlite() {
    let database = TestDatabase::sqlite().await;
    database.db.close().await;
    let mut outside = database.outside().await;
    outside.execute("UPDATE _sqlx_migrations SET success = FALSE WHERE version = 2").await;
    let error = refusal(&database.config).await;
    assert!(matches!(error, StoreError::HalfMigrated { version: 2 }), "{error:?}");
    outside.execute("UPDATE _sqlx_migrations SET success = TRUE, checksum = x'00' WHERE version = 2").await;
    let error = refusal(&database.config).await;
    assert!(matches!(error, StoreError::MigrationAltered { version: 2 }), "{error:?}");
    outside.execute("DELETE FROM _sqlx_migrations WHERE version = 2").await;
    outside.execute("DROP TABLE signing_keys").await;
    assert_eq!(migrate(&database.config).await.unwrap(), Migrated { applied: 1, version: migrations() });
    outside
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'from tomorrow', TRUE, x'00', 0)",
        )
        .await;
    let error = refusal(&database.config).await;
    assert!(matches!(error, StoreError::TooNew { version: 9999 }), "{error:?}");
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a131_a_migration_that_fails_leaves_the_file_as_it_was() {
    let database = TestDatabase::sqlite().await;
    database.db.close().await;
    let mut outside = database.outside().await;
    // As if the second migration had not been done and could not be: its table is in the way.
    outside.execute("DELETE FROM _sqlx_migrations WHERE version = 2").await;
    let error = refusal(&database.config).await;
    assert!(matches!(error, StoreError::Internal(_)), "{error:?}");
    assert_eq!(outside.number("SELECT count(*) FROM _sqlx_migrations").await, migrations() - 1);
    outside.execute("DROP TABLE signing_keys").await;
    Db::open(&database.config).await.unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a131_postgres_is_opened_only_when_migrated_and_by_old_code_too() {
    let Some((config, admin_url, name)) = new_on_server().await else { return };
    let error = refusal(&config).await;
    assert!(
        matches!(error, StoreError::Unmigrated { missing } if missing as i64 == migrations()),
        "{error:?}"
    );
    assert!(error.to_string().contains("signet migrate"), "{error}");

    let racers: Vec<_> = (0..4)
        .map(|_| {
            let config = config.clone();
            tokio::spawn(async move { migrate(&config).await.unwrap().applied })
        })
        .collect();
    let mut applied = Vec::new();
    for racer in racers {
        applied.push(racer.await.unwrap());
    }
    applied.sort_unstable();
    assert_eq!(applied, [0, 0, 0, usize::try_from(migrations()).unwrap()], "one did all of it");

    let mut outside = connect(&config).await;
    outside
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'from tomorrow', TRUE, 'x', 0)",
        )
        .await;
    Db::open(&config).await.unwrap().close().await;
    assert_eq!(migrate(&config).await.unwrap(), Migrated { applied: 0, version: 9999 });

    outside.execute("UPDATE _sqlx_migrations SET checksum = 'x' WHERE version = 1").await;
    let error = refusal(&config).await;
    assert!(matches!(error, StoreError::MigrationAltered { version: 1 }), "{error:?}");
    outside.execute("UPDATE _sqlx_migrations SET success = FALSE WHERE version = 1").await;
    let error = refusal(&config).await;
    assert!(matches!(error, StoreError::HalfMigrated { version: 1 }), "{error:?}");
    let error = migrate(&config).await.unwrap_err();
    assert!(matches!(error, StoreError::HalfMigrated { version: 1 }), "{error:?}");
    drop(outside);
    drop_database(&admin_url, &name).await;
}
