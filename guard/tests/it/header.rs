//! The JOSE header: RFC 7515 §4, RFC 9068 §2.1, RFC 8725 §3.

use std::net::TcpListener;

use serde_json::{Value, json};
use signet_guard::Reason;

use crate::forge::{
    ISSUER, accepted, b64, claims, foreign_key, good, header, jwk, key, refused, sign, with_claims_text,
    with_header, with_header_members,
};

#[test]
fn a089_no_algorithm_but_the_one_of_the_key() {
    accepted(&good());
    for alg in [
        "none", "None", "nOnE", "NONE", "", "HS256", "HS384", "HS512", "RS384", "RS512", "PS256", "PS384",
        "PS512", "ES256", "ES384", "EdDSA", "Ed25519", "rs256", "RS256 ", "RSA-OAEP", "dir",
    ] {
        refused(&with_header_members(json!({ "alg": alg })), Reason::WrongAlgorithm);
    }
    for alg in [Value::Null, json!(["RS256"]), json!({ "RS256": 1 }), json!(256), json!(true)] {
        refused(&with_header_members(json!({ "alg": alg })), Reason::MalformedHeader);
    }
    refused(&with_header(r#"{"typ":"at+jwt","kid":"k1"}"#), Reason::WrongAlgorithm);
}

#[test]
fn a089_an_unsigned_or_symmetric_token_made_from_the_public_key_is_refused() {
    let unsigned = |alg: &str| {
        let header = json!({ "alg": alg, "typ": "at+jwt", "kid": "k1" }).to_string();
        format!("{}.{}", b64(header), b64(claims().to_string()))
    };
    for alg in ["none", "None", "nOnE", "RS256"] {
        refused(&format!("{}.", unsigned(alg)), Reason::NotACompactJws);
        refused(&unsigned(alg), Reason::NotACompactJws);
    }
    let published = jwk(key(), "k1");
    let modulus = published["n"].as_str().unwrap().to_owned();
    for secret in [published.to_string().into_bytes(), modulus.clone().into_bytes(), b"".to_vec()] {
        let signed = unsigned("HS256");
        let mac_key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret);
        let mac = aws_lc_rs::hmac::sign(&mac_key, signed.as_bytes());
        refused(&format!("{signed}.{}", b64(mac)), Reason::WrongAlgorithm);
    }
}

#[test]
fn a090_only_the_two_access_token_types_pass_in_any_letter_case() {
    for typ in ["at+jwt", "application/at+jwt", "AT+JWT", "At+Jwt", "Application/at+JWT"] {
        accepted(&with_header_members(json!({ "typ": typ })));
    }
    for typ in [
        "",
        "JWT",
        "jwt",
        "dpop+jwt",
        "logout+jwt",
        "secevent+jwt",
        "statuslist+jwt",
        "id_token+jwt",
        "at",
        "at+jwt ",
        " at+jwt",
        "at+jwts",
        "xat+jwt",
        "application/application/at+jwt",
        "text/at+jwt",
        "at+jwt;v=1",
        "application/jwt",
    ] {
        refused(&with_header_members(json!({ "typ": typ })), Reason::WrongType);
    }
    refused(&with_header(r#"{"alg":"RS256","kid":"k1"}"#), Reason::WrongType);
    for typ in [Value::Null, json!(["at+jwt"]), json!(1)] {
        refused(&with_header_members(json!({ "typ": typ })), Reason::MalformedHeader);
    }
}

#[test]
fn a091_nothing_is_understood_to_be_critical() {
    for crit in
        [json!([]), json!(["b64"]), json!(["exp"]), json!(["x"]), json!("b64"), Value::Null, json!({})]
    {
        refused(&with_header_members(json!({ "crit": crit, "b64": false })), Reason::CriticalHeader);
    }
}

#[test]
fn a091_encrypted_compressed_nested_and_unencoded_tokens_are_refused() {
    for members in [
        json!({ "enc": "A256GCM" }),
        json!({ "zip": "DEF" }),
        json!({ "cty": "JWT" }),
        json!({ "b64": false }),
    ] {
        refused(&with_header_members(members), Reason::UnsupportedHeader);
    }
}

#[test]
fn a091_keys_in_or_behind_the_header_count_for_nothing() {
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let url = format!("http://{}/keys", trap.local_addr().unwrap());
    let own_key = jwk(foreign_key(), "k1");
    for members in [
        json!({ "jwk": own_key }),
        json!({ "jku": url }),
        json!({ "x5u": url }),
        json!({ "x5c": [b64("certificate")] }),
        json!({ "jku": ISSUER, "jwk": own_key, "x5u": url }),
    ] {
        let mut forged = header();
        forged.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        refused(&sign(foreign_key(), forged.to_string(), claims().to_string()), Reason::BadSignature);
        accepted(&with_header_members(members));
    }
    assert_eq!(trap.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "something was fetched");
}

#[test]
fn a095_a_name_that_comes_twice_in_the_header_is_refused() {
    for text in [
        r#"{"alg":"RS256","typ":"at+jwt","kid":"k1","kid":"k1"}"#,
        r#"{"alg":"none","alg":"RS256","typ":"at+jwt","kid":"k1"}"#,
        r#"{"alg":"RS256","typ":"at+jwt","kid":"k1","\u0061lg":"none"}"#,
        r#"{"alg":"RS256","typ":"at+jwt","kid":"k1","x":{"y":1,"y":2}}"#,
        r#"{"alg":"RS256","typ":"at+jwt","kid":"k1","x":1,"x":1}"#,
    ] {
        refused(&with_header(text), Reason::DuplicateMember);
    }
}

#[test]
fn a_token_must_name_its_key() {
    refused(&with_header(r#"{"alg":"RS256","typ":"at+jwt"}"#), Reason::NoKeyId);
    refused(&with_header_members(json!({ "kid": "" })), Reason::NoKeyId);
    refused(&with_header_members(json!({ "kid": "k".repeat(257) })), Reason::NoKeyId);
    refused(&with_header_members(json!({ "kid": 1 })), Reason::MalformedHeader);
    for kid in ["k2", "K1", "k1 ", "../../k1", "k1' OR '1'='1", "k1\u{0}", &"k".repeat(256)] {
        let refusal = refused(&with_header_members(json!({ "kid": kid })), Reason::UnknownKey);
        assert_eq!(refusal.subject(), Some(kid));
    }
}

#[test]
fn a096_only_three_parts_of_plain_base64url_are_a_token() {
    let token = good();
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("not three parts") };
    let json_form = json!({ "payload": claims, "protected": header, "signature": signature }).to_string();
    for broken in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        header.to_owned(),
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!(".{claims}.{signature}"),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{signature}"),
        format!("{header}.{claims}.{claims}.{signature}"),
        format!("{header}.a.b.c.{signature}"),
        format!("{token}="),
        format!("{token}=="),
        format!("{header}=.{claims}.{signature}"),
        format!("{token} "),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{header}.{claims}.{}", signature.replace(['-', '_'], "+")),
        format!("{header}.{claims}.\u{e9}{signature}"),
        json_form,
        ".".repeat(8192),
    ] {
        refused(&broken, Reason::NotACompactJws);
    }
    refused(&format!("{header}..{signature}"), Reason::BadSignature);
    refused(&with_claims_text(""), Reason::MalformedClaims);
    accepted(&token);
}

#[test]
fn a096_a_token_has_one_spelling() {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let token = good();
    let last = token.bytes().last().unwrap();
    let index = ALPHABET.iter().position(|letter| *letter == last).unwrap();
    assert_eq!(index % 16, 0, "256 bytes leave four unused bits");
    for unused in 1..16 {
        let other = char::from(ALPHABET[index + unused]);
        refused(&format!("{}{other}", &token[..token.len() - 1]), Reason::NotACompactJws);
    }
}

#[test]
fn a096_length_is_looked_at_first() {
    let padding = "x".repeat(8 * 1024);
    refused(&with_header_members(json!({ "x": padding })), Reason::TokenTooLong);
    refused(&".".repeat(100_000), Reason::TokenTooLong);
    refused(&"e".repeat(8 * 1024 + 1), Reason::TokenTooLong);
    refused(&"e".repeat(8 * 1024), Reason::NotACompactJws);
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    refused(&with_header(format!(r#"{{"alg":"RS256","x":{deep}}}"#)), Reason::MalformedHeader);
    refused(
        &with_header_members(json!({ "alg": "PBES2-HS256+A128KW", "p2c": 2_000_000_000 })),
        Reason::WrongAlgorithm,
    );
}

#[test]
fn a_header_is_one_json_object() {
    for text in
        ["", "null", "[]", "\"x\"", "{", "{}{}", "{\"alg\":\"RS256\"", "\u{feff}{}", "{'alg':'RS256'}"]
    {
        let reason = if text.is_empty() { Reason::NotACompactJws } else { Reason::MalformedHeader };
        refused(&with_header(text), reason);
    }
    refused(&with_header([0xff, 0xfe]), Reason::MalformedHeader);
}
