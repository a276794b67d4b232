//! The migrations of both engines, and what a database says about those it has had.
//!
//! Migrations only add, so that in a cluster old code runs on a database that is one step ahead.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType};

use super::error::StoreError;

/// Number, name, and the text for each engine.
type Embedded = (i64, &'static str, &'static str, &'static str);

macro_rules! migration {
    ($number:literal, $name:literal, $file:literal) => {
        (
            $number,
            $name,
            include_str!(concat!("../../migrations/sqlite/", $file)),
            include_str!(concat!("../../migrations/postgres/", $file)),
        )
    };
}

const MIGRATIONS: &[Embedded] = &[
    migration!(1, "accounts", "0001_accounts.sql"),
    migration!(2, "signing_keys", "0002_signing_keys.sql"),
    migration!(3, "throttles", "0003_throttles.sql"),
    migration!(4, "grants", "0004_grants.sql"),
    migration!(5, "audit", "0005_audit.sql"),
    migration!(6, "replicas", "0006_replicas.sql"),
    migration!(7, "key_rotation", "0007_key_rotation.sql"),
];

/// sqlx's own table, under its own name.
const TABLE: &str = "_sqlx_migrations";
pub(super) const APPLIED: &str = "SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version";

/// A migration the database has had: number, checksum, whether it went through.
pub(super) type Applied = (i64, Vec<u8>, bool);

/// What [`migrate`](super::migrate) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// How many migrations were applied.
    pub applied: usize,
    /// The number of the newest migration the database has.
    pub version: i64,
}

/// What to do about a database with migrations this binary does not know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Newer {
    /// A cluster is being upgraded: the others run new code already.
    Allowed,
    /// The one node was downgraded by mistake.
    Refused,
}

pub(super) fn for_sqlite() -> Vec<Migration> {
    migrations(|(_, _, sqlite, _)| sqlite)
}

pub(super) fn for_postgres() -> Vec<Migration> {
    migrations(|(_, _, _, postgres)| postgres)
}

fn migrations(text: fn(&Embedded) -> &&'static str) -> Vec<Migration> {
    let migration = |embedded: &Embedded| {
        let sql = (*text(embedded)).into_sql_str();
        Migration::new(embedded.0, embedded.1.into(), MigrationType::Simple, sql, false)
    };
    MIGRATIONS.iter().map(migration).collect()
}

/// Applies migrations, each in a transaction of its own; the caller holds a lock against others who do the same.
///
/// Not by sqlx's `Migrator`: its future cannot be sent to another thread.
pub(super) async fn apply<C: Migrate + Send>(
    connection: &mut C,
    missing: &[Migration],
) -> Result<(), StoreError> {
    connection.ensure_migrations_table(TABLE).await.map_err(sqlx::Error::from)?;
    for migration in missing {
        connection.apply(TABLE, migration).await.map_err(|error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error,
            other => other.into(),
        })?;
    }
    Ok(())
}

/// The newest migration of this binary.
fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.0)
}

/// The migrations the database lacks.
///
/// An unknown migration is allowed only when it is newer than all we know: one in between is another program's.
pub(super) fn missing(
    applied: &[Applied],
    mut known: Vec<Migration>,
    newer: Newer,
) -> Result<Vec<Migration>, StoreError> {
    if let Some((version, ..)) = applied.iter().find(|(_, _, success)| !success) {
        return Err(StoreError::HalfMigrated { version: *version });
    }
    for (version, checksum, _) in applied {
        match known.iter().find(|known| known.version == *version) {
            Some(known) if *known.checksum == **checksum => {}
            Some(_) => return Err(StoreError::MigrationAltered { version: *version }),
            None if *version > newest() && newer == Newer::Allowed => {}
            None => return Err(StoreError::TooNew { version: *version }),
        }
    }
    known.retain(|known| !applied.iter().any(|(version, ..)| *version == known.version));
    Ok(known)
}

/// What was done, given the migrations there are now.
pub(super) fn migrated(applied: usize, before: &[Applied]) -> Migrated {
    let version = before.iter().map(|(version, ..)| *version).max().unwrap_or(0).max(newest());
    Migrated { applied, version }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn applied(count: usize) -> Vec<Applied> {
        let migrations = for_sqlite().into_iter().take(count);
        migrations.map(|known| (known.version, known.checksum.to_vec(), true)).collect()
    }

    fn missing_count(applied: &[Applied], newer: Newer) -> Result<usize, StoreError> {
        missing(applied, for_sqlite(), newer).map(|missing| missing.len())
    }

    #[test]
    fn both_folders_hold_the_listed_migrations_and_no_others() {
        for engine in ["sqlite", "postgres"] {
            let folder = format!("{}/migrations/{engine}", env!("CARGO_MANIFEST_DIR"));
            let mut files: Vec<_> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            let listed: Vec<_> =
                MIGRATIONS.iter().map(|(number, name, ..)| format!("{number:04}_{name}.sql")).collect();
            assert_eq!(files, listed, "{engine}");
        }
        let numbers: Vec<_> = MIGRATIONS.iter().map(|migration| migration.0).collect();
        assert_eq!(numbers, (1..=newest()).collect::<Vec<_>>(), "numbers leave no gap");
    }

    #[test]
    fn a_database_is_judged_by_its_migrations() {
        let all = MIGRATIONS.len();
        for count in 0..=all {
            assert_eq!(missing_count(&applied(count), Newer::Refused).unwrap(), all - count);
        }

        let mut half = applied(all);
        half[0].2 = false;
        assert!(matches!(missing_count(&half, Newer::Allowed), Err(StoreError::HalfMigrated { version: 1 })));

        let mut altered = applied(all);
        altered[1].1[0] ^= 1;
        let outcome = missing_count(&altered, Newer::Allowed);
        assert!(matches!(outcome, Err(StoreError::MigrationAltered { version: 2 })));

        let mut newer = applied(all);
        newer.push((newest() + 1, vec![0], true));
        assert_eq!(missing_count(&newer, Newer::Allowed).unwrap(), 0);
        assert!(matches!(missing_count(&newer, Newer::Refused), Err(StoreError::TooNew { .. })));

        let strange = [(0, vec![0], true)];
        let outcome = missing_count(&strange, Newer::Allowed);
        assert!(matches!(outcome, Err(StoreError::TooNew { version: 0 })));
    }
}
