//! What revocation costs: the status lists of a million grants, and the grants themselves.
//!
//! `cargo bench --bench status`. `GRANTS` changes how many; one in a thousand is revoked, wherever it lies. Times are CPU
//! time, but for that of writing the rows.

#![allow(clippy::unwrap_used, reason = "a benchmark may stop at the first surprise")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use miniz_oxide::deflate::compress_to_vec_zlib;
use rand::seq::IteratorRandom as _;
use rustix::time::{ClockId, clock_gettime};
use signet::account::UserId;
use signet::app::App;
use signet::caller::{Caller, UserAgent};
use signet::config::{Config, ConfigSource};
use signet::flow::{signing_keys, status, sweep};
use signet::grant::{Grant, GrantId, Revocation, Seed, Serial, SessionId};
use signet_guard::{Clock, Scope, Timestamp};

const NOW: i64 = 1_767_225_600;
/// Rows written in one unit.
const AT_ONCE: usize = 2000;

#[tokio::main]
async fn main() {
    let many: usize = std::env::var("GRANTS").ok().and_then(|it| it.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signet.toml");
    std::fs::write(&file, "").unwrap();
    let database = folder.path().join("signet.db");
    let env = vec![
        ("SIGNET_DATABASE_URL".to_owned(), format!("sqlite://{}", database.display())),
        ("SIGNET_KEYS_DIR".to_owned(), folder.path().join("keys").display().to_string()),
    ];
    let config = Config::load(&ConfigSource { file: Some(file), env }).unwrap();
    let clock = Clock::fixed(Timestamp::from_seconds(NOW));
    let app = App::build(config, clock.clone()).await.unwrap();
    signing_keys::load_or_create(&app).await.unwrap();
    // No task reads the keys again here.
    app.keyring.note_read(std::time::Instant::now() + std::time::Duration::from_secs(86_400));

    let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |it| it.len());
    let empty = size(&database);
    let ids = insert(&app, many).await;
    app.db.close().await;
    let bytes = size(&database) - empty;
    println!("{many} grants: {} bytes of SQLite each", bytes / many as u64);

    let (config, clock) = (app.config, Clock::fixed(Timestamp::from_seconds(NOW)));
    let app = App::build(config, clock.clone()).await.unwrap();
    signing_keys::load_or_create(&app).await.unwrap();
    // No task reads the keys again here.
    app.keyring.note_read(std::time::Instant::now() + std::time::Duration::from_secs(86_400));
    revoke(&app, &ids).await;
    let (loaded, ()) = timed(async { status::load(&app).await.unwrap() }).await;
    println!("read at a start                 {:>9.1?}", loaded);
    lists(&app).await;
    let (walked, swept) = timed(async { sweep::turn(&app).await.unwrap() }).await;
    println!("a turn of the sweep, nothing over {:>7.1?} {swept:?}", walked);
}

/// In CPU time of all threads, because a list is signed on another, and neighbours on the machine would count too.
async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let started = cpu_time();
    let outcome = work.await;
    (cpu_time().saturating_sub(started), outcome)
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap())
}

/// Grants as sign-ins make them, with the address and user agent of a browser.
fn grant(number: usize) -> Grant {
    let at = |seconds| Timestamp::from_seconds(NOW + seconds);
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
    Grant {
        serial: Serial::from_number(0),
        id: GrantId::random(),
        session: SessionId::random(),
        // Three sessions to an account.
        user: UserId::parse(&format!("6e8f2f0a-6f0e-4f5b-9a53-{:012x}", number / 3)).unwrap(),
        client_id: "first-party".to_owned(),
        scope: Scope::parse("signet:account").unwrap(),
        seed: Seed::random(),
        root_key_id: "1-9f3a0c12".to_owned(),
        generation: 0,
        rotated_at: at(0),
        created_at: at(0),
        authenticated_at: at(0),
        idle_until: at(14 * 86_400),
        expires_at: at(90 * 86_400),
        revoked_at: None,
        bit_until: at(900),
        last_caller: Caller {
            address: Some("203.0.113.195".parse().unwrap()),
            user_agent: UserAgent::parse(agent.as_bytes()),
            request_id: None,
        },
    }
}

async fn insert(app: &App, many: usize) -> Vec<GrantId> {
    let mut ids = Vec::with_capacity(many);
    let started = Instant::now();
    while ids.len() < many {
        let grants: Vec<_> = (ids.len()..many.min(ids.len() + AT_ONCE)).map(grant).collect();
        ids.extend(grants.iter().map(|grant| grant.id));
        let unit = app.db.write(grants, |tx, grants| {
            Box::pin(async move {
                for grant in grants {
                    tx.insert_grant(grant).await?;
                }
                Ok(())
            })
        });
        unit.await.unwrap();
    }
    println!("{many} rows in {:.0?}", started.elapsed());
    ids
}

async fn revoke(app: &App, ids: &[GrantId]) {
    for id in ids.iter().copied().sample(&mut rand::rng(), ids.len() / 1000) {
        let unit = app.db.write(id, |tx, id| {
            Box::pin(tx.revoke_grant(id, Revocation::Logout, Timestamp::from_seconds(NOW)))
        });
        assert!(unit.await.unwrap());
    }
}

/// Each list once, as its first reader gets it: compressed and signed.
async fn lists(app: &App) {
    let mut rows = BTreeMap::new();
    let mut number = 0;
    while let Some(found) = status::find(app, number, None).await.unwrap() {
        let (took, signed) = timed(async { status::token(app, found).await.unwrap() }).await;
        rows.insert(number, (took, signed.token.len(), signed.token));
        number += 1;
    }
    // One beyond the last is answered, and empty.
    let (_, (empty, empty_bytes, _)) = rows.pop_last().unwrap();
    let many = u32::try_from(rows.len()).unwrap();
    let total: Duration = rows.values().map(|row| row.0).sum();
    let bytes: usize = rows.values().map(|row| row.1).sum();
    println!("{many} lists: {bytes} bytes on the wire, built and signed one after the other in {total:.1?}");
    println!(
        "  each {} bytes, {:.2?}; an empty one {empty_bytes} bytes, {empty:.2?}",
        bytes / rows.len(),
        total / many
    );

    let payload = |token: &str| URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let bits: Vec<Vec<u8>> = rows
        .values()
        .map(|(_, _, token)| {
            let claims: serde_json::Value = serde_json::from_slice(&payload(token)).unwrap();
            let list = URL_SAFE_NO_PAD.decode(claims["status_list"]["lst"].as_str().unwrap()).unwrap();
            miniz_oxide::inflate::decompress_to_vec_zlib(&list).unwrap()
        })
        .collect();
    for level in [1, 6, 9, 10] {
        let started = cpu_time();
        let bytes: usize = bits.iter().map(|bits| compress_to_vec_zlib(bits, level).len()).sum();
        println!(
            "  zlib level {level:>2}: {} bytes each, {:.1?}",
            bytes / bits.len(),
            (cpu_time() - started) / many
        );
    }
}
