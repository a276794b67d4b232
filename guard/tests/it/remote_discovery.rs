//! Where an issuer's keys are found: RFC 8414, OpenID Connect Discovery 1.0, and hosts that the API allows.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use serde_json::json;
use signet_guard::{ConfigError, Reason, RemoteKeys};

use crate::forge::{foreign_key, jwk, key};
use crate::remote::{published, token, verifier_with};
use crate::site::{JWKS, METADATA, Page, Site};

const OPENID: &str = "/.well-known/openid-configuration";

fn keys(issuer: &str) -> RemoteKeys {
    RemoteKeys::new(issuer).unwrap().cool_down(Duration::from_secs(3600))
}

fn put_keys(site: &Site, path: &str) {
    site.put(path, Page::ok(json!({ "keys": published() }).to_string()));
}

#[actix_web::test]
async fn an_issuer_without_rfc_8414_is_found_by_openid_connect_discovery() {
    for absent in [
        Page::status(404),
        Page::status(400),
        Page::redirect("/login"),
        Page::ok("<html>an application that answers every path</html>").with("content-type", "text/html"),
    ] {
        let site = Site::start();
        for (issuer, path) in [
            (site.url().to_owned(), ""),
            (format!("{}/", site.url()), ""),
            (format!("{}/realms/a", site.url()), "/realms/a"),
            (format!("{}/realms/b/", site.url()), "/realms/b"),
        ] {
            site.put(&format!("{METADATA}{path}"), absent.clone());
            let metadata = site.metadata(&issuer, &format!("{}/certs", site.url()));
            site.put(&format!("{path}{OPENID}"), metadata);
            put_keys(&site, "/certs");
            let verifier = verifier_with(keys(&issuer));
            assert!(verifier.verify(&token(&issuer, "k1")).await.is_ok(), "{issuer}");
            assert_eq!(site.count("/login"), 0);
        }
    }
}

#[actix_web::test]
async fn a102_what_rfc_8414_says_is_not_asked_of_openid_connect_again() {
    let site = Site::start();
    let good = site.metadata(site.url(), &format!("{}{JWKS}", site.url()));
    site.put(OPENID, good);
    site.put_keys(&published());
    for bad in [
        site.metadata("https://evil.example", &format!("{}{JWKS}", site.url())),
        site.metadata(site.url(), "https://evil.example/jwks"),
        Page::status(500),
        Page::status(429),
        Page::ok("{}"),
    ] {
        site.put(METADATA, bad);
        let refusal = verifier_with(keys(site.url())).verify(&token(site.url(), "k1")).await.unwrap_err();
        assert_eq!(refusal.reason(), Reason::KeysUnavailable);
    }
    assert_eq!(site.count(OPENID), 0);
}

#[actix_web::test]
async fn an_issuer_that_ends_in_a_slash_is_another_than_one_without() {
    let site = Site::start();
    let (plain, slashed) = (site.url().to_owned(), format!("{}/", site.url()));
    site.put_keys(&published());
    let jwks = format!("{}{JWKS}", site.url());
    for (asked, named, is_right) in
        [(&slashed, &slashed, true), (&slashed, &plain, false), (&plain, &slashed, false)]
    {
        for (path, other) in [(METADATA, OPENID), (OPENID, METADATA)] {
            site.put(path, site.metadata(named, &jwks));
            site.put(other, Page::status(404));
            let verifier = verifier_with(keys(asked));
            let outcome = verifier.verify(&token(asked, "k1")).await;
            assert_eq!(outcome.is_ok(), is_right, "{asked} {named} {path}");
            let report = verifier.keys().unwrap();
            assert_eq!(report.last_error, (!is_right).then_some("other-issuer"));
            if is_right {
                let refusal = verifier.verify(&token(&plain, "k1")).await.unwrap_err();
                assert_eq!(refusal.reason(), Reason::WrongIssuer);
            }
        }
    }
}

#[actix_web::test]
async fn a102_keys_on_another_host_are_fetched_only_where_the_api_said_so() {
    let (site, other) = (Site::start(), Site::start());
    put_keys(&other, "/certs");
    site.put(METADATA, site.metadata(site.url(), &format!("{}/certs", other.url())));
    let verifier = verifier_with(keys(site.url()));
    let refusal = verifier.verify(&token(site.url(), "k1")).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::KeysUnavailable);
    assert_eq!(verifier.keys().unwrap().last_error, Some("jwks-uri"));
    assert_eq!(other.total(), 0, "nothing was asked of it");
    let host = other.url().strip_prefix("http://").unwrap();
    let allowed = keys(site.url()).jwks_host("www.example.com").unwrap().jwks_host(host).unwrap();
    assert!(verifier_with(allowed).verify(&token(site.url(), "k1")).await.is_ok());
    // The other host vouches for keys, not for an address of its own.
    other.put("/certs", Page::redirect("/more"));
    let allowed = keys(site.url()).jwks_host(host).unwrap();
    assert!(verifier_with(allowed).verify(&token(site.url(), "k1")).await.is_err());
    assert_eq!(other.count("/more"), 0);
}

#[test]
fn a102_a_private_address_is_no_host_for_the_keys_of_a_public_issuer() {
    let keys = RemoteKeys::new("https://id.example.com").unwrap();
    for host in
        ["127.0.0.1", "localhost", "10.0.0.1:8443", "[::1]", "169.254.169.254", "", "https://x", "x/y"]
    {
        let error = keys.clone().jwks_host(host).unwrap_err();
        assert!(matches!(&error, ConfigError::JwksHost { host: named, .. } if named == host), "{error}");
    }
    assert!(keys.jwks_host("www.googleapis.com").is_ok());
}

#[actix_web::test]
async fn a101_two_issuers_that_call_their_keys_alike_are_kept_apart() {
    let (one, two) = (Site::with_keys(&[jwk(key(), "k1")]), Site::with_keys(&[jwk(foreign_key(), "k1")]));
    let (first, second) = (verifier_with(keys(one.url())), verifier_with(keys(two.url())));
    assert!(first.verify(&token(one.url(), "k1")).await.is_ok());
    let crossed = second.verify(&token(two.url(), "k1")).await.unwrap_err();
    assert_eq!(crossed.reason(), Reason::BadSignature, "signed by the key that the other publishes as k1");
    let foreign = second.verify(&token(one.url(), "k1")).await.unwrap_err();
    assert_eq!(foreign.reason(), Reason::BadSignature);
    let foreign = first.verify(&token(two.url(), "k1")).await.unwrap_err();
    assert_eq!(foreign.reason(), Reason::WrongIssuer);
    // One that is down takes nobody with it, and nobody's cool-down is another's.
    two.go_down();
    assert!(first.verify(&token(one.url(), "k1")).await.is_ok());
    assert_eq!((one.count(JWKS), two.count(JWKS)), (1, 1));
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn keys_are_fetched_without_any_runtime() {
    let site = Site::with_keys(&published());
    let verifier = verifier_with(keys(site.url()));
    let token = token(site.url(), "k1");
    let mut outcome = std::pin::pin!(verifier.verify(&token));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let outcome = loop {
        match outcome.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => break outcome,
            Poll::Pending => thread::park(),
        }
    };
    assert!(outcome.is_ok());
}
