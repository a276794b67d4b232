//! `GET`, `PATCH` and `DELETE /api/v1/me`.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{ReauthenticationRequest, current_password};
use crate::account::{DisplayName, Email};
use crate::app::App;
use crate::flow::own_account::{self, Changes};
use crate::flow::reauthentication::Owner;
use crate::http::error::Problem;
use crate::http::extract::{ClientAddress, JsonBody, OptionalJsonBody};
use crate::http::refresh_cookie;
use crate::http::user_document::UserDocument;

/// Read one's own account
#[utoipa::path(
    get, path = "/api/v1/me", tag = "own account", operation_id = "readOwnAccount",
    security(("bearer" = [])),
    responses((status = 200, description = "The account.", body = UserDocument)),
)]
pub(crate) async fn show(app: Data<App>, owner: Owner) -> Result<HttpResponse, Problem> {
    let user = own_account::read(&app, &owner).await?;
    Ok(HttpResponse::Ok().json(UserDocument::from(&user)))
}

/// What shall be different; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "describes the body; `Fields` reads it")]
pub(crate) struct UpdateOwnAccountRequest {
    /// What to be called; null for nothing.
    #[schema(min_length = 1, max_length = 100, example = "Ann", nullable)]
    name: Option<String>,
    /// The address to sign in with. Another one needs a proof: `current_password`, or a sign-in at most five minutes ago.
    #[schema(format = "email", max_length = 254, example = "ann@example.com")]
    email: Option<String>,
    /// The password as it is now. Looked at only when the address changes.
    #[schema(format = "password", example = "a quiet walk by the sea")]
    current_password: Option<String>,
}

/// Change one's own account
///
/// Another address ends every other session.
#[utoipa::path(
    patch, path = "/api/v1/me", tag = "own account", operation_id = "updateOwnAccount",
    security(("bearer" = [])),
    request_body = UpdateOwnAccountRequest,
    responses(
        (status = 200, description = "The account as it is now.", body = UserDocument),
        (status = 409, description = "The address has an account.",
            body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many tries at the password in this session, or too many addresses asked for from \
            one network address; see Retry-After.",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn update(
    app: Data<App>,
    owner: Owner,
    ClientAddress(address): ClientAddress,
    body: JsonBody,
) -> Result<HttpResponse, Problem> {
    let JsonBody(mut fields) = body;
    let name = fields.nullable("name", DisplayName::parse);
    let email = fields.optional("email", Email::parse);
    let current = current_password(&mut fields);
    fields.finish(Some(()))?;

    let user = own_account::update(&app, &owner, Changes { name, email }, current, address).await?;
    Ok(HttpResponse::Ok().json(UserDocument::from(&user)))
}

/// Delete one's own account
///
/// With its password, its roles and all its sessions. Needs a proof: `current_password`, or a sign-in at most five minutes
/// ago, for which the body may be left out. An account made later with the same address is another one, with another id.
#[utoipa::path(
    delete, path = "/api/v1/me", tag = "own account", operation_id = "deleteOwnAccount",
    security(("bearer" = [])),
    request_body = Option<ReauthenticationRequest>,
    responses(
        (status = 204, description = "The account is gone. Its refresh cookie, if it came along, is removed."),
        (status = 429, description = "Too many tries at the password in this session; see Retry-After.",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn delete(
    app: Data<App>,
    owner: Owner,
    request: HttpRequest,
    body: OptionalJsonBody,
) -> Result<HttpResponse, Problem> {
    let OptionalJsonBody(mut fields) = body;
    let current = current_password(&mut fields);
    fields.finish(Some(()))?;

    own_account::delete(&app, &owner, current).await?;
    Ok(refresh_cookie::ended(&app, &request).await)
}
