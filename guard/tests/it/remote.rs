//! Keys that are fetched from the issuer: RFC 8414 §3.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use signet_guard::{AccessTokenClaims, KeySource, Reason, Refusal, RemoteKeys, Verifier};

use crate::api::{answer, assert_problem, bearer};
use crate::forge::{claims, clock, foreign_key, header, jwk, key, sign};
use crate::issuer::until;
use crate::site::{JWKS, METADATA, Page, Site};

const NEVER_AGAIN: Duration = Duration::from_secs(3600);

pub(crate) fn verifier_with(keys: RemoteKeys) -> Verifier {
    let issuer = keys.issuer().to_owned();
    Verifier::builder(&issuer, &issuer, KeySource::Remote(keys)).clock(clock()).build().unwrap()
}

fn verifier(issuer: &str, cool_down: Duration) -> Verifier {
    verifier_with(RemoteKeys::new(issuer).unwrap().cool_down(cool_down))
}

pub(crate) fn token(issuer: &str, kid: &str) -> String {
    let (mut header, mut claims) = (header(), claims());
    header["kid"] = json!(kid);
    claims["iss"] = json!(issuer);
    claims["aud"] = json!(issuer);
    let key = if kid == "k2" { foreign_key() } else { key() };
    sign(key, header.to_string(), claims.to_string())
}

pub(crate) fn published() -> [Value; 1] {
    [jwk(key(), "k1")]
}

pub(crate) type Verdict = tokio::task::JoinHandle<Result<Arc<AccessTokenClaims>, Refusal>>;

pub(crate) fn start(verifier: &Verifier, token: String) -> Verdict {
    let verifier = verifier.clone();
    tokio::spawn(async move { verifier.verify(&token).await })
}

#[actix_web::test]
async fn the_issuers_url_is_all_it_takes() {
    let site = Site::with_keys(&published());
    let verifier = Verifier::for_issuer(site.url()).unwrap();
    assert_eq!(site.total(), 0, "nothing is fetched before it is needed");
    let mut live = claims();
    let now = signet_guard::Clock::System.now().as_seconds();
    for (name, value) in [
        ("iss", json!(site.url())),
        ("aud", json!(site.url())),
        ("iat", json!(now)),
        ("exp", json!(now + 60)),
    ] {
        live[name] = value;
    }
    let token = sign(key(), header().to_string(), live.to_string());
    for _ in 0..3 {
        assert_eq!(answer(&verifier, bearer("/me", &token)).await.status, 200);
    }
    assert_eq!((site.count(METADATA), site.count(JWKS)), (1, 1));
}

#[actix_web::test]
async fn a099_one_fetch_serves_all_who_wait_for_it() {
    let site = Site::with_keys(&published());
    let verifier = verifier(site.url(), NEVER_AGAIN);
    site.shut();
    let waiting: Vec<_> = (0..50).map(|_| start(&verifier, token(site.url(), "k1"))).collect();
    until("the fetch", || site.total() > 0).await;
    // Who started the fetch may hang up; the others still get their answer from it.
    waiting[0].abort();
    assert!(waiting[1..].iter().all(|verdict| !verdict.is_finished()));
    site.open();
    let mut accepted = 0;
    for verdict in waiting {
        match verdict.await {
            Ok(verdict) => accepted += usize::from(verdict.is_ok()),
            Err(error) => assert!(error.is_cancelled()),
        }
    }
    assert_eq!(accepted, 49);
    assert_eq!((site.count(METADATA), site.count(JWKS)), (1, 1));
}

#[actix_web::test]
async fn a099_unknown_keys_cause_one_fetch_per_cool_down() {
    let site = Site::with_keys(&published());
    let verifier = verifier(site.url(), NEVER_AGAIN);
    for index in 0..200 {
        let refusal = verifier.verify(&token(site.url(), &format!("random-{index}"))).await.unwrap_err();
        assert_eq!(refusal.reason(), Reason::UnknownKey);
    }
    assert!(verifier.verify(&token(site.url(), "k1")).await.is_ok());
    assert_eq!(site.count(JWKS), 1);
}

#[actix_web::test]
async fn a099_a_known_key_never_waits_for_a_fetch() {
    let site = Site::with_keys(&published());
    let verifier = verifier(site.url(), Duration::ZERO);
    assert!(verifier.verify(&token(site.url(), "k1")).await.is_ok());
    site.shut();
    let waiting = start(&verifier, token(site.url(), "k2"));
    until("the second fetch", || site.count(METADATA) == 2).await;
    assert!(verifier.verify(&token(site.url(), "k1")).await.is_ok());
    assert!(!waiting.is_finished());
    site.put_keys(&[jwk(key(), "k1"), jwk(foreign_key(), "k2")]);
    site.open();
    assert!(waiting.await.unwrap().is_ok(), "a key published meanwhile is found");
}

#[actix_web::test]
async fn a100_before_there_are_keys_the_answer_is_503_and_soon_after_all_is_well() {
    let site = Site::start();
    let verifier = verifier(site.url(), Duration::ZERO);
    let token = token(site.url(), "k1");
    let refused = answer(&verifier, bearer("/me", &token)).await;
    assert_eq!((refused.status, refused.challenge.as_deref()), (503, None));
    assert_eq!(refused.retry_after.as_deref(), Some("1"));
    assert_problem(
        &refused,
        "Service Unavailable",
        "Access tokens cannot be checked at the moment. Try again in a second.",
    );
    // A token that no key could save is still told so.
    assert_eq!(answer(&verifier, bearer("/me", "x")).await.status, 401);
    site.put(METADATA, site.metadata(site.url(), &format!("{}{JWKS}", site.url())));
    site.put_keys(&published());
    loop {
        let answer = answer(&verifier, bearer("/me", &token)).await;
        if answer.status == 200 {
            break;
        }
        assert_eq!(answer.status, 503);
    }
}

#[actix_web::test]
async fn a100_a_dead_issuer_is_503_and_asked_at_most_twice_a_second() {
    let site = Site::start();
    let keys = KeySource::remote(site.url()).unwrap();
    let verifier = Verifier::builder(site.url(), site.url(), keys).clock(clock()).build().unwrap();
    let began = Instant::now();
    for _ in 0..50 {
        let refusal = verifier.verify(&token(site.url(), "k1")).await.unwrap_err();
        assert_eq!((refusal.status(), refusal.reason()), (503, Reason::KeysUnavailable));
    }
    let allowed = 1 + began.elapsed().as_millis() / 500;
    assert!(site.count(METADATA) as u128 <= allowed, "{} fetches", site.count(METADATA));
}

#[actix_web::test]
async fn a100_what_is_no_honest_answer_brings_no_keys() {
    let site = Site::with_keys(&published());
    let jwks = format!("{}{JWKS}", site.url());
    let good_keys = || Page::ok(json!({ "keys": published() }).to_string());
    site.put("/elsewhere", site.metadata(site.url(), &jwks));
    site.put("/other-keys", good_keys());
    let mut endless = json!({ "keys": published() }).to_string();
    endless.push_str(&" ".repeat(256 * 1024));
    let mut endless_metadata = site.metadata(site.url(), &jwks);
    endless_metadata.body.resize(256 * 1024 + 1, b' ');
    let faults = [
        (METADATA, endless_metadata),
        (METADATA, Page::redirect("/elsewhere")),
        (METADATA, Page::redirect(&format!("{}/elsewhere", site.url()))),
        (METADATA, Page::status(404)),
        (METADATA, Page::status(500)),
        (METADATA, Page { status: 201, ..site.metadata(site.url(), &jwks) }),
        (METADATA, Page::ok("<html>")),
        (METADATA, Page::ok("{}")),
        (METADATA, site.metadata("https://evil.example", &jwks)),
        (METADATA, site.metadata(&format!("{}/", site.url()), &jwks)),
        (METADATA, site.metadata(site.url(), "https://evil.example/jwks")),
        (METADATA, site.metadata(site.url(), "http://127.0.0.1:1/jwks")),
        (METADATA, site.metadata(site.url(), JWKS)),
        (METADATA, site.metadata(site.url(), "file:///etc/passwd")),
        (JWKS, Page::redirect("/other-keys")),
        (JWKS, Page::status(503)),
        (JWKS, Page::ok("not json")),
        (JWKS, Page::ok("{\"keys\":[]}")),
        (JWKS, Page::ok(endless)),
        (JWKS, Page::ok(vec![b' '; 10 << 20])),
        (
            JWKS,
            Page { headers: vec![("content-type", "Text/HTML; charset=utf-8".to_owned())], ..good_keys() },
        ),
        (JWKS, good_keys().with("content-type", "application/xhtml+xml")),
        (METADATA, site.metadata(site.url(), &jwks).with("content-type", "text/html")),
        (JWKS, Page { status: 304, ..good_keys() }),
    ];
    for (path, page) in faults {
        site.put(METADATA, site.metadata(site.url(), &jwks));
        site.put(JWKS, good_keys());
        let note = format!(
            "{path} {} {:?}",
            page.status,
            String::from_utf8_lossy(&page.body[..page.body.len().min(90)])
        );
        site.put(path, page);
        let verifier = verifier(site.url(), NEVER_AGAIN);
        let refusal = verifier.verify(&token(site.url(), "k1")).await.expect_err(&note);
        assert_eq!(refusal.reason(), Reason::KeysUnavailable, "{note}");
    }
    assert_eq!((site.count("/elsewhere"), site.count("/other-keys")), (0, 0), "a redirect was followed");
}

#[actix_web::test]
async fn a098_the_last_good_set_stays_when_a_fetch_fails_or_brings_nothing() {
    let site = Site::with_keys(&published());
    let verifier = verifier(site.url(), Duration::ZERO);
    assert!(verifier.verify(&token(site.url(), "k1")).await.is_ok());
    for page in [
        Page::status(500),
        Page::ok("{\"keys\":[]}"),
        Page::ok("{"),
        Page::ok("{\"keys\":[{\"kty\":\"EC\"}]}"),
    ] {
        site.put(JWKS, page);
        let fetches = site.count(JWKS);
        assert_eq!(verifier.verify(&token(site.url(), "k2")).await.unwrap_err().reason(), Reason::UnknownKey);
        assert_eq!(site.count(JWKS), fetches + 1);
        assert!(verifier.verify(&token(site.url(), "k1")).await.is_ok());
    }
}

#[actix_web::test]
async fn a_withdrawn_key_is_gone_with_the_next_fetch() {
    let site = Site::with_keys(&published());
    let verifier = verifier(site.url(), Duration::ZERO);
    assert!(verifier.verify(&token(site.url(), "k1")).await.is_ok());
    site.put_keys(&[jwk(foreign_key(), "k2")]);
    assert!(verifier.verify(&token(site.url(), "k2")).await.is_ok());
    assert_eq!(verifier.verify(&token(site.url(), "k1")).await.unwrap_err().reason(), Reason::UnknownKey);
}

#[actix_web::test]
async fn an_issuer_with_a_path_has_its_metadata_before_the_path() {
    let site = Site::start();
    let issuer = format!("{}/tenant", site.url());
    site.put(&format!("{METADATA}/tenant"), site.metadata(&issuer, &format!("{issuer}{JWKS}")));
    site.put("/tenant/jwks", Page::ok(json!({ "keys": published() }).to_string()));
    let verifier = verifier(&issuer, NEVER_AGAIN);
    assert!(verifier.verify(&token(&issuer, "k1")).await.is_ok());
}
