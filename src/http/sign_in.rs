//! `POST /api/v1/login`.

use actix_web::http::header::SET_COOKIE;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use signet_guard::Scope;
use utoipa::ToSchema;

use super::device_cookie;
use super::error::Problem;
use super::extract::JsonBody;
use crate::account::{Email, Invalid};
use crate::app::App;
use crate::caller::Caller;
use crate::flow::device::PresentedDevice;
use crate::flow::sign_in::{self, SignIn, SignedIn};
use crate::password::Password;

/// Longest scope that may be asked for, in bytes.
const LONGEST_SCOPE: usize = 1000;

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
}

/// A token response (RFC 6749 §5.1).
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenResponse {
    /// A signed JWT (RFC 9068).
    access_token: String,
    /// `Bearer` (RFC 6750).
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// The life of the access token from now, in seconds.
    #[schema(example = 600)]
    expires_in: u64,
    /// What the token allows.
    #[schema(example = "signet:account")]
    scope: String,
    /// What the next access token is had for, at `POST /api/v1/refresh`: opaque, and secret. Each answer there carries the one to use from then on.
    #[schema(example = "sgr_AbC…")]
    refresh_token: String,
    /// The proof that this device has signed in to this account, for 180 days: send it with the next sign-in, and keep it
    /// as you keep the token. It is worth nothing without the password, and void with a new one.
    #[schema(example = "sgd_AbC…")]
    device: String,
}

impl From<SignedIn> for TokenResponse {
    fn from(SignedIn { issued, refresh_token, device, .. }: SignedIn) -> Self {
        Self {
            access_token: issued.access_token,
            token_type: "Bearer",
            expires_in: issued.expires_in,
            scope: issued.scope.to_string(),
            refresh_token: refresh_token.as_str().to_owned(),
            device: device.as_str().to_owned(),
        }
    }
}

/// Sign in
#[utoipa::path(
    post, path = "/api/v1/login", tag = "accounts", operation_id = "login",
    request_body = LoginRequest,
    responses(
        (status = 200, description = "A token. The device proof is set as a cookie too.", body = TokenResponse),
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
    let scope = fields.optional("scope", scope);
    let device = fields.optional_secret("device");
    let (email, password) = fields.finish(email.zip(password))?;

    let issuer = &app.config.issuer;
    let device = device
        .and_then(|text| PresentedDevice::parse(&text))
        .or_else(|| device_cookie::presented(issuer, request.headers()));
    let attempt = SignIn { email, password: Password::new(password), scope, caller, device };
    let signed_in = sign_in::sign_in(&app, attempt).await?;
    let cookie = device_cookie::set(issuer, &signed_in.device);
    Ok(HttpResponse::Ok().insert_header((SET_COOKIE, cookie)).json(TokenResponse::from(signed_in)))
}

fn scope(text: &str) -> Result<Scope, Invalid> {
    if text.len() > LONGEST_SCOPE {
        return Err(Invalid("must be at most 1000 bytes long"));
    }
    text.parse()
        .map_err(|_| Invalid("must be scope tokens separated by single spaces (RFC 6749 section 3.3)"))
}
