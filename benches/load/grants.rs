//! Grants by the thousand or the million, put into the database in one statement.

use sqlx::{Executor as _, SqliteConnection};

use super::server::Signet;

/// A user has so many.
const GRANTS_OF_A_USER: i64 = 4;

/// Ids as random as real ones in their order, but the same in every run.
const USERS: &str = "INSERT INTO users (id, email, credential_version, created_at) \
    WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1) \
    SELECT printf('%08x-0000-4000-8000-%012x', (i * 2654435761) % 4294967296, i), 'many' || i || '@example.com', 0, 0 \
    FROM n";

/// As the one grant of a real sign-in, with other names and another secret.
const GRANTS: &str = "INSERT INTO grants (id, session_id, user_id, client_id, scope, seed, root_key_id, generation, \
    rotated_at, created_at, authenticated_at, idle_until, expires_at, bit_until, last_address, last_user_agent) \
    WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1) \
    SELECT randomblob(16), substr(hex(randomblob(11)), 2) || 'A', \
           printf('%08x-0000-4000-8000-%012x', ((i % $2) * 2654435761) % 4294967296, i % $2), \
           one.client_id, one.scope, randomblob(32), one.root_key_id, 0, one.rotated_at, one.created_at, \
           one.authenticated_at, one.idle_until, one.expires_at, one.bit_until, one.last_address, \
           one.last_user_agent \
    FROM n, (SELECT * FROM grants LIMIT 1) AS one";

/// Adds so many to a database that has one grant of a real sign-in. Answers what each takes of the file, in bytes.
pub fn add(signet: &Signet, count: i64) -> f64 {
    let mut outside = signet.outside();
    signet.block_on(async {
        let users = (count / GRANTS_OF_A_USER).max(1);
        sqlx::query(USERS).bind(users).execute(&mut outside).await.unwrap();
        let before = size(&mut outside).await;
        sqlx::query(GRANTS).bind(count).bind(users).execute(&mut outside).await.unwrap();
        let after = size(&mut outside).await;
        (after - before) as f64 / count as f64
    })
}

/// Bytes of the database, once the write-ahead log is part of it.
async fn size(outside: &mut SqliteConnection) -> i64 {
    outside.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
    let (pages,): (i64,) = sqlx::query_as("PRAGMA page_count").fetch_one(&mut *outside).await.unwrap();
    let (page,): (i64,) = sqlx::query_as("PRAGMA page_size").fetch_one(&mut *outside).await.unwrap();
    pages * page
}
