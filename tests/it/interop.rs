//! Verifiers of other people's making, in the languages that APIs are written in: `tests/interop` holds them, and
//! `scripts/interop` builds them and runs this.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::{RsaPrivateKey, RsaPublicKey};
use serde_json::{Value, json};
use signet::flow::signing_keys;
use signet::jose::{PrivateKey, PublishedKeys, SigningKey};
use signet_guard::Clock;

use crate::helpers::app::{TestApp, claims_of, header_of, key_pem};
use crate::helpers::mint;

/// Each with the command that starts it from the root of the repository.
const VERIFIERS: [(&str, &[&str]); 6] = [
    ("jose", &["node", "target/interop/node/main.mjs"]),
    ("keyfunc", &["target/interop/go/verifier", "keyfunc"]),
    ("go-oidc", &["target/interop/go/verifier", "go-oidc"]),
    (
        "nimbus-jose-jwt",
        &["java", "-cp", "target/interop/java/classes:target/interop/java/dependency/*", "Main"],
    ),
    ("PyJWT", &["target/python/bin/python", "tests/interop/python/verify_lines.py", "pyjwt"]),
    ("joserfc", &["target/python/bin/python", "tests/interop/python/verify_lines.py", "joserfc"]),
];

/// For how long the documented lines trust a fetched key.
const DOCUMENTED: Duration = Duration::from_secs(300);

/// Short, for the tests in which a cache must run out.
const SHORT: Duration = Duration::from_secs(3);

/// Longer than any test asks, and short enough for its tenth, between two questions about unknown keys, to pass meanwhile.
const LONG: Duration = Duration::from_secs(100);

/// A start of the slowest takes a second; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A verifier that lives as long as an API does, with its cache.
struct Verifier {
    library: &'static str,
    process: Child,
    tokens: ChildStdin,
    answers: Receiver<String>,
}

impl Verifier {
    fn start(library: &'static str, command: &[&str], issuer: &str, max_age: Duration) -> Self {
        let mut process = Command::new(command[0])
            .args(&command[1..])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("ISSUER", issuer)
            .env("AUDIENCE", issuer)
            .env("JWKS_MAX_AGE", max_age.as_secs().to_string())
            .env("NO_PROXY", "127.0.0.1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{library}: {error}; scripts/interop builds it"));
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (tell, answers) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { library, tokens: process.stdin.take().unwrap(), process, answers }
    }

    /// `ok SUBJECT` or `refused REASON`.
    fn ask(&mut self, token: &str) -> String {
        writeln!(self.tokens, "{token}").unwrap();
        let answer = self.answers.recv_timeout(PATIENCE);
        answer.unwrap_or_else(|_| panic!("{}: no answer to {token}", self.library))
    }

    fn takes(&mut self, what: &str, token: &str) {
        let sub = claims_of(token)["sub"].as_str().unwrap().to_owned();
        assert_eq!(self.ask(token), format!("ok {sub}"), "{}: {what}", self.library);
    }

    fn refuses(&mut self, what: &str, token: &str) {
        let answer = self.ask(token);
        assert!(answer.starts_with("refused "), "{}: {what}: {answer}", self.library);
        eprintln!("{:<16} {what:<28} {answer}", self.library);
    }

    /// Asks until the answer begins with this; `meanwhile` must be taken all the time.
    fn comes_to(&mut self, wanted: &str, token: &str, meanwhile: &str) {
        let asked = Instant::now();
        while !self.ask(token).starts_with(wanted) {
            assert!(asked.elapsed() < PATIENCE, "{}: never {wanted}", self.library);
            self.takes("the other key's token meanwhile", meanwhile);
            std::thread::sleep(Duration::from_millis(50)); // poll: the cache of another process runs out
        }
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One of each; none where nobody built them.
fn verifiers(issuer: &str, max_age: Duration) -> Vec<Verifier> {
    VERIFIERS.iter().map(|(library, command)| Verifier::start(library, command, issuer, max_age)).collect()
}

fn were_built() -> bool {
    let built = std::env::var_os("SIGNET_TEST_VERIFIERS").is_some();
    if !built {
        eprintln!(
            "not run: needs the verifiers of tests/interop, which scripts/interop builds, and runs this with"
        );
    }
    built
}

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

fn with_payload(token: &str, name: &str, value: &str) -> String {
    let mut claims = claims_of(token);
    claims[name] = json!(value);
    let parts: Vec<_> = token.split('.').collect();
    [parts[0], &URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2]].join(".")
}

fn with_signature_changed(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{signed}.{first}{}", &signature[1..])
}

fn unsigned(header: &Value, claims: &Value) -> String {
    [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".")
}

/// Signed with a public key as if it were a secret that two share.
fn hs256(token: &str, secret: &[u8]) -> String {
    let mut header = header_of(token);
    header["alg"] = json!("HS256");
    let message = unsigned(&header, &claims_of(token));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// What nobody may take, each but one step from `good`.
fn bad_tokens(app: &TestApp, good: &str) -> Vec<(&'static str, String)> {
    let (header, claims) = (header_of(good), claims_of(good));
    let changed = |part: &Value, name: &str, value: Value| {
        let mut part = part.clone();
        part[name] = value;
        part
    };
    let claiming = |name: &str, value: Value| mint::sign(&header, &changed(&claims, name, value));
    let headed = |name: &str, value: Value| mint::sign(&changed(&header, name, value), &claims);
    let without = |name: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        mint::sign(&header, &claims)
    };
    let none = |alg: &str| format!("{}.", unsigned(&changed(&header, "alg", json!(alg)), &claims));
    let jwk = installed().public_jwk();
    let jwk: Value = serde_json::from_str(&jwk.to_json()).unwrap();
    let number = |name: &str| {
        rsa::BigUint::from_bytes_be(&URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap())
    };
    let public = RsaPublicKey::new(number("n"), number("e")).unwrap();
    let pem = public.to_public_key_pem(LineEnding::LF).unwrap();
    let published = app.app.keyring.published().bytes.clone();
    vec![
        ("a changed payload", with_payload(good, "sub", "somebody-else")),
        ("a changed signature", with_signature_changed(good)),
        ("no signature", format!("{}.", good.rsplit_once('.').unwrap().0)),
        ("another audience", claiming("aud", json!("https://another-api.example"))),
        ("another issuer", claiming("iss", json!("https://another-issuer.example"))),
        ("no end", without("exp")),
        ("no subject", without("sub")),
        ("alg none", none("none")),
        ("alg None", none("None")),
        ("HS256 with the PEM", hs256(good, pem.as_bytes())),
        ("HS256 with the DER", hs256(good, public.to_public_key_der().unwrap().as_bytes())),
        ("HS256 with the modulus", hs256(good, jwk["n"].as_str().unwrap().as_bytes())),
        ("HS256 with the JWK Set", hs256(good, &published)),
        ("an ID token", headed("typ", json!("JWT"))),
        ("a status list", headed("typ", json!("statuslist+jwt"))),
        ("a stranger's kid", headed("kid", json!("a-stranger"))),
    ]
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

/// The key that a new server of the tests signs with.
fn installed() -> PrivateKey {
    PrivateKey::from_pkcs8_pem(key_pem()).unwrap()
}

/// The keys of a rotation: `old` signs, `next` stands in the set before it signs.
struct Rotation {
    old: PrivateKey,
    next: PrivateKey,
}

impl Rotation {
    async fn announce(app: &TestApp) -> Self {
        let next = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
        let next = next.to_pkcs8_pem(LineEnding::LF).unwrap();
        signing_keys::import(&app.app, &next).await.unwrap();
        signing_keys::load_or_create(&app.app).await.unwrap();
        Self { old: installed(), next: PrivateKey::from_pkcs8_pem(&next).unwrap() }
    }

    fn rotate(&self, app: &TestApp) {
        install(app, &self.next, &[&self.old, &self.next]);
    }

    fn withdraw_old(&self, app: &TestApp) {
        install(app, &self.next, &[&self.next]);
    }
}

/// What the keyring holds is what is published, and what signs.
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
    let rotation = Rotation::announce(&app).await;
    let old = app.token("ann@example.com").await;
    let mut verifiers = verifiers(&app.url, DOCUMENTED);
    for verifier in &mut verifiers {
        verifier.takes("the old key's token before", &old);
    }
    rotation.rotate(&app);
    let new = app.token("ann@example.com").await;
    assert_eq!(header_of(&new)["kid"], rotation.next.public_jwk().kid());
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
    let rotation = Rotation::announce(&app).await;
    let old = app.token("ann@example.com").await;
    let mut verifiers = verifiers(&app.url, SHORT);
    for verifier in &mut verifiers {
        verifier.takes("the old key's token before", &old);
    }
    rotation.rotate(&app);
    let new = app.token("ann@example.com").await;
    for verifier in &mut verifiers {
        verifier.takes("the old key's token after", &old);
        verifier.takes("the new key's token", &new);
    }
    rotation.withdraw_old(&app);
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
    let (standing, sudden) = (installed(), PrivateKey::generate_rsa(2048).unwrap());
    install(&app, &sudden, &[&sudden, &standing]);
    let new = app.token("ann@example.com").await;
    for verifier in &mut verifiers {
        verifier.comes_to("ok ", &new, &old);
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
    let (mut last, mut active) = (None::<PrivateKey>, installed());
    let mut tokens = vec![app.token("ann@example.com").await];
    let mut taken = 0;
    for _ in 0..10 {
        let next = PrivateKey::generate_rsa(2048).unwrap();
        let published: Vec<_> = last.iter().chain([&active, &next]).collect();
        install(&app, &active, &published);
        let announced = Instant::now();
        while announced.elapsed() < SHORT + Duration::from_secs(1) {
            for verifier in &mut verifiers {
                for token in &tokens {
                    verifier.takes("a good token amid rotations", token);
                    taken += 1;
                }
            }
        }
        install(&app, &next, &published);
        tokens.push(app.token("ann@example.com").await);
        // The one before may leave the set now: its tokens have had their time.
        tokens.drain(..tokens.len() - 2);
        (last, active) = (Some(active), next);
    }
    for verifier in &mut verifiers {
        verifier.takes("the last key's token", &tokens[1]);
    }
    eprintln!("ten rotations: {taken} tokens verified, none refused");
}
