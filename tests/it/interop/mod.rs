//! Verifiers of other people's making, in the languages that APIs are written in: `tests/interop` holds them, and
//! `scripts/interop` builds them and runs this.

mod bad_tokens;
mod verifier;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use signet::flow::key_rotation::{self, Rotated};
use signet::flow::signing_keys;
use signet::jose::{PrivateKey, PublishedKeys, SigningKey};
use signet::rotation::KeyStatus;
use signet_guard::{Algorithm, Clock};

use self::bad_tokens::bad_tokens;
use self::verifier::{PATIENCE, verifiers, verifiers_for, were_built};
use crate::helpers::app::{TestApp, claims_of, header_of, key_pem, new_pem};
use crate::helpers::mint;

/// For how long the documented lines trust a fetched key.
const DOCUMENTED: Duration = Duration::from_secs(300);

/// Short, for the tests in which a cache must run out.
const SHORT: Duration = Duration::from_secs(3);

/// Longer than any test asks, and short enough for its tenth, between two questions about unknown keys, to pass meanwhile.
const LONG: Duration = Duration::from_secs(100);

/// A server whose issuer is where it listens. Its clock stands twenty minutes in the past.
async fn issuer() -> TestApp {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (listen, issuer) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"));
    let app = TestApp::spawn_with_env(&[("SIGNET_LISTEN", &listen), ("SIGNET_ISSUER", &issuer)]).await;
    app.clock.set(Clock::System.now().minus(Duration::from_secs(1200)));
    app.register("ann@example.com").await;
    app
}

fn to_the_present(app: &TestApp) {
    app.clock.set(Clock::System.now());
}

#[tokio::test(flavor = "multi_thread")]
async fn in_every_language_a_good_token_is_taken_and_no_bad_one() {
    if !were_built() {
        return;
    }
    let app = issuer().await;
    let expired = app.token("ann@example.com").await;
    to_the_present(&app);
    let good = app.token("ann@example.com").await;
    // Or a fault of minting would have the bad ones refused.
    let minted = mint::sign(&header_of(&good), &claims_of(&good));
    let mut bad = bad_tokens(&app, &good);
    bad.push(("an expired one", expired));
    for mut verifier in verifiers(&app.url, DOCUMENTED) {
        verifier.takes("a good token", &good);
        for (what, token) in &bad {
            verifier.refuses(what, token);
            verifier.takes("a good token after a bad one", &minted);
        }
    }
}

/// A rotation as the operator sees it: `next` has stood in the set for long when it begins to sign.
struct Rotation {
    old: String,
    next: String,
}

impl Rotation {
    async fn announced(app: &TestApp) -> Self {
        let keys = signing_keys::stored(&app.app).await.unwrap();
        let kid = |status| keys.iter().find(|key| key.status == status).unwrap().kid.clone();
        Self { old: kid(KeyStatus::Active), next: kid(KeyStatus::Pending) }
    }

    async fn rotate(&self, app: &TestApp) {
        let rotated = key_rotation::rotate(&app.app, false).await.unwrap();
        let (before, kid) = (self.old.clone(), self.next.clone());
        assert_eq!(rotated, [Rotated::Done { before: Some(before), kid, unknown_until: None }]);
    }

    async fn withdraw_old(&self, app: &TestApp) {
        key_rotation::withdraw(&app.app, &self.old).await.unwrap();
    }
}

/// What the keyring holds is what is published, and what signs: keys that the database never had.
fn install(app: &TestApp, signs: &PrivateKey, published: &[&PrivateKey]) {
    let kid = signs.public_jwk().kid().to_owned();
    let key = SigningKey::from_pkcs8_der(&kid, &signs.to_pkcs8_der().unwrap()).unwrap();
    let set = published.iter().map(|key| key.public_jwk()).collect();
    app.app.keyring.install(Some(key), PublishedKeys::new(Some(&kid), set).unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_every_language_a_rotation_needs_nothing_of_a_verifier_that_has_the_set() {
    if !were_built() {
        return;
    }
    let app = issuer().await;
    to_the_present(&app);
    let rotation = Rotation::announced(&app).await;
    let old = app.token("ann@example.com").await;
    let mut verifiers = verifiers(&app.url, DOCUMENTED);
    for verifier in &mut verifiers {
        verifier.takes("the old key's token before", &old);
    }
    rotation.rotate(&app).await;
    let new = app.token("ann@example.com").await;
    assert_eq!(header_of(&new)["kid"], rotation.next);
    assert_ne!(header_of(&new)["kid"], header_of(&old)["kid"]);
    // With nobody to ask, the set that was fetched before must do.
    let address = app.url.strip_prefix("http://").unwrap().to_owned();
    drop(app);
    let gone = Instant::now();
    while std::net::TcpStream::connect(&address).is_ok() {
        assert!(gone.elapsed() < PATIENCE, "the server did not end");
        tokio::time::sleep(Duration::from_millis(20)).await; // poll: until nothing listens
    }
    for verifier in &mut verifiers {
        verifier.takes("the old key's token after", &old);
        verifier.takes("the new key's first token", &new);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_every_language_a_withdrawn_key_is_forgotten() {
    if !were_built() {
        return;
    }
    let app = issuer().await;
    to_the_present(&app);
    let rotation = Rotation::announced(&app).await;
    let old = app.token("ann@example.com").await;
    let mut verifiers = verifiers(&app.url, SHORT);
    for verifier in &mut verifiers {
        verifier.takes("the old key's token before", &old);
    }
    rotation.rotate(&app).await;
    let new = app.token("ann@example.com").await;
    for verifier in &mut verifiers {
        verifier.takes("the old key's token after", &old);
        verifier.takes("the new key's token", &new);
    }
    rotation.withdraw_old(&app).await;
    for verifier in &mut verifiers {
        verifier.comes_to("refused ", &old, &new);
        verifier.refuses("the withdrawn key's token", &old);
    }
}

/// An emergency without a standby: nobody could have fetched this key before it signs.
#[tokio::test(flavor = "multi_thread")]
async fn in_every_language_a_key_never_announced_is_found_by_its_name() {
    assert!(PATIENCE < LONG, "or the end of a cache could have found it");
    if !were_built() {
        return;
    }
    let app = issuer().await;
    to_the_present(&app);
    let old = app.token("ann@example.com").await;
    let mut verifiers = verifiers(&app.url, LONG);
    for verifier in &mut verifiers {
        verifier.takes("the old key's token before", &old);
    }
    let standing = PrivateKey::from_pkcs8_pem(key_pem()).unwrap();
    let sudden = PrivateKey::generate_rsa(2048).unwrap();
    install(&app, &sudden, &[&sudden, &standing]);
    let new = app.token("ann@example.com").await;
    for verifier in &mut verifiers {
        verifier.comes_to("ok ", &new, &old);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_every_language_each_algorithm_is_taken_where_it_was_chosen_and_no_other_is() {
    if !were_built() {
        return;
    }
    let app = issuer().await;
    to_the_present(&app);
    let mut keys = vec![PrivateKey::from_pkcs8_pem(key_pem()).unwrap()];
    keys.extend([Algorithm::Es256, Algorithm::EdDsa].map(|other| PrivateKey::generate(other, 0).unwrap()));
    let set: Vec<&PrivateKey> = keys.iter().collect();
    let mut tokens = Vec::new();
    for key in &keys {
        install(&app, key, &set);
        tokens.push((key.public_jwk().algorithm(), app.token("ann@example.com").await));
    }
    for (algorithm, good) in &tokens {
        for mut verifier in verifiers_for(*algorithm, &app.url, DOCUMENTED) {
            verifier.takes(&format!("{algorithm}, as chosen"), good);
            for (other, token) in tokens.iter().filter(|(other, _)| other != algorithm) {
                verifier.refuses(&format!("{other} where {algorithm} was chosen"), token);
                verifier.takes("a good token after it", good);
            }
        }
    }
}

/// Each key stands in the set a little longer than a cache lives before it signs, and leaves it when its successor's
/// successor does; all verifiers are asked all the time.
#[tokio::test(flavor = "multi_thread")]
async fn in_every_language_ten_rotations_cost_no_good_token() {
    if !were_built() {
        return;
    }
    let app = issuer().await;
    to_the_present(&app);
    let mut verifiers = verifiers(&app.url, SHORT);
    let mut signed = Vec::new();
    let mut tokens = vec![app.token("ann@example.com").await];
    let mut taken = 0;
    for _ in 0..10 {
        signed.push(header_of(&tokens[tokens.len() - 1])["kid"].as_str().unwrap().to_owned());
        // Behind the one that stands by already: there are always two in the set that do not sign yet.
        signing_keys::import(&app.app, &new_pem()).await.unwrap();
        let announced = Instant::now();
        while announced.elapsed() < SHORT + Duration::from_secs(1) {
            for verifier in &mut verifiers {
                for token in &tokens {
                    verifier.takes("a good token amid rotations", token);
                    taken += 1;
                }
            }
        }
        // Sooner than the plan would: what these verifiers were told to keep ran out meanwhile.
        key_rotation::rotate(&app.app, true).await.unwrap();
        tokens.push(app.token("ann@example.com").await);
        // The one before may leave the set now: its tokens have had their time.
        tokens.drain(..tokens.len() - 2);
        if let [.., gone, _] = signed.as_slice() {
            key_rotation::withdraw(&app.app, gone).await.unwrap();
        }
    }
    assert_eq!(signed.iter().collect::<BTreeSet<_>>().len(), 10);
    for verifier in &mut verifiers {
        verifier.takes("the last key's token", &tokens[1]);
    }
    eprintln!("ten rotations: {taken} tokens verified, none refused");
}
