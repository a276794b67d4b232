//! What verifiers fetch: the JWK Set and the issuer's metadata.

use std::time::{Duration, Instant};

use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, ETAG, HeaderValue, VARY};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::Problem;
use super::{conditional, encoding};
use crate::app::App;

/// When to ask a server again that does not know its keys.
const RETRY: Duration = Duration::from_secs(5);

/// A JWK Set (RFC 7517 §5): public members only.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the bytes that `jose` made")]
pub(crate) struct JwkSet {
    /// One entry for each key that signs, will sign, or signed tokens that may still be alive.
    keys: Vec<Jwk>,
}

/// A public key (RFC 7517 §4). Which members it has besides `alg`, `use` and `kid` follows from `kty`: RFC 7518 §6.2.1 and
/// §6.3.1, RFC 8037 §2.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the bytes that `jose` made")]
pub(crate) struct Jwk {
    /// `RSA`, `EC` or `OKP`.
    kty: String,
    /// RSA: the modulus, base64url.
    #[schema(nullable = false)]
    n: Option<String>,
    /// RSA: the exponent, base64url.
    #[schema(nullable = false)]
    e: Option<String>,
    /// EC: `P-256`; OKP: `Ed25519`.
    #[schema(nullable = false)]
    crv: Option<String>,
    /// EC and OKP: the first coordinate, or the public key, base64url.
    #[schema(nullable = false)]
    x: Option<String>,
    /// EC: the second coordinate, base64url.
    #[schema(nullable = false)]
    y: Option<String>,
    /// `RS256`, `ES256` or `EdDSA`.
    alg: String,
    /// `sig`.
    #[schema(rename = "use")]
    key_use: String,
    /// The key id: the RFC 7638 thumbprint.
    kid: String,
}

/// Authorization server metadata (RFC 8414 §2): what exists, and nothing else.
#[derive(Serialize, ToSchema)]
pub(crate) struct Metadata {
    /// The issuer identifier, as in the tokens' `iss`.
    issuer: String,
    /// Where the JWK Set is.
    jwks_uri: String,
    /// None yet; the member is required.
    response_types_supported: Vec<String>,
    /// None yet; when absent the default would claim two.
    grant_types_supported: Vec<String>,
    /// For people.
    service_documentation: String,
}

/// The public keys
///
/// Fetch it once, keep it for as long as `Cache-Control` allows, and fetch it again when a token names a `kid` that is
/// not in it.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "verifiers", operation_id = "jwks",
    responses(
        (status = 200, description = "The JWK Set.", body = JwkSet),
        (status = 304, description = "Still the same (If-None-Match)."),
    ),
)]
pub(crate) async fn jwks(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    // A server that is cut from the database does not know which keys were withdrawn.
    let published = app.keyring.published_at(Instant::now()).ok_or_else(|| Problem::unavailable(RETRY))?;
    let with_gzip = encoding::accepts_gzip(&request);
    let (etag, bytes) = match with_gzip {
        true => (&published.gzip_etag, &published.gzip),
        false => (&published.etag, &published.bytes),
    };
    // Either says that the caller has this set.
    let known =
        [&published.etag, &published.gzip_etag].into_iter().find(|tag| conditional::names(&request, tag));
    let mut answer = match known {
        Some(tag) => HttpResponse::NotModified().insert_header((ETAG, tag.as_str())).finish(),
        None => conditional::json(&request, etag, Bytes::from_owner(bytes.clone())),
    };
    let headers = answer.headers_mut();
    if with_gzip && known.is_none() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Ok(value) = HeaderValue::from_str(&published.cache_control) {
        headers.insert(CACHE_CONTROL, value);
    }
    Ok(answer)
}

/// The issuer's metadata
#[utoipa::path(
    get, path = "/.well-known/oauth-authorization-server", tag = "verifiers", operation_id = "metadata",
    responses((status = 200, description = "RFC 8414 metadata.", body = Metadata)),
)]
pub(crate) async fn metadata(app: Data<App>) -> HttpResponse {
    let issuer = &app.config.issuer;
    HttpResponse::Ok().json(Metadata {
        issuer: issuer.as_str().to_owned(),
        jwks_uri: issuer.join("/.well-known/jwks.json"),
        response_types_supported: Vec::new(),
        grant_types_supported: Vec::new(),
        service_documentation: issuer.join("/docs"),
    })
}
