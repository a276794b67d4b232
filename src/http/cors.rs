//! Cross-origin rules. Credentials are allowed across origins where a refresh token may be in a cookie, and nowhere else:
//! the rest of the API takes bearer tokens.

use actix_cors::Cors as Layer;
use actix_web::http::header;
use actix_web::middleware::Condition;

use super::Cors;

/// How long a browser may remember a preflight answer, in seconds.
const PREFLIGHT_MAX_AGE: usize = 3600;

/// The layer for one route.
pub(super) fn rule(cors: Cors, allowed_origins: &[String]) -> Condition<Layer> {
    let (enabled, layer) = match cors {
        // A wildcard needs no layer: see `wildcard`.
        Cors::Never | Cors::Anyone => (false, Layer::default()),
        Cors::Allowed | Cors::AllowedWithCookie => {
            let layer = allowed_origins
                .iter()
                .fold(Layer::default(), |layer, origin| layer.allowed_origin(origin))
                .allowed_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
                .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
                .expose_headers([header::RETRY_AFTER, header::WWW_AUTHENTICATE])
                .expose_headers(["x-request-id"]);
            let layer = if cors == Cors::AllowedWithCookie { layer.supports_credentials() } else { layer };
            (!allowed_origins.is_empty(), layer)
        }
    };
    Condition::new(enabled, layer.max_age(PREFLIGHT_MAX_AGE))
}

/// The wildcard goes on every answer, also to requests without an `Origin`: a cache in between may hand any of them to a
/// browser. No browser asks beforehand about a plain `GET`, which is all that these routes take.
pub(super) fn wildcard(cors: Cors) -> Option<(header::HeaderName, &'static str)> {
    (cors == Cors::Anyone).then_some((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
}
