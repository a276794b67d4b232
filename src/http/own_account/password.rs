//! `PUT /api/v1/me/password`.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Deserialize;
use utoipa::ToSchema;

use super::current_password;
use crate::app::App;
use crate::flow::own_account;
use crate::flow::reauthentication::Owner;
use crate::http::error::Problem;
use crate::http::extract::JsonBody;
use crate::password::Password;

/// The old password and the new one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "describes the body; `Fields` reads it")]
pub(crate) struct ChangePasswordRequest {
    /// The password as it is now.
    #[schema(format = "password", example = "a quiet walk by the sea")]
    current_password: String,
    /// The password as it shall be: as long as you like up to the limit of the service, no rules about its characters.
    #[schema(format = "password", example = "a slow train through the hills")]
    new_password: String,
}

/// Change one's own password
///
/// Ends every other session of the account, and makes every known device a stranger. The session that asks goes on; no new
/// token is issued. However recent the sign-in: the current password is always needed.
#[utoipa::path(
    put, path = "/api/v1/me/password", tag = "own account", operation_id = "changeOwnPassword",
    security(("bearer" = [])),
    request_body = ChangePasswordRequest,
    responses(
        (status = 204, description = "The account has the new password."),
        (status = 429, description = "Too many tries at the password in this session; see Retry-After.",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn change(app: Data<App>, owner: Owner, body: JsonBody) -> Result<HttpResponse, Problem> {
    let JsonBody(mut fields) = body;
    // One that is missing is as good as a wrong one: refused by the flow, and told so.
    let current = current_password(&mut fields);
    let new = fields.secret("new_password");
    let new = fields.finish(new)?;

    own_account::change_password(&app, &owner, current, Password::new(new)).await?;
    Ok(HttpResponse::NoContent().finish())
}
