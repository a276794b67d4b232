//! What the guard's own work costs: on top of the bare signature check, and on top of an unguarded actix handler.
//!
//! `cargo bench --bench verify`. Thread CPU time; what is compared runs alternately in the same rounds, because
//! absolute times on a shared machine move by a third from minute to minute. The median round is printed.

#![allow(clippy::unwrap_used, reason = "a benchmark may stop at the first surprise")]

use std::future::Future;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use actix_web::http::header::AUTHORIZATION;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, HttpResponse, web};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use signet_guard::actix::{AccessToken, RequestId};
use signet_guard::{Clock, KeySet, KeySource, StalePolicy, StatusSource, Verifier};

const ISSUER: &str = "http://127.0.0.1:8080";
/// 65,536 statuses, all good.
const LST: &str = "eNrtwQENAAAAwqD3T20ON6AAAAAAAAAAgHcDIAAAAQ";
const ROUNDS: usize = 21;
const CHECKS: u32 = 1000;
const REQUESTS: u32 = 5000;

fn main() {
    let keys = keys();
    for key in &keys {
        signature_checks(key);
    }
    let system = actix_web::rt::System::new();
    system.block_on(handlers(&keys[0]));
    system.block_on(followed());
}

/// A token, the key that proves it as it is published, and the same key bare.
struct Signed {
    name: &'static str,
    jwk: Value,
    public: ParsedPublicKey,
    token: String,
}

fn keys() -> [Signed; 3] {
    let random = SystemRandom::new();
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let n = b64(rsa.public_key().modulus().big_endian_without_leading_zero());
    let e = b64(rsa.public_key().exponent().big_endian_without_leading_zero());
    let (x, y) = p256.public_key().as_ref()[1..].split_at(32);
    [
        Signed {
            name: "RS256",
            jwk: json!({ "kty": "RSA", "kid": "k", "n": n, "e": e }),
            public: ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, rsa.public_key().as_ref()).unwrap(),
            token: token("RS256", |message| {
                let mut signature = vec![0; rsa.public_modulus_len()];
                rsa.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }),
        },
        Signed {
            name: "ES256",
            jwk: json!({ "kty": "EC", "crv": "P-256", "kid": "k", "x": b64(x), "y": b64(y) }),
            public: ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, p256.public_key().as_ref()).unwrap(),
            token: token("ES256", |message| p256.sign(&random, message).unwrap().as_ref().to_vec()),
        },
        Signed {
            name: "EdDSA",
            jwk: json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": b64(ed25519.public_key()) }),
            public: ParsedPublicKey::new(&ED25519, ed25519.public_key().as_ref()).unwrap(),
            token: token("EdDSA", |message| ed25519.sign(message).as_ref().to_vec()),
        },
    ]
}

fn token(alg: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    signed("at+jwt", alg, &claims(), sign)
}

fn claims() -> Value {
    let now = Clock::System.now().as_seconds();
    json!({
        "iss": ISSUER, "sub": "6e8f2f0a-6f0e-4f5b-9a53-8d7e1f0a2b3c", "aud": ISSUER, "iat": now, "exp": now + 3600,
        "jti": "3kXDZTbfqVrLQ4m0uW2TpA", "client_id": "first-party", "scope": "signet:account", "auth_time": now,
        "roles": ["admin", "editor", "reviewer"],
    })
}

fn signed(typ: &str, alg: &str, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let header = json!({ "typ": typ, "alg": alg, "kid": "k" });
    let signed = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    format!("{signed}.{}", b64(sign(signed.as_bytes())))
}

fn verifier(key: &Signed, remembered: usize) -> Verifier {
    let keys = KeySet::from_json(json!({ "keys": [key.jwk] }).to_string().as_bytes()).unwrap();
    Verifier::builder(ISSUER, ISSUER, KeySource::fixed(keys)).verdict_cache(remembered).build().unwrap()
}

fn signature_checks(key: &Signed) {
    let (cold, warm) = (verifier(key, 0), verifier(key, 10_000));
    let (message, signature) = key.token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let rounds = rounds([
        &|| {
            (0..CHECKS)
                .for_each(|_| key.public.verify_sig(black_box(message.as_bytes()), &signature).unwrap())
        },
        &|| (0..CHECKS).for_each(|_| verify(&cold, &key.token)),
        &|| (0..CHECKS).for_each(|_| verify(&warm, &key.token)),
    ]);
    println!("{}, a token of {} bytes, {CHECKS} checks a round", key.name, key.token.len());
    println!(
        "  bare signature check        {:>10.2} us",
        median(&rounds, |round| round[0] / f64::from(CHECKS))
    );
    println!(
        "  verify                      {:>10.2} x the bare check",
        median(&rounds, |round| round[1] / round[0])
    );
    println!(
        "  verify, remembered          {:>10.2} us",
        median(&rounds, |round| round[2] / f64::from(CHECKS))
    );
}

fn verify(verifier: &Verifier, token: &str) {
    // With keys at hand there is nothing to wait for.
    let Poll::Ready(outcome) =
        pin!(verifier.verify(black_box(token))).poll(&mut Context::from_waker(Waker::noop()))
    else {
        unreachable!()
    };
    black_box(outcome.unwrap());
}

async fn open() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body("{\"message\":\"hello\"}")
}

async fn guarded(token: AccessToken) -> HttpResponse {
    black_box(&token.sub);
    HttpResponse::Ok().content_type("application/json").body("{\"message\":\"hello\"}")
}

/// The same handler with and without the guard; both requests carry the token, and neither leaves the process.
async fn handlers(key: &Signed) {
    let service = |verifier: Verifier| {
        let routes = |config: &mut web::ServiceConfig| {
            config.route("/open", web::get().to(open)).route("/guarded", web::get().to(guarded));
        };
        init_service(App::new().app_data(web::Data::new(verifier)).configure(routes))
    };
    let (cold, warm) = (service(verifier(key, 0)).await, service(verifier(key, 10_000)).await);
    let credentials = format!("Bearer {}", key.token);
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mut round = [0.0; 3];
        for (column, (service, path)) in
            [(&warm, "/open"), (&cold, "/guarded"), (&warm, "/guarded")].into_iter().enumerate()
        {
            let mut spent = 0.0;
            for _ in 0..REQUESTS {
                let request =
                    TestRequest::get().uri(path).insert_header((AUTHORIZATION, credentials.as_str()));
                let request = request.to_request();
                actix_web::HttpMessage::extensions_mut(&request).insert(RequestId("urn:uuid:7".into()));
                // The making of the request is left out.
                let began = cpu_time();
                let response = call_service(service, request).await;
                spent += cpu_time() - began;
                assert!(response.status().is_success());
            }
            round[column] = spent / f64::from(REQUESTS);
        }
        rounds.push(round);
    }
    println!("an actix handler, in process, {REQUESTS} requests a round, {}", key.name);
    println!("  unguarded                   {:>10.2} us", median(&rounds, |round| round[0]));
    println!("  guarded, proven anew        {:>+10.2} us", median(&rounds, |round| round[1] - round[0]));
    println!("  guarded, remembered         {:>+10.2} us", median(&rounds, |round| round[2] - round[0]));
}

/// An issuer on loopback with one list in which nothing is revoked and nothing changes, and a token of it.
fn issuer() -> (String, Value, String) {
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let sign = |message: &[u8]| ed25519.sign(message).as_ref().to_vec();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let uri = format!("{issuer}/status/0");
    let mut claims = claims();
    claims["iss"] = json!(issuer);
    claims["status"] = json!({ "status_list": { "idx": 4711, "uri": uri } });
    let list = json!({
        "iss": issuer, "sub": uri, "iat": claims["iat"], "exp": claims["exp"], "ttl": 60,
        "status_list": { "bits": 1, "lst": LST },
    });
    let list = signed("statuslist+jwt", "EdDSA", &list, sign);
    let serve = move |mut connection: TcpStream| {
        let mut lines = BufReader::new(connection.try_clone().ok()?).lines();
        let is_list = lines.next()?.ok()?.contains("/status/0");
        let mut wait = 0;
        loop {
            let line = lines.next()?.ok()?.to_ascii_lowercase();
            match line.strip_prefix("prefer: wait=") {
                Some(seconds) => wait = seconds.parse().ok()?,
                None if line.is_empty() => break,
                None => {}
            }
        }
        thread::sleep(Duration::from_secs(wait));
        let body = if is_list { list.as_str() } else { r#"{"version":1,"lists":[]}"# };
        let length = body.len();
        write!(connection, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
            .ok()
    };
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(connection));
        }
    });
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": b64(ed25519.public_key()) });
    (issuer, jwk, signed("at+jwt", "EdDSA", &claims, sign))
}

/// The same guarded handler for a remembered token, with its status followed and without.
async fn followed() {
    let (issuer, jwk, token) = issuer();
    let builder = || {
        let keys = KeySet::from_json(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap();
        Verifier::builder(&issuer, ISSUER, KeySource::fixed(keys))
    };
    let source = StatusSource::remote(&issuer).unwrap();
    let strict = source.clone().when_stale(StalePolicy::FailClosed, Duration::from_secs(30));
    let verifiers = [
        builder().build().unwrap(),
        builder().status(source.clone()).build().unwrap(),
        builder().status(strict).build().unwrap(),
    ];
    let mut services = Vec::new();
    for verifier in verifiers {
        let app = App::new().app_data(web::Data::new(verifier)).route("/guarded", web::get().to(guarded));
        services.push(init_service(app).await);
    }
    let credentials = format!("Bearer {token}");
    let mut rounds = Vec::new();
    for number in 0..=ROUNDS {
        let mut round = [0.0; 3];
        // Alternately within a round too, in an order that moves on.
        for turn in 0..3 * REQUESTS as usize {
            let column = (turn + turn / 3 + number) % 3;
            let request =
                TestRequest::get().uri("/guarded").insert_header((AUTHORIZATION, credentials.as_str()));
            let request = request.to_request();
            let began = cpu_time();
            let response = call_service(&services[column], request).await;
            round[column] += cpu_time() - began;
            assert!(response.status().is_success());
        }
        // The first round sees the list for the first time.
        if number > 0 {
            rounds.push(round);
        }
    }
    assert_eq!(source.report().unwrap().lists, 1);
    println!(
        "a guarded actix handler, in process, token remembered, {REQUESTS} requests a round, throughput"
    );
    println!("  status followed / not       {:>10.3}", median(&rounds, |round| round[0] / round[1]));
    println!("  the same, fail closed       {:>10.3}", median(&rounds, |round| round[0] / round[2]));
    println!(
        "  status followed, on top     {:>+10.3} us",
        median(&rounds, |round| (round[1] - round[0]) / f64::from(REQUESTS))
    );
}

/// Microseconds of CPU time of each piece of work, round by round.
fn rounds<const N: usize>(work: [&dyn Fn(); N]) -> Vec<[f64; N]> {
    let once = |work: &dyn Fn()| {
        let began = cpu_time();
        work();
        cpu_time() - began
    };
    (0..ROUNDS).map(|_| work.map(once)).collect()
}

/// Microseconds this thread has spent on a processor.
fn cpu_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn median<const N: usize>(rounds: &[[f64; N]], value: impl Fn(&[f64; N]) -> f64) -> f64 {
    let mut values: Vec<f64> = rounds.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
