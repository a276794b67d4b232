//! A protected API, called over actix's own test service.

use actix_web::http::header::{AUTHORIZATION, HeaderName};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, HttpMessage, Responder, web};
use serde::Deserialize;
use serde_json::{Value, json};
use signet_guard::actix::{AccessToken, MaybeAccessToken, RequestId};
use signet_guard::{Refusal, Verifier};

/// What came back.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) challenge: Option<String>,
    pub(crate) retry_after: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Value,
}

#[derive(Deserialize)]
struct Own {
    tenant: String,
}

async fn me(token: AccessToken) -> impl Responder {
    web::Json(json!({ "sub": token.sub }))
}

async fn maybe(token: MaybeAccessToken) -> impl Responder {
    web::Json(json!({ "sub": token.token().map(|token| token.sub.as_str()) }))
}

async fn read(token: AccessToken) -> Result<impl Responder, Refusal> {
    token.require_scope("read")?;
    Ok(web::Json(json!({ "sub": token.sub })))
}

async fn edit(token: AccessToken) -> Result<impl Responder, Refusal> {
    token.require_role("editor")?;
    Ok(web::Json(json!({ "sub": token.sub })))
}

async fn own(token: AccessToken<Own>) -> impl Responder {
    web::Json(json!({ "tenant": token.own().tenant }))
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/me", web::get().to(me))
        .route("/me", web::post().to(me))
        .route("/maybe", web::get().to(maybe))
        .route("/read", web::get().to(read))
        .route("/edit", web::get().to(edit))
        .route("/own", web::get().to(own));
}

pub(crate) async fn answer(verifier: &Verifier, request: TestRequest) -> Answer {
    let app = App::new().app_data(web::Data::new(verifier.clone())).configure(routes);
    let service = init_service(app).await;
    read_answer(call_service(&service, request.to_request()).await).await
}

/// The same API with the verifier as plain application data.
pub(crate) async fn answer_with_plain_data(verifier: &Verifier, request: TestRequest) -> Answer {
    let service = init_service(App::new().app_data(verifier.clone()).configure(routes)).await;
    read_answer(call_service(&service, request.to_request()).await).await
}

/// The same API whose developer forgot the verifier.
pub(crate) async fn answer_without_verifier(request: TestRequest) -> Answer {
    let service = init_service(App::new().configure(routes)).await;
    read_answer(call_service(&service, request.to_request()).await).await
}

/// The same API in a service that gives every request an id.
pub(crate) async fn answer_with_request_id(verifier: &Verifier, id: &str, request: TestRequest) -> Answer {
    let service = init_service(App::new().app_data(web::Data::new(verifier.clone())).configure(routes)).await;
    let request = request.to_request();
    request.extensions_mut().insert(RequestId(id.into()));
    read_answer(call_service(&service, request).await).await
}

async fn read_answer(response: actix_web::dev::ServiceResponse) -> Answer {
    let text = |name: HeaderName| {
        let values: Vec<_> = response.headers().get_all(name).collect();
        assert!(values.len() < 2, "a header came twice");
        values.first().map(|value| value.to_str().unwrap().to_owned())
    };
    let (challenge, retry_after, content_type) = (
        text(HeaderName::from_static("www-authenticate")),
        text(HeaderName::from_static("retry-after")),
        text(HeaderName::from_static("content-type")),
    );
    let status = response.status().as_u16();
    let body = serde_json::from_slice(&read_body(response).await).unwrap();
    Answer { status, challenge, retry_after, content_type, body }
}

pub(crate) fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path)
}

pub(crate) fn bearer(path: &str, token: &str) -> TestRequest {
    get(path).insert_header((AUTHORIZATION, format!("Bearer {token}")))
}

/// The answer to a token that is not good, whatever is wrong with it.
#[track_caller]
pub(crate) fn assert_invalid_token(answer: &Answer) {
    assert_eq!(answer.status, 401);
    assert_eq!(
        answer.challenge.as_deref(),
        Some(
            "Bearer realm=\"api\", error=\"invalid_token\", \
             error_description=\"The access token is missing, invalid or not meant for this API.\""
        )
    );
    assert_problem(answer, "Unauthorized", crate::forge::PUBLIC_TEXT);
}

#[track_caller]
pub(crate) fn assert_problem(answer: &Answer, title: &str, detail: &str) {
    assert_eq!(answer.content_type.as_deref(), Some("application/problem+json"));
    let expected =
        json!({ "type": "about:blank", "title": title, "status": answer.status, "detail": detail });
    assert_eq!(answer.body, expected);
}
