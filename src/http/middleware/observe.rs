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
use crate::http::deadline::Deadline;
use crate::http::error::Problem;
use crate::http::extract::ClientAddress;
use crate::http::parts::in_parts;

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

/// For two years, as Mozilla's guidelines have it. Not for subdomains: they may be somebody else's.
const STRICT_TRANSPORT: &str = "max-age=63072000";

/// Wraps every request.
///
/// # Errors
/// None of its own.
pub async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let config = request.app_data::<Data<App>>().map(|app| &app.config);
    let target =
        config.map_or(Target::Unclear, |config| host::target(config, request.headers(), request.uri()));
    // RFC 6797 §8.1.1 lets browsers ignore it for addresses; for `localhost` they would obey, on every port.
    let strict = config.is_some_and(|config| config.issuer.is_https() && !config.issuer.is_loopback());
    around(request, next, target, strict).await
}

/// Wraps every request of the listener that does nothing but redirect: any host is answered, with the issuer's, and
/// nothing is said about https where it is not in use (RFC 6797 §7.2).
///
/// # Errors
/// None of its own.
pub async fn observe_redirect(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    around(request, next, Target::Ours, false).await
}

async fn around(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    target: Target,
    strict: bool,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let started = Instant::now();
    let deadline = request.conn_data::<Deadline>().cloned();
    if let Some(deadline) = &deadline {
        deadline.request_arrived();
    }
    let id = uuid::Uuid::new_v4().to_string();
    let proxies =
        request.app_data::<Data<App>>().map_or(&[][..], |app| app.config.server.trusted_proxies.as_slice());
    let peer = request.peer_addr().map(|peer| peer.ip());
    let client = ClientAddress::of(peer, request.headers(), proxies);
    // At the highest level, so that a filter that lets only errors through still says which request they belong to.
    let span = tracing::error_span!("request", request.id = %id, client.address = %client.0);
    request.extensions_mut().insert(RequestId(format!("urn:uuid:{id}").into()));
    request.extensions_mut().insert(client);
    let method = shown(request.method());

    let response = match target {
        Target::Ours => next.call(request).instrument(span.clone()).await?.map_into_boxed_body(),
        Target::Strange => request.into_response(Problem::wrong_host().response()),
        Target::Unclear => request.into_response(Problem::unclear_host().response()),
    };
    let mut response = name_occurrence(response, &id).map_body(|_, body| in_parts(body));
    add_headers(&mut response, &id, strict);

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
    if let Some(deadline) = &deadline {
        deadline.moved_on();
    }
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

fn add_headers(response: &mut ServiceResponse<BoxBody>, id: &str, strict: bool) {
    let failed = response.status().is_client_error() || response.status().is_server_error();
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if strict {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(STRICT_TRANSPORT));
    }
    if failed || !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
}
