//! The outermost layer: request id, host check, log line, security headers, and the request id in problem documents.

use std::time::Instant;

use actix_web::HttpMessage as _;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use signet_guard::actix::RequestId;
use tracing::Instrument as _;

use super::host::{self, Target};
use crate::app::App;
use crate::http::error::Problem;

/// On every answer unless the handler chose its own.
const SECURITY_HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
];

/// Wraps every request.
///
/// # Errors
/// None of its own.
pub async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let started = Instant::now();
    let id = uuid::Uuid::new_v4().to_string();
    // At the highest level, so that a filter that lets only errors through still says which request they belong to.
    let span = tracing::error_span!(
        "request",
        request.id = %id,
        client.address = request.peer_addr().map(|address| tracing::field::display(address.ip())),
    );
    request.extensions_mut().insert(RequestId(format!("urn:uuid:{id}").into()));
    let method = shown(request.method());

    let target = request
        .app_data::<Data<App>>()
        .map_or(Target::Unclear, |app| host::target(&app.config, request.headers(), request.uri()));
    let response = match target {
        Target::Ours => next.call(request).instrument(span.clone()).await?.map_into_boxed_body(),
        Target::Strange => request.into_response(Problem::wrong_host().response()),
        Target::Unclear => request.into_response(Problem::unclear_host().response()),
    };
    let mut response = name_occurrence(response, &id);
    add_headers(&mut response, &id);

    // The pattern, never the path: a path may carry what somebody mistyped into it.
    let route = response.request().match_pattern().unwrap_or_else(|| "unmatched".to_owned());
    span.in_scope(|| {
        tracing::info!(
            target: "signet::request",
            duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            http.method = method,
            http.route = %route,
            http.status = response.status().as_u16(),
        );
    });
    Ok(response)
}

/// A method may be any word of any length that a caller makes up; only the registered ones are ours to repeat.
fn shown(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// Puts the request id into a problem document of ours.
fn name_occurrence(response: ServiceResponse<BoxBody>, id: &str) -> ServiceResponse<BoxBody> {
    let problem = response.response().extensions().get::<Problem>().cloned();
    match problem {
        Some(mut problem) => {
            problem.instance = Some(format!("urn:uuid:{id}"));
            let body = serde_json::to_vec(&problem).unwrap_or_default();
            response.map_body(|_, _| BoxBody::new(body))
        }
        None => response,
    }
}

fn add_headers(response: &mut ServiceResponse<BoxBody>, id: &str) {
    let failed = response.status().is_client_error() || response.status().is_server_error();
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if failed || !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
}
