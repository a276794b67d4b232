//! Conditional requests (RFC 9110 §13): a document that the caller has already is confirmed, not sent again.

use actix_web::http::header::{ETAG, IF_NONE_MATCH};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};

/// A JSON document under its entity tag: 304 without a body when the caller named that tag, 200 otherwise.
pub(super) fn json(request: &HttpRequest, etag: &str, document: Bytes) -> HttpResponse {
    if names(request, etag) {
        return HttpResponse::NotModified().insert_header((ETAG, etag)).finish();
    }
    HttpResponse::Ok().content_type("application/json").insert_header((ETAG, etag)).body(document)
}

/// Whether the caller has that already. RFC 9110 §13.1.2: weak comparison against each entity tag in the list.
pub(super) fn names(request: &HttpRequest, etag: &str) -> bool {
    request.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok()).any(|list| {
        list.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    })
}
