//! The `Cache-Control` of a route, from the route table.

use std::time::Duration;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::middleware::DefaultHeaders;

use crate::http::Caching;

/// The header for good answers of a route. Errors are never stored, whatever the route:
/// [`observe`](super::observe) sees to it.
pub fn header(caching: Caching, max_age: Duration) -> DefaultHeaders {
    let value = match caching {
        Caching::Never => "no-store".to_owned(),
        Caching::Revalidate => "no-cache".to_owned(),
        Caching::Public => format!("public, max-age={}", max_age.as_secs()),
    };
    DefaultHeaders::new().add((CACHE_CONTROL, value))
}
