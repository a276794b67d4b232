//! A year of rotations, and verifiers that keep every set for as long as they may.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::CACHE_CONTROL;
use signet::flow::key_rotation;
use signet::rotation::{GUARD_REFRESH, KeyStatus, PUBLISHED_UNREAD};
use signet_guard::{KeySet, KeySource, SharedKeys, Timestamp, Verifier};

use super::{keys, kids, settle};
use crate::helpers::app::{NOW, PASSWORD, TestApp, header_of, json_of};
use crate::helpers::db::connect;

const DAY: Duration = Duration::from_secs(86_400);

/// A guard that asks for a new set at the last moment.
struct Lazy {
    keys: SharedKeys,
    verifier: Verifier,
    until: i64,
}

impl Lazy {
    fn new(app: &TestApp) -> Self {
        let keys = SharedKeys::new(KeySet::default());
        let config = &app.app.config;
        let source = KeySource::shared(keys.clone());
        let verifier = Verifier::builder(config.issuer.as_str(), &config.tokens.audience, source)
            .clock(app.clock.clone())
            .build()
            .unwrap();
        Self { keys, verifier, until: i64::MIN }
    }

    /// Fetches the set when it may be kept no longer, be it as late as allowed.
    async fn refresh(&mut self, from: &TestApp, now: i64) {
        if now < self.until {
            return;
        }
        let answer = from.get("/.well-known/jwks.json").await;
        let caching = answer.headers()[CACHE_CONTROL].to_str().unwrap().to_owned();
        let max_age: i64 = caching.strip_prefix("public, max-age=").unwrap().parse().unwrap();
        self.keys.replace(KeySet::from_json(&answer.bytes().await.unwrap()).unwrap());
        self.until = now + max_age + i64::try_from(GUARD_REFRESH.as_secs()).unwrap();
    }
}

/// One server does what is due. Another publishes what it knew ten minutes ago, which is as long as it may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a077_over_a_year_of_rotations_no_guard_refuses_a_good_token() {
    let mut app = TestApp::spawn_with(|config| config.keys.rotate_every = 30 * DAY).await;
    app.stop_background().await;
    let mut behind = app.replica(|config| config.keys.rotate_every = 30 * DAY).await;
    behind.stop_background().await;
    app.register("ann@example.com").await;
    let mut guards: Vec<Lazy> = (0..4).map(|_| Lazy::new(&app)).collect();
    let (mut behind_since, mut verified, mut signers) = (NOW, 0, Vec::new());
    let mut live: Vec<(i64, String)> = Vec::new();
    let mut now = NOW;
    while now < NOW + 366 * 86_400 {
        app.clock.set(Timestamp::from_seconds(now));
        behind.clock.set(Timestamp::from_seconds(now));
        settle(&app).await;
        if now - behind_since >= i64::try_from(PUBLISHED_UNREAD.as_secs()).unwrap() {
            key_rotation::follow(&behind.app).await.unwrap();
            behind_since = now;
        }
        let answer = json_of(app.login("ann@example.com", PASSWORD).await).await;
        let token = answer["access_token"].as_str().unwrap().to_owned();
        let kid = header_of(&token)["kid"].as_str().unwrap().to_owned();
        if signers.last() != Some(&kid) {
            signers.push(kid);
        }
        live.retain(|(expires, _)| now < *expires);
        live.push((now + 600, token));
        for (number, guard) in guards.iter_mut().enumerate() {
            guard.refresh(if number % 2 == 0 { &app } else { &behind }, now).await;
            for (_, token) in &live {
                guard.verifier.verify(token).await.unwrap_or_else(|refusal| panic!("{now}: {refusal:?}"));
                verified += 1;
            }
        }
        assert_eq!(kids(&app, KeyStatus::Active).await.len(), 1);
        now = next_moment(&app, now).await;
    }
    eprintln!("{verified} verified, {} keys signed", signers.len());
    assert_eq!(signers.len(), 13, "a rotation every 30 days");
    let rows = keys(&app).await;
    for row in rows.iter().filter(|row| row.status == KeyStatus::Retired) {
        assert!(row.sealed.is_empty() && row.withdrawn_at.is_none(), "its private part is gone");
    }
    let mut outside = connect(&app.app.config.database).await;
    for (event, count) in [("key.rotated", 12), ("key.created", 12), ("key.retired", 12), ("key.revoked", 0)]
    {
        let sql = format!("SELECT count(*) FROM audit WHERE event = '{event}' AND actor = 'signet'");
        assert_eq!(outside.number(&sql).await, count, "{event}");
    }
    assert_eq!(behind.get("/health/ready").await.status(), StatusCode::OK);
}

/// Often where a key begins to sign or leaves the set; otherwise the next such hour.
async fn next_moment(app: &TestApp, now: i64) -> i64 {
    let rows = keys(app).await;
    let changes = rows.iter().flat_map(|row| [row.activated_at, row.retiring_at]).flatten();
    let last = changes.map(Timestamp::as_seconds).max().unwrap();
    let next = last + 30 * 86_400;
    let is_near = now < last + 1_800 || now >= next - 1_800;
    if is_near { now + 97 } else { (next - 1_800).max(now + 97) }
}
