//! `POST /api/v1/refresh`.

use actix_web::http::header::SET_COOKIE;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use super::error::Problem;
use super::extract::OptionalJsonBody;
use super::refresh_cookie::{self, Delivery};
use super::token_response::{self, TokenResponse};
use crate::app::App;
use crate::caller::Caller;
use crate::flow::refresh::{self, Attempt};

/// A refresh (RFC 6749 §6).
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "describes the body; `Fields` reads it")]
pub(crate) struct RefreshRequest {
    /// The refresh token of the latest answer. Without it, the cookie counts.
    #[schema(format = "password", example = "sgr_AbC…")]
    refresh_token: Option<String>,
    /// A part of what was granted, for this access token only; all of it when left out.
    #[schema(max_length = 1000, example = "signet:account")]
    scope: Option<String>,
}

/// Get a new access token
///
/// The answer carries the refresh token to use from then on. Whoever lost an answer may ask again with the same token within
/// `tokens.refresh_grace`, and gets the same. A token that comes again later ends its session.
#[utoipa::path(
    post, path = "/api/v1/refresh", tag = "accounts", operation_id = "refresh",
    request_body = Option<RefreshRequest>,
    responses(
        (status = 200, description = "A token, with the roles of now.", body = TokenResponse),
        (status = 400, description = "The refresh token does not count (any more), or more scope than was granted was asked for.",
            body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The cookie came with a request of another site's page.",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn refresh(
    app: Data<App>,
    request: HttpRequest,
    caller: Caller,
    body: OptionalJsonBody,
) -> Result<HttpResponse, Problem> {
    let OptionalJsonBody(mut fields) = body;
    let member = fields.optional_secret("refresh_token");
    let scope = fields.optional("scope", token_response::scope);
    fields.finish(Some(()))?;

    let (token, delivery) = refresh_cookie::presented(&app, request.headers(), member)?;
    let token = token.ok_or_else(Problem::invalid_grant)?;
    let refreshed = refresh::refresh(&app, Attempt { token, scope, caller }).await?;
    let mut answer = HttpResponse::Ok();
    if delivery == Delivery::Cookie {
        let (token, grant) = (&refreshed.refresh_token, &refreshed.grant);
        let cookie = refresh_cookie::set(&app.config.issuer, token, grant, app.clock.now());
        answer.append_header((SET_COOKIE, cookie));
    }
    Ok(answer.json(TokenResponse::new(refreshed.issued, &refreshed.refresh_token, delivery, None)))
}
