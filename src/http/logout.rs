//! `POST /api/v1/logout`.

use actix_web::http::header::SET_COOKIE;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use super::error::Problem;
use super::extract::OptionalJsonBody;
use super::refresh_cookie::{self, Delivery};
use crate::app::App;
use crate::caller::Caller;
use crate::flow::logout;

/// Whose session shall end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "describes the body; `Fields` reads it")]
pub(crate) struct LogoutRequest {
    /// A refresh token of the session. Without it, the cookie counts.
    #[schema(format = "password", example = "sgr_AbC…")]
    refresh_token: Option<String>,
}

/// Sign out
///
/// Ends the session of the refresh token: no further access token, and guards that follow the status lists refuse those that
/// are out. Answers the same whether there was such a session or not (RFC 7009 §2.2).
#[utoipa::path(
    post, path = "/api/v1/logout", tag = "accounts", operation_id = "logout",
    request_body = Option<LogoutRequest>,
    responses(
        (status = 204, description = "There is no such session any more. The cookie, if it came by one, is removed."),
        (status = 403, description = "The cookie came with a request of another site's page.",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn logout(
    app: Data<App>,
    request: HttpRequest,
    caller: Caller,
    body: OptionalJsonBody,
) -> Result<HttpResponse, Problem> {
    let OptionalJsonBody(mut fields) = body;
    let member = fields.optional_secret("refresh_token");
    fields.finish(Some(()))?;

    let (token, delivery) = refresh_cookie::presented(&app, request.headers(), member)?;
    if let Some(token) = token {
        logout::logout(&app, &token, caller).await?;
    }
    let mut answer = HttpResponse::NoContent();
    if delivery == Delivery::Cookie {
        answer.append_header((SET_COOKIE, refresh_cookie::clear(&app.config.issuer)));
    }
    Ok(answer.finish())
}
