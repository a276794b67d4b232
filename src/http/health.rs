//! `/health/live` and `/health/ready`.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::Problem;
use crate::app::App;
use crate::flow::readiness::{self, Ready};
use crate::http::user_document::rfc3339;

/// How the process is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `live`.
    status: &'static str,
}

/// How well the process can work.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `ready`, or `degraded`: it works, and somebody should look before it does not.
    status: &'static str,
    /// What to look at; absent when all is well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<String>,
    /// When the next signing key takes over (RFC 3339).
    #[schema(format = "date-time")]
    #[serde(skip_serializing_if = "Option::is_none")]
    next_key_rotation: Option<String>,
    /// When the key that signs took over (RFC 3339).
    #[schema(format = "date-time")]
    #[serde(skip_serializing_if = "Option::is_none")]
    last_key_rotation: Option<String>,
}

/// Is the process alive?
///
/// Looks at nothing but itself: restart the process when this does not answer.
#[utoipa::path(
    get, path = "/health/live", tag = "operation", operation_id = "live",
    responses((status = 200, description = "The process answers.", body = Health)),
)]
pub(crate) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "live" })
}

/// Can the process work?
///
/// Needs the database, the keys, and a clock that agrees with the database's: send no requests here while it answers 503.
/// `degraded` is still 200: a rotation of the signing keys that is overdue, say.
#[utoipa::path(
    get, path = "/health/ready", tag = "operation", operation_id = "ready",
    responses((status = 200, description = "Database and signing key are there.", body = Readiness)),
)]
pub(crate) async fn ready(app: Data<App>) -> Result<HttpResponse, Problem> {
    let Ready { keys, degraded } = readiness::check(&app).await?;
    Ok(HttpResponse::Ok().json(Readiness {
        status: if degraded.is_empty() { "ready" } else { "degraded" },
        degraded,
        next_key_rotation: keys.next_rotation.map(rfc3339),
        last_key_rotation: keys.last_rotation.map(rfc3339),
    }))
}
