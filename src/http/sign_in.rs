//! `POST /api/v1/login`.

use actix_web::http::header::SET_COOKIE;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use super::error::Problem;
use super::extract::JsonBody;
use super::refresh_cookie::{self, Delivery};
use super::token_response::{self, TokenResponse};
use super::{csrf, device_cookie};
use crate::account::Email;
use crate::app::App;
use crate::caller::Caller;
use crate::flow::device::PresentedDevice;
use crate::flow::sign_in::{self, SignIn, SignedIn};
use crate::password::Password;

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "describes the body; `Fields` reads it")]
pub(crate) struct LoginRequest {
    /// The e-mail address of the account, in any spelling.
    #[schema(example = "ann@example.com")]
    email: String,
    /// The password.
    #[schema(format = "password", example = "a quiet walk by the sea")]
    password: String,
    /// A part of what the service offers, separated by spaces (RFC 6749 §3.3); all of it when left out.
    #[schema(max_length = 1000, example = "signet:account")]
    scope: Option<String>,
    /// The `device` of an earlier answer: with it, strangers who guess at the account cannot keep you out. Browsers send
    /// it as a cookie by themselves. One that does not count (any more) is ignored.
    #[schema(example = "sgd_AbC…")]
    device: Option<String>,
    /// Where the refresh token goes: into the `body` of the answer, or into a `cookie` that no script can read.
    #[schema(example = "body")]
    delivery: Option<String>,
}

/// Sign in
#[utoipa::path(
    post, path = "/api/v1/login", tag = "accounts", operation_id = "login",
    request_body = LoginRequest,
    responses(
        (status = 200, description = "A token. The device proof is set as a cookie too.", body = TokenResponse),
        (status = 403, description = "A cookie was asked for by another site's page.",
            body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The address or the password is wrong, or the account is disabled.",
            body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many tries at this account or from this network address; see Retry-After.",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn login(
    app: Data<App>,
    request: HttpRequest,
    caller: Caller,
    body: JsonBody,
) -> Result<HttpResponse, Problem> {
    let JsonBody(mut fields) = body;
    let email = fields.required("email", Email::parse);
    let password = fields.secret("password");
    let scope = fields.optional("scope", token_response::scope);
    let device = fields.optional_secret("device");
    let delivery = fields.optional("delivery", Delivery::parse).unwrap_or_default();
    let (email, password) = fields.finish(email.zip(password))?;

    let issuer = &app.config.issuer;
    if delivery == Delivery::Cookie {
        csrf::check(&app, request.headers())?;
    }
    let device = device
        .and_then(|text| PresentedDevice::parse(&text))
        .or_else(|| device_cookie::presented(issuer, request.headers()));
    let attempt = SignIn { email, password: Password::new(password), scope, caller, device };
    let signed_in = sign_in::sign_in(&app, attempt).await?;
    let SignedIn { issued, refresh_token, grant, device } = signed_in;
    let mut answer = HttpResponse::Ok();
    answer.append_header((SET_COOKIE, device_cookie::set(issuer, &device)));
    if delivery == Delivery::Cookie {
        let cookie = refresh_cookie::set(issuer, &refresh_token, &grant, app.clock.now());
        answer.append_header((SET_COOKIE, cookie));
    }
    Ok(answer.json(TokenResponse::new(issued, &refresh_token, delivery, Some(&device))))
}
