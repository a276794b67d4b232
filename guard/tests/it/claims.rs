//! The claims, each of exactly its type: RFC 9068 §2.2 and §4.

use serde_json::{Value, json};
use signet_guard::{AccessTokenClaims, Audience, Reason};

use crate::forge::{
    AUDIENCE, ISSUER, NOW, accepted, builder, claims, good, refused, verify_with, with_claim_text,
    with_claims, with_claims_text, without_claim,
};

const NOT_STRINGS: [&str; 8] = ["null", "1", "true", "[]", "{}", "[\"x\"]", "\"\"", "0.5"];

#[test]
fn the_claims_arrive_as_they_were_written() {
    let claims = accepted(&with_claims(json!({ "auth_time": NOW - 60, "nbf": NOW, "tenant": "t1" })));
    assert_eq!((claims.iss.as_str(), claims.sub.as_str()), (ISSUER, "user-1"));
    assert_eq!((claims.client_id.as_str(), claims.jti.as_str()), ("app", "t-1"));
    assert_eq!(claims.aud, Audience::One(AUDIENCE.to_owned()));
    assert_eq!((claims.iat.as_seconds(), claims.exp.as_seconds()), (NOW - 10, NOW + 590));
    assert_eq!(claims.auth_time.unwrap().as_seconds(), NOW - 60);
    assert_eq!(claims.nbf.unwrap().as_seconds(), NOW);
    assert_eq!(claims.scope.to_string(), "read write");
    assert_eq!(claims.roles, ["editor"]);
    assert_eq!(Value::Object(claims.own.clone()), json!({ "tenant": "t1" }));
}

#[test]
fn claims_that_are_written_read_the_same() {
    let claims =
        accepted(&with_claims(json!({ "aud": [AUDIENCE, "x"], "auth_time": 1, "tenant": { "id": 1 } })));
    let text = serde_json::to_vec(&*claims).unwrap();
    assert_eq!(AccessTokenClaims::from_json(&text).unwrap(), *claims);
    let bare = accepted(&with_claims_text(
        json!({ "iss": ISSUER, "sub": "s", "aud": AUDIENCE, "client_id": "c", "jti": "j", "iat": NOW, "exp": NOW + 1 })
            .to_string(),
    ));
    let text = serde_json::to_value(&*bare).unwrap();
    for absent in ["scope", "roles", "nbf", "auth_time"] {
        assert_eq!(text.get(absent), None, "{absent}");
    }
    let mut shadowing = AccessTokenClaims::clone(&bare);
    shadowing.own.insert("sub".to_owned(), json!("somebody else"));
    assert!(serde_json::to_vec(&shadowing).is_err());
}

#[test]
fn a092_only_the_very_issuer() {
    accepted(&good());
    for iss in [
        "https://id.example.com/",
        "https://ID.example.com",
        "http://id.example.com",
        "https://id.example.co",
        "https://id.example.com.evil.example",
        "id.example.com",
        "https://id.example.com ",
        "https://id.example.com:443",
        "https://evil.example/https://id.example.com",
        "https://id.example.com\u{0}",
    ] {
        refused(&with_claims(json!({ "iss": iss })), Reason::WrongIssuer);
    }
    for iss in NOT_STRINGS {
        let refusal = refused(&with_claim_text("iss", iss), Reason::InvalidClaim);
        assert_eq!(refusal.subject(), Some("iss"));
    }
    refused(&with_claims(json!({ "iss": ["https://evil.example", ISSUER] })), Reason::InvalidClaim);
    refused(&without_claim("iss"), Reason::MissingClaim);
}

#[test]
fn a093_the_audience_is_an_exact_member() {
    for aud in [json!(AUDIENCE), json!([AUDIENCE]), json!(["other", AUDIENCE]), json!([AUDIENCE, AUDIENCE])] {
        accepted(&with_claims(json!({ "aud": aud })));
    }
    for aud in [
        "https://api.example.com/",
        "https://api.example.co",
        "https://API.example.com",
        "api.example.com",
        "https://api.example.com,x",
        "https://api.example.com https://b.example",
        "*",
        ISSUER,
    ] {
        refused(&with_claims(json!({ "aud": aud })), Reason::WrongAudience);
        refused(&with_claims(json!({ "aud": [aud, "x"] })), Reason::WrongAudience);
    }
    for aud in [
        json!([]),
        json!({}),
        json!({ "0": AUDIENCE }),
        json!([AUDIENCE, 1]),
        json!([AUDIENCE, null]),
        json!([[AUDIENCE]]),
        json!([AUDIENCE, ""]),
        json!(""),
        json!(1),
        Value::Null,
        json!(true),
        json!(vec!["x"; 257]),
    ] {
        refused(&with_claims(json!({ "aud": aud })), Reason::InvalidClaim);
    }
    refused(&without_claim("aud"), Reason::MissingClaim);
    refused(&with_claims(json!({ "aud": vec!["x"; 10_000] })), Reason::TokenTooLong);
}

#[test]
fn several_audiences_may_be_accepted() {
    let verifier = builder().audience("urn:second").build().unwrap();
    for aud in [AUDIENCE, "urn:second"] {
        assert!(verify_with(&verifier, &with_claims(json!({ "aud": aud }))).is_ok(), "{aud}");
    }
    let refusal = verify_with(&verifier, &with_claims(json!({ "aud": "urn:third" }))).unwrap_err();
    assert_eq!(refusal.reason(), Reason::WrongAudience);
}

#[test]
fn a095_names_are_there_and_are_bounded_strings() {
    for name in ["sub", "client_id", "jti"] {
        refused(&without_claim(name), Reason::MissingClaim);
        for value in NOT_STRINGS {
            assert_eq!(refused(&with_claim_text(name, value), Reason::InvalidClaim).subject(), Some(name));
        }
        refused(&with_claims(json!({ name: "x".repeat(1025) })), Reason::InvalidClaim);
        refused(&with_claims(json!({ name: "x".repeat(64 * 1024) })), Reason::TokenTooLong);
        accepted(&with_claims(json!({ name: "x".repeat(1024) })));
    }
}

#[test]
fn a095_a_name_that_comes_twice_in_the_claims_is_refused() {
    let text = claims().to_string();
    let rest = &text[1..];
    for first in [
        r#""sub":"admin""#,
        r#""sub":"user-1""#,
        r#""\u0073ub":"admin""#,
        r#""scope":"admin""#,
        r#""exp":99999999999"#,
        r#""own":{"a":1,"a":2}"#,
        r#""own":1,"own":2"#,
        r#""own":[[{"a":1,"b":{"c":1,"c":1}}]]"#,
    ] {
        refused(&with_claims_text(format!("{{{first},{rest}")), Reason::DuplicateMember);
    }
    accepted(&with_claims_text(format!("{{\"own\":{{\"sub\":1}},{rest}")));
}

#[test]
fn a096_claims_are_one_json_object_not_too_deep() {
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    refused(&with_claim_text("own", &deep), Reason::MalformedClaims);
    for text in ["null", "[]", "\"x\"", "{", "{}{}", "\u{feff}{}", "not json"] {
        refused(&with_claims_text(text), Reason::MalformedClaims);
    }
    refused(&with_claims_text([b'{', 0xff, b'}']), Reason::MalformedClaims);
}

#[test]
fn a097_a_token_bound_to_a_key_is_no_bearer_token() {
    for cnf in [
        json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }),
        json!({ "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" }),
        json!({}),
        Value::Null,
    ] {
        refused(&with_claims(json!({ "cnf": cnf })), Reason::BoundToken);
    }
}

#[test]
fn roles_are_an_array_of_strings() {
    assert!(accepted(&without_claim("roles")).roles.is_empty());
    assert_eq!(accepted(&with_claims(json!({ "roles": ["a", "b c"] }))).roles, ["a", "b c"]);
    for roles in [
        json!("admin"),
        json!({ "admin": true }),
        json!([1]),
        json!([null]),
        json!([""]),
        json!([["a"]]),
        Value::Null,
    ] {
        assert_eq!(
            refused(&with_claims(json!({ "roles": roles })), Reason::InvalidClaim).subject(),
            Some("roles")
        );
    }
}
