//! Other people's test vectors against the same key reading, key selection and signature check as in production.
//!
//! They are not in this repository: `SIGNET_TEST_VECTORS` names the folder that holds `wycheproof/` (files of
//! C2SP/wycheproof) and `rfc/`. A run without it says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::algorithm::Algorithm;
use crate::compact_jws::CompactJws;
use crate::jwk::SkipReason;
use crate::key_set::KeySet;
use crate::reason::Reason;
use crate::verifying_key::VerifyingKey;

fn vectors(path: &str) -> Option<Value> {
    let Some(folder) = std::env::var_os("SIGNET_TEST_VECTORS") else {
        eprintln!("NOT RUN: {path} (set SIGNET_TEST_VECTORS to the folder of the vectors)");
        return None;
    };
    let path = Path::new(&folder).join(path);
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(serde_json::from_slice(&bytes).unwrap())
}

/// What the verifier does, less the two things that make a JWS an access token: `typ` and the claims.
fn prove(token: &str, keys: &KeySet) -> Result<Vec<u8>, Reason> {
    let jws = CompactJws::split(token)?;
    let signature = jws.signature(&jws.header()?, Algorithm::ALL)?;
    signature.proven_by(keys).map_err(|refusal| refusal.reason())?;
    jws.payload()
}

/// A key as its owner would publish it: the vectors hold private ones.
fn published(key: &Value) -> Value {
    let mut key = key.clone();
    for name in ["d", "p", "q", "dp", "dq", "qi"] {
        key.as_object_mut().unwrap().remove(name);
    }
    key
}

fn key_set(group: &Value) -> KeySet {
    let keys = group.get("public").unwrap_or(&group["private"]);
    let keys = match keys.get("keys") {
        Some(keys) => keys.as_array().unwrap().iter().map(published).collect(),
        None => vec![published(keys)],
    };
    KeySet::from_json(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn tests(group: &Value) -> impl Iterator<Item = (u64, bool, &Value)> {
    let tests = group["tests"].as_array().unwrap();
    tests.iter().map(|test| (test["tcId"].as_u64().unwrap(), test["result"] == "valid", test))
}

fn groups(vectors: &Value) -> &[Value] {
    vectors["testGroups"].as_array().unwrap()
}

/// The numbers of the tokens that were accepted, and of those that the authors call valid and were not.
fn verdicts(vectors: &Value) -> (Vec<u64>, Vec<u64>) {
    let (mut accepted, mut refused, mut count) = (Vec::new(), Vec::new(), 0);
    for group in groups(vectors) {
        let keys = key_set(group);
        for (number, valid, test) in tests(group) {
            // Tokens of the JSON serialisation are objects, and encrypted ones have no `jws`.
            let Some(token) = test.get("jws") else { continue };
            count += 1;
            match prove(token.as_str().unwrap_or(&token.to_string()), &keys) {
                Ok(_) => accepted.push(number),
                Err(_) if valid => refused.push(number),
                Err(_) => {}
            }
        }
    }
    assert!(count > 20, "the vectors were not read");
    (accepted, refused)
}

#[test]
fn a087_wycheproof_signatures() {
    let Some(vectors) = vectors("wycheproof/json_web_signature_test.json") else { return };
    let (accepted, refused) = verdicts(&vectors);
    // Every valid one of the groups RS256 and ES256, and nothing else of 401.
    assert_eq!(accepted, [18, 33, 259, 260, 261, 262, 263, 345, 349, 378]);
    // Valid in algorithms that are not ours: HS256, RS384, RS512, PS256, PS384, PS512, ES512. Two of them, 346 and
    // 350, are PS384 tokens of keys labelled PS256, which no library takes.
    let others = groups(&vectors).iter().flat_map(tests).filter(|(number, valid, test)| {
        let header = test["jws"].as_str().and_then(|jws| CompactJws::split(jws).ok()?.header().ok());
        *valid && !accepted.contains(number) && header.is_none_or(|header| header.algorithm().is_err())
    });
    assert_eq!(refused, others.map(|(number, ..)| number).collect::<Vec<_>>());
    assert!(refused.contains(&346) && refused.contains(&350), "{refused:?}");
}

#[test]
fn a087_wycheproof_key_sets() {
    let Some(vectors) = vectors("wycheproof/json_web_key_test.json") else { return };
    let (accepted, refused) = verdicts(&vectors);
    // 5 is the valid RS256 token. 7 is the known exception: a key from a faulty generator (ROCA, CVE-2017-15361),
    // which cannot be told from a good one by its form; it is for the issuer never to publish one.
    assert_eq!(accepted, [5, 7]);
    // HS256, HS384 and HS512. (4 is HS256 too, and invalid.)
    assert_eq!(refused, [2, 13, 14, 15]);
}

#[test]
fn a087_wycheproof_jose() {
    let Some(vectors) = vectors("wycheproof/json_web_crypto_test.json") else { return };
    let (accepted, refused) = verdicts(&vectors);
    let by = |name: &str| -> Vec<u64> {
        let group = groups(&vectors).iter().find(|group| group["comment"] == name).unwrap();
        tests(group).filter(|(_, valid, _)| *valid).map(|(number, ..)| number).collect()
    };
    let roca: Vec<u64> = groups(&vectors)
        .iter()
        .filter(|group| group["comment"] == "jws_rsa_roca_key")
        .flat_map(tests)
        .map(|(number, ..)| number)
        .collect();
    assert_eq!(accepted, [by("jws_ec"), by("jws_rsa"), roca].concat());
    assert_eq!(refused, [by("jws_aes"), by("jws_keyset")].concat());
}

#[test]
fn a087_wycheproof_raw_ed25519() {
    let Some(vectors) = vectors("wycheproof/ed25519_test.json") else { return };
    raw(&vectors, |group| {
        let x = hex(&group["publicKey"]["pk"]).try_into().unwrap();
        VerifyingKey::ed25519("k", &x).unwrap()
    });
}

#[test]
fn a087_wycheproof_raw_p256() {
    let Some(vectors) = vectors("wycheproof/ecdsa_secp256r1_sha256_p1363_test.json") else { return };
    raw(&vectors, |group| {
        let point = hex(&group["publicKey"]["uncompressed"]);
        VerifyingKey::es256("k", &point[1..33].try_into().unwrap(), &point[33..].try_into().unwrap()).unwrap()
    });
}

#[test]
fn a087_wycheproof_raw_rsa() {
    let Some(mut vectors) = vectors("wycheproof/rsa_signature_2048_sha256_test.json") else { return };
    let jwk = |group: &Value| {
        json!({ "kty": "RSA", "n": URL_SAFE_NO_PAD.encode(hex(&group["publicKey"]["modulus"])),
            "e": URL_SAFE_NO_PAD.encode(hex(&group["publicKey"]["publicExponent"])) })
    };
    let read = |group: &Value| VerifyingKey::from_jwk("k", jwk(group).as_object().unwrap());
    // Two groups of one test each have the exponent 3, which FIPS 186-5 forbids.
    let all = vectors["testGroups"].as_array_mut().unwrap();
    let before = all.len();
    all.retain(|group| read(group).err() != Some(SkipReason::Exponent));
    assert_eq!(before - all.len(), 2);
    raw(&vectors, |group| read(group).unwrap());
}

/// "Acceptable" means that some libraries take it; we do not.
fn raw(vectors: &Value, key: impl Fn(&Value) -> VerifyingKey) {
    let mut valid_ones = 0;
    for group in groups(vectors) {
        let key = key(group);
        for (number, valid, test) in tests(group) {
            assert_eq!(key.verifies(&hex(&test["msg"]), &hex(&test["sig"])), valid, "test {number}");
            valid_ones += u32::from(valid);
        }
    }
    assert!(valid_ones > 5, "the vectors were not read");
}

#[test]
fn a087_the_examples_of_the_rfcs() {
    let Some(examples) = vectors("rfc/rfc7515-7519-examples.json") else { return };
    let ed25519 = vectors("rfc/rfc8037-ed25519/jws.json").unwrap();
    let ed25519 = json!({ "expect_signature": "valid", "jwk": ed25519["input"]["key"],
        "token": ed25519["output"]["compact"] });
    let mut proven = 0;
    for example in examples.as_array().unwrap().iter().chain([&ed25519]) {
        let token = example["token"].as_str().unwrap();
        if example["expect_signature"] == "valid" {
            let key = published(&example["jwk"]);
            let key = VerifyingKey::from_jwk("k", key.as_object().unwrap()).unwrap();
            let (signed, signature) = token.rsplit_once('.').unwrap();
            assert!(
                key.verifies(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()),
                "{example}"
            );
            // The header names no key, and this crate does not try them all.
            let header = CompactJws::split(token).unwrap().header().unwrap();
            assert_eq!((header.algorithm(), header.key_id()), (Ok(key.algorithm()), Err(Reason::NoKeyId)));
            proven += 1;
        } else {
            assert!(prove(token, &KeySet::default()).is_err(), "{example}");
        }
    }
    assert_eq!(proven, 3, "RFC 7515 A.2 and A.3, RFC 8037 A.4");
}

fn hex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
