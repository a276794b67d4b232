//! The copy of the keys on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use signet_guard::{Clock, Reason, RemoteKeys, Timestamp};

use crate::forge::{jwk, key};
use crate::issuer::until;
use crate::remote::{published, token, verifier_with};
use crate::site::{JWKS, Page, Site};

const NOW: i64 = 1_700_000_000;

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("keys.json")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn keys(site: &Site, file: &Path) -> (RemoteKeys, Clock) {
    let clock = Clock::fixed(Timestamp::from_seconds(NOW));
    (RemoteKeys::new(site.url()).unwrap().clock(clock.clone()).cache_file(file), clock)
}

fn written(file: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// What the file of a past life would hold, confirmed so many seconds ago.
fn copy(site: &Site, ago: i64) -> Value {
    json!({ "issuer": site.url(), "confirmed_at": NOW - ago, "keys": published() })
}

#[actix_web::test]
async fn a100_an_api_that_restarts_while_its_issuer_is_away_still_knows_the_keys() {
    let (site, folder) = (Site::with_keys(&published()), Folder::new("restart"));
    let (first, clock) = keys(&site, &folder.file());
    assert!(verifier_with(first.clone()).verify(&token(site.url(), "k1")).await.is_ok());
    until("the copy", || written(&folder.file()).is_some()).await;
    assert_eq!(written(&folder.file()).unwrap(), copy(&site, 0));
    // Each time the issuer confirms the set, the copy says so, also when nothing else has changed.
    let page = Page::ok(json!({ "keys": published() }).to_string());
    site.put(JWKS, page.with("etag", "\"v1\""));
    for times in 1..=2 {
        clock.advance(Duration::from_secs(300));
        until("a newer copy", || written(&folder.file()) == Some(copy(&site, -300 * times))).await;
    }
    assert_eq!(first.report().not_modified, 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(folder.file()).unwrap().permissions().mode() & 0o7777, 0o600);
    }
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "nothing is left over");
    drop(first);

    site.go_down();
    let (second, clock) = keys(&site, &folder.file());
    clock.advance(Duration::from_secs(3600));
    let verifier = verifier_with(second.clone());
    assert!(verifier.verify(&token(site.url(), "k1")).await.is_ok());
    let report = second.report();
    assert_eq!((report.keys, report.is_confirmed), (1, false));
    assert!(report.age.unwrap() >= Duration::from_secs(3000), "{report:?}");
    // The issuer may have made a key since: until it is heard, nobody can say that there is none.
    let refusal = verifier.verify(&token(site.url(), "k2")).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::KeysUnavailable);
    site.come_up();
    until("the issuer", || second.report().is_confirmed).await;
    let refusal = verifier.verify(&token(site.url(), "k2")).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::UnknownKey);
    // In the end it is too old as well.
    site.go_down();
    clock.advance(Duration::from_secs(24 * 3600 + 60));
    let refusal = verifier.verify(&token(site.url(), "k1")).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::KeysUnavailable);
}

#[actix_web::test]
async fn a101_a_copy_that_cannot_be_trusted_is_not_used() {
    let (site, folder) = (Site::with_keys(&published()), Folder::new("untrusted"));
    site.go_down();
    let file = folder.file();
    let with = |name: &str, value: Value| {
        let mut copy = copy(&site, 60);
        copy[name] = value;
        copy.to_string()
    };
    let large = format!("{}{}", copy(&site, 60), " ".repeat(256 * 1024));
    for (text, is_good) in [
        (copy(&site, 60).to_string(), true),
        (copy(&site, 24 * 3600 - 60).to_string(), true),
        (copy(&site, 24 * 3600).to_string(), false),
        (copy(&site, -59).to_string(), true),
        (copy(&site, -3600).to_string(), false),
        (with("confirmed_at", json!(i64::MIN)), false),
        (with("confirmed_at", json!(i64::MAX)), false),
        (with("confirmed_at", json!("now")), false),
        (with("issuer", json!("https://evil.example")), false),
        (with("issuer", json!(format!("{}/", site.url()))), false),
        (with("keys", json!([])), false),
        (with("keys", json!([{ "kty": "RSA", "kid": "k1" }])), false),
        (with("keys", json!(["k1"])), false),
        (copy(&site, 60).to_string()[1..].to_owned(), false),
        (String::new(), false),
        ("[]".to_owned(), false),
        (large, false),
    ] {
        fs::write(&file, &text).unwrap();
        close(&file, 0o600);
        let outcome = verifier_with(keys(&site, &file).0).verify(&token(site.url(), "k1")).await;
        assert_eq!(outcome.is_ok(), is_good, "{text:.90}");
        assert!(is_good || outcome.unwrap_err().reason() == Reason::KeysUnavailable);
        assert_eq!(fs::read(&file).unwrap(), text.as_bytes(), "it is left as it is");
    }
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(verifier_with(keys(&site, &file).0).verify(&token(site.url(), "k1")).await.is_err());
}

#[cfg(unix)]
fn close(file: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn close(_: &Path, _: u32) {}

#[cfg(unix)]
#[actix_web::test]
async fn a101_a_copy_that_others_can_write_is_not_used() {
    let (site, folder) = (Site::with_keys(&published()), Folder::new("writable"));
    site.go_down();
    let file = folder.file();
    fs::write(&file, copy(&site, 60).to_string()).unwrap();
    for (mode, is_good) in
        [(0o600, true), (0o644, true), (0o400, true), (0o620, false), (0o602, false), (0o666, false)]
    {
        close(&file, mode);
        let outcome = verifier_with(keys(&site, &file).0).verify(&token(site.url(), "k1")).await;
        assert_eq!(outcome.is_ok(), is_good, "{mode:o}");
    }
    close(&file, 0o600);
    // Only root can give it away; elsewhere there is nothing to try.
    if std::os::unix::fs::chown(&file, Some(65_534), None).is_ok() {
        let outcome = verifier_with(keys(&site, &file).0).verify(&token(site.url(), "k1")).await;
        assert!(outcome.is_err(), "it belongs to somebody else");
    }
}

#[actix_web::test]
async fn a098_a_private_key_that_was_published_by_mistake_does_not_get_to_the_disk() {
    let (site, folder) = (Site::start(), Folder::new("private"));
    let site = {
        let mut private = jwk(key(), "oops");
        private["d"] = json!("c2VjcmV0");
        let mut decorated = jwk(key(), "k1");
        decorated["x5c"] = json!(["AA=="]);
        site.put(crate::site::METADATA, site.metadata(site.url(), &format!("{}{JWKS}", site.url())));
        site.put_keys(&[private, decorated, json!({ "kty": "oct", "kid": "o", "k": "c2VjcmV0" }), json!(7)]);
        site
    };
    let (keys, _) = keys(&site, &folder.file());
    assert!(verifier_with(keys).verify(&token(site.url(), "k1")).await.is_ok());
    until("the copy", || written(&folder.file()).is_some()).await;
    assert_eq!(written(&folder.file()).unwrap(), copy(&site, 0));
}

#[actix_web::test]
async fn a_copy_that_cannot_be_written_costs_nothing_else() {
    let (site, folder) = (Site::with_keys(&published()), Folder::new("absent"));
    let (keys, _) = keys(&site, &folder.0.join("no/such/folder/keys.json"));
    assert!(verifier_with(keys).verify(&token(site.url(), "k1")).await.is_ok());
}
