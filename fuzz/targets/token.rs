//! Access tokens: whatever is accepted holds to every rule of RFC 9068 §4, read here once more in another way.
//!
//! The input is a JOSE header on the first line and the claims after it, which the target encodes and signs, so that
//! the search reaches the reader of the claims; an input of one line is a whole token.
#![no_main]

use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use signet_guard::{AccessTokenClaims, Clock, KeySet, KeySource, Reason, Refusal, Timestamp, Verifier};

const NOW: i64 = 2_000_000_000;
const ISSUER: &str = "https://login.example.com";
const AUDIENCE: &str = "api";
const KEY_ID: &str = "k";

/// The signer of this process and a verifier that knows its key. A cheaper algorithm changes `Signer::new` and
/// `Signer::sign`; `ALGORITHM` is what a header must say.
struct Signer {
    key: RsaKeyPair,
    verifier: Verifier,
}

const ALGORITHM: &str = "RS256";

impl Signer {
    fn new() -> Self {
        // Not the product's own generator: with the search's probes in it, a key takes ten seconds.
        let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        // `RSAPublicKey` of RFC 8017 appendix A.1.1: nine bytes before a modulus of 256, and then 65537.
        let modulus = URL_SAFE_NO_PAD.encode(&key.public_key().as_ref()[9..265]);
        let jwk =
            json!({ "kty": "RSA", "alg": ALGORITHM, "use": "sig", "kid": KEY_ID, "n": modulus, "e": "AQAB" });
        let set = json!({ "keys": [jwk] }).to_string();
        let keys = KeySet::from_json(set.as_bytes()).expect("a JWK Set");
        assert!(keys.contains(KEY_ID), "{:?}", keys.skipped());
        let verifier = Verifier::builder(ISSUER, AUDIENCE, KeySource::fixed(keys))
            .clock(Clock::fixed(Timestamp::from_seconds(NOW)))
            .build()
            .expect("a verifier");
        Self { key, verifier }
    }

    fn sign(&self, message: &str) -> Vec<u8> {
        let mut signature = vec![0; self.key.public_modulus_len()];
        let random = SystemRandom::new();
        self.key.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).expect("a signature");
        signature
    }

    fn verify(&self, token: &str) -> Result<AccessTokenClaims, Refusal> {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(self.verifier.verify(token)).poll(&mut context) {
            Poll::Ready(outcome) => outcome.map(|claims| (*claims).clone()),
            Poll::Pending => panic!("a verifier of fixed keys waits"),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    static SIGNER: OnceLock<Signer> = OnceLock::new();
    let signer = SIGNER.get_or_init(Signer::new);
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else {
        let refusal = signer.verify(&String::from_utf8_lossy(data));
        assert!(refusal.is_err(), "accepted without a signature");
        return;
    };
    let (header, claims) = (&data[..end], &data[end + 1..]);
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    // A signature costs a hundred times what reading does: only those are signed that come so far.
    match signer.verify(&format!("{message}.{}", URL_SAFE_NO_PAD.encode([0; 256]))) {
        Ok(_) => panic!("accepted without a signature"),
        Err(refusal) if refusal.reason() != Reason::BadSignature => return,
        Err(_) => {}
    }
    let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signer.sign(&message)));
    match signer.verify(&token) {
        Ok(read) => {
            assert!(token.len() <= 8192);
            assert_header(header);
            assert_claims(claims, &read);
        }
        Err(refusal) => assert_ne!(refusal.reason(), Reason::BadSignature, "it is signed"),
    }
});

fn object(bytes: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(bytes).expect("accepted, though no JSON object")
}

fn assert_header(bytes: &[u8]) {
    let header = object(bytes);
    let typ = header["typ"].as_str().expect("typ").to_ascii_lowercase();
    assert!(typ == "at+jwt" || typ == "application/at+jwt", "{typ}");
    assert_eq!(header["alg"], ALGORITHM);
    assert_eq!(header["kid"], KEY_ID);
    for absent in ["crit", "enc", "zip", "cty", "b64"] {
        assert!(!header.contains_key(absent), "{absent}");
    }
}

fn assert_claims(bytes: &[u8], read: &AccessTokenClaims) {
    let claims = object(bytes);
    let text = |name: &str| {
        let text = claims[name].as_str().expect(name);
        assert!(!text.is_empty(), "{name} is empty");
        text
    };
    let instant =
        |name: &str| claims.get(name).map(|value| value.as_i64().filter(|at| *at >= 0).expect(name));
    assert_eq!(text("iss"), ISSUER);
    for (name, value) in [("sub", &read.sub), ("jti", &read.jti), ("client_id", &read.client_id)] {
        assert_eq!(text(name), value);
    }
    let audiences = match &claims["aud"] {
        Value::Array(audiences) => audiences.as_slice(),
        one => std::slice::from_ref(one),
    };
    assert!(audiences.iter().all(Value::is_string) && audiences.iter().any(|one| one == AUDIENCE));
    let (iat, exp) = (instant("iat").expect("iat"), instant("exp").expect("exp"));
    assert!(iat <= NOW + 60 && exp > NOW - 60 && exp > iat && exp - iat <= 24 * 60 * 60, "{iat} {exp}");
    assert!(instant("nbf").is_none_or(|nbf| nbf <= NOW + 60));
    instant("auth_time");
    assert!(!claims.contains_key("cnf"), "a bound token");
    for role in claims.get("roles").map_or(&[][..], |roles| roles.as_array().expect("roles")) {
        assert!(role.is_string(), "{role}");
    }
    // Written down again it says the same: nothing was lost or made up on the way. Only a scope may shrink.
    let mut again = serde_json::to_value(read).expect("claims can be written");
    let again = again.as_object_mut().expect("an object");
    assert_eq!(again.remove("scope").is_some(), !read.scope.is_empty());
    let mut claims = claims;
    claims.remove("scope");
    if claims.get("roles").is_some_and(|roles| roles.as_array().is_some_and(Vec::is_empty)) {
        claims.remove("roles");
    }
    assert_eq!(*again, claims);
}
