//! How a token may arrive: RFC 6750 §2 and §3.

use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use crate::api::{
    answer, answer_with_plain_data, answer_with_request_id, answer_without_verifier, assert_invalid_token,
    assert_problem, bearer, get,
};
use crate::forge::{PUBLIC_TEXT, good, verifier, with_claims};

const BARE: Option<&str> = Some("Bearer realm=\"api\"");
const BROKEN: &str = "Send one Authorization header: Bearer, a space and the access token.";

#[actix_web::test]
async fn a_good_token_reaches_the_handler() {
    for request in [bearer("/me", &good()), bearer("/maybe", &good())] {
        let answer = answer(&verifier(), request).await;
        assert_eq!((answer.status, &answer.body), (200, &json!({ "sub": "user-1" })));
        assert_eq!(answer.challenge, None);
    }
    let answer = answer_with_plain_data(&verifier(), bearer("/me", &good())).await;
    assert_eq!(answer.status, 200);
}

#[actix_web::test]
async fn a084_without_a_token_there_is_a_challenge_without_error_code() {
    for request in [get("/me"), get("/me").insert_header((AUTHORIZATION, "Basic dTpw"))] {
        let answer = answer(&verifier(), request).await;
        assert_eq!((answer.status, answer.challenge.as_deref()), (401, BARE));
        assert_problem(&answer, "Unauthorized", PUBLIC_TEXT);
    }
}

#[actix_web::test]
async fn a084_two_headers_or_a_broken_one_are_an_invalid_request() {
    let token = good();
    let two = bearer("/me", &token).append_header((AUTHORIZATION, format!("Bearer {token}")));
    let mixed = bearer("/me", &token).append_header((AUTHORIZATION, "Basic dTpw"));
    let broken = [
        format!("Bearer {token}, Bearer {token}"),
        format!("Bearer {token},{token}"),
        format!("Bearer\t{token}"),
        format!("Bearer {token}\t"),
        format!("Bearer {token} {token}"),
        format!("Bearer \"{token}\""),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        String::new(),
    ];
    let broken = broken.map(|value| get("/me").insert_header((AUTHORIZATION, value)));
    for request in [two, mixed].into_iter().chain(broken) {
        let answer = answer(&verifier(), request).await;
        assert_eq!(answer.status, 400);
        let challenge = answer.challenge.as_deref().unwrap();
        assert!(challenge.contains("error=\"invalid_request\""), "{challenge}");
        assert_problem(&answer, "Bad Request", BROKEN);
    }
}

#[actix_web::test]
async fn a084_the_scheme_may_be_written_in_any_case_and_followed_by_spaces() {
    for scheme in ["bearer", "BEARER", "Bearer  "] {
        let request = get("/me").insert_header((AUTHORIZATION, format!("{scheme} {}", good())));
        assert_eq!(answer(&verifier(), request).await.status, 200, "{scheme}");
    }
}

#[actix_web::test]
async fn a084_a_token_in_the_query_or_a_form_is_not_looked_at() {
    let query = get(&format!("/me?access_token={}", good()));
    let form = TestRequest::post()
        .uri("/me")
        .insert_header((CONTENT_TYPE, "application/x-www-form-urlencoded"))
        .set_payload(format!("access_token={}", good()));
    for request in [query, form] {
        let answer = answer(&verifier(), request).await;
        assert_eq!((answer.status, answer.challenge.as_deref()), (401, BARE));
    }
    let both = bearer(&format!("/me?access_token={}", good()), &good());
    assert_eq!(answer(&verifier(), both).await.status, 200);
}

#[actix_web::test]
async fn a085_a_missing_scope_is_named() {
    assert_eq!(answer(&verifier(), bearer("/read", &good())).await.status, 200);
    let mut odd = vec![without_scope()];
    for scope in [json!("rea"), json!("reading"), json!("READ"), json!("write"), json!(["read"]), json!("")] {
        odd.push(with_claims(json!({ "scope": scope })));
    }
    for scope in ["read  write", " read", "read ", "read\twrite", "read,write", "read\u{a0}write"] {
        odd.push(with_claims(json!({ "scope": scope })));
    }
    for scope in [Value::Null, json!(1), json!({ "read": true }), json!(true)] {
        odd.push(with_claims(json!({ "scope": scope })));
    }
    for token in odd {
        let answer = answer(&verifier(), bearer("/read", &token)).await;
        assert_eq!(answer.status, 403, "{token}");
        assert_eq!(
            answer.challenge.as_deref(),
            Some(
                "Bearer realm=\"api\", error=\"insufficient_scope\", \
                 error_description=\"The access token lacks the scope 'read'.\", scope=\"read\""
            )
        );
        assert_problem(&answer, "Forbidden", "The access token lacks the scope 'read'.");
    }
}

fn without_scope() -> String {
    crate::forge::without_claim("scope")
}

#[actix_web::test]
async fn a_missing_role_is_forbidden() {
    assert_eq!(answer(&verifier(), bearer("/edit", &good())).await.status, 200);
    for roles in [json!([]), json!(["edito"]), json!(["Editor"]), json!(["editors", "admin"])] {
        let token = with_claims(json!({ "roles": roles }));
        let answer = answer(&verifier(), bearer("/edit", &token)).await;
        assert_eq!(answer.status, 403);
        assert!(answer.challenge.as_deref().unwrap().contains("error=\"insufficient_scope\""));
        assert_problem(&answer, "Forbidden", "The access token lacks the role 'editor'.");
    }
}

#[actix_web::test]
async fn a086_an_optional_token_that_is_bad_is_not_nobody() {
    let nobody = answer(&verifier(), get("/maybe")).await;
    assert_eq!((nobody.status, nobody.body), (200, json!({ "sub": null })));
    let mut tampered = good();
    tampered.replace_range(tampered.len() - 10..tampered.len() - 9, "~");
    assert_invalid_token(&answer(&verifier(), bearer("/maybe", &tampered)).await);
    let basic = get("/maybe").insert_header((AUTHORIZATION, "Basic dTpw"));
    assert_eq!(answer(&verifier(), basic).await.status, 401);
    let empty = get("/maybe").insert_header((AUTHORIZATION, ""));
    assert_eq!(answer(&verifier(), empty).await.status, 400);
}

#[actix_web::test]
async fn a_forgotten_verifier_is_our_fault_and_says_so_to_nobody_outside() {
    let answer = answer_without_verifier(bearer("/me", &good())).await;
    assert_eq!((answer.status, answer.challenge.as_deref()), (500, None));
    assert_problem(&answer, "Internal Server Error", "The service is not set up correctly.");
}

#[actix_web::test]
async fn the_request_id_is_the_instance_of_every_problem() {
    let verifier = verifier();
    for request in [get("/me"), bearer("/me", "x"), bearer("/read", &without_scope())] {
        let answer = answer_with_request_id(&verifier, "req-7", request).await;
        assert_eq!(answer.body["instance"], "req-7", "{answer:?}");
    }
}
