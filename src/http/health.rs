//! `/health/live` and `/health/ready`.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::Problem;
use crate::app::App;
use crate::flow::readiness;

/// How the process is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `live` or `ready`.
    status: &'static str,
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
#[utoipa::path(
    get, path = "/health/ready", tag = "operation", operation_id = "ready",
    responses((status = 200, description = "Database and signing key are there.", body = Health)),
)]
pub(crate) async fn ready(app: Data<App>) -> Result<HttpResponse, Problem> {
    readiness::check(&app).await?;
    Ok(HttpResponse::Ok().json(Health { status: "ready" }))
}
