//! Revocation as others see it: status lists, the poll for changes, and the removal of what is over.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use miniz_oxide::inflate::decompress_to_vec_zlib;
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use signet::account::UserId;
use signet::caller::Caller;
use signet::config::{Config, RootKeySource};
use signet::flow::status;
use signet::grant::{Grant, GrantId, Revocation, Seed, Serial, SessionId};
use signet::store::Db;
use signet_guard::{Scope, Timestamp};

use crate::helpers::app::{NOW, TestApp, json_of};
use crate::helpers::db::TestDatabase;

mod lists;
mod own_routes;
mod polls;
mod replicas;
mod sweep;
mod together;
mod two_sweeps;
mod without_the_sweep;

/// How long something that must happen by itself may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long access tokens of a new grant may be alive.
const BIT: i64 = 900;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW + seconds)
}

/// A grant given at [`NOW`], for two weeks unless it is used.
fn grant() -> Grant {
    Grant {
        serial: Serial::from_number(0),
        id: GrantId::random(),
        session: SessionId::random(),
        user: UserId::parse("6e8f2f0a-6f0e-4f5b-9a53-8d7e1f0a2b3c").unwrap(),
        client_id: "first-party".to_owned(),
        scope: Scope::parse("signet:account").unwrap(),
        seed: Seed::random(),
        root_key_id: "1-00000000".to_owned(),
        generation: 0,
        rotated_at: at(0),
        created_at: at(0),
        authenticated_at: at(0),
        idle_until: at(14 * 86_400),
        expires_at: at(90 * 86_400),
        revoked_at: None,
        bit_until: at(BIT),
        last_caller: Caller::default(),
    }
}

async fn insert(db: &Db, grants: Vec<Grant>) -> Vec<Serial> {
    let unit = db.write(grants, |tx, grants| {
        Box::pin(async move {
            let mut serials = Vec::new();
            for grant in grants {
                serials.push(tx.insert_grant(grant).await?);
            }
            Ok(serials)
        })
    });
    unit.await.unwrap()
}

async fn revoke(db: &Db, id: GrantId) {
    let unit = db.write(id, |tx, id| Box::pin(tx.revoke_grant(id, Revocation::Logout, at(0))));
    assert!(unit.await.unwrap());
}

/// A replica on that database: all replicas of one have the same root key.
async fn replica(database: &TestDatabase, keys: &std::path::Path) -> TestApp {
    TestApp::spawn_with(|config: &mut Config| {
        config.database = database.config.clone();
        config.keys.root_key = RootKeySource::File(keys.join("root.key"));
    })
    .await
}

async fn count(database: &TestDatabase) -> i64 {
    database.outside().await.number("SELECT count(*) FROM grants").await
}

async fn version(db: &Db) -> i64 {
    db.read((), |tx, ()| Box::pin(tx.status_state())).await.unwrap().version
}

/// A list: its headers, its token, and what the token says once it was verified with the published keys.
struct Fetched {
    headers: HeaderMap,
    token: String,
    header: Value,
    claims: Value,
}

impl Fetched {
    /// The entries that are 1.
    fn revoked(&self) -> Vec<u64> {
        let list = self.claims["status_list"]["lst"].as_str().unwrap();
        let bytes = decompress_to_vec_zlib(&URL_SAFE_NO_PAD.decode(list).unwrap()).unwrap();
        assert_eq!(bytes.len(), 8192);
        (0..65_536)
            .filter(|index| bytes[index / 8] >> (index % 8) & 1 == 1)
            .map(|index| index as u64)
            .collect()
    }

    fn etag(&self) -> &str {
        self.headers["etag"].to_str().unwrap()
    }
}

async fn fetch(app: &TestApp, list: i64) -> Fetched {
    let answer = app.get(&format!("/status/{list}")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let headers = answer.headers().clone();
    let token = answer.text().await.unwrap();
    let keys: JwkSet = app.get("/.well-known/jwks.json").await.json().await.unwrap();
    let header = jsonwebtoken::decode_header(&token).unwrap();
    let key = DecodingKey::from_jwk(keys.find(header.kid.as_ref().unwrap()).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    // By the machine's clock, which is not the test's.
    validation.validate_exp = false;
    let claims = decode::<Value>(&token, &key, &validation).unwrap().claims;
    Fetched { headers, header: crate::helpers::app::header_of(&token), token, claims }
}

/// `GET /status`, with a preference for waiting.
async fn poll(app: &TestApp, query: &str, wait: Option<&str>) -> Response {
    let request = app.request(reqwest::Method::GET, &format!("/status{query}"));
    let request = wait.into_iter().fold(request, |request, wait| request.header("prefer", wait));
    request.send().await.unwrap()
}

/// Asks again and again until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await; // poll:
    }
    started.elapsed()
}

async fn refresh(app: &TestApp) {
    status::run_once(&app.app).await;
}

async fn version_told(app: &TestApp) -> i64 {
    json_of(poll(app, "", None).await).await["version"].as_i64().unwrap()
}
