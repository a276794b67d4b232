//! `POST /api/v1/register`.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Deserialize;
use utoipa::ToSchema;

use super::error::Problem;
use super::extract::{ClientAddress, JsonBody};
use super::user_document::UserDocument;
use crate::account::{DisplayName, Email};
use crate::app::App;
use crate::caller::Caller;
use crate::flow::registration::{self, Registration};
use crate::password::Password;

/// What a new account is made of.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "describes the body; `Fields` reads it")]
pub(crate) struct RegisterRequest {
    /// The sign-in name: an e-mail address.
    #[schema(format = "email", max_length = 254, example = "ann@example.com")]
    email: String,
    /// The password, as long as you like up to the limit of the service; no rules about its characters.
    #[schema(format = "password", example = "a quiet walk by the sea")]
    password: String,
    /// What to be called.
    #[schema(min_length = 1, max_length = 100, example = "Ann")]
    name: Option<String>,
}

/// Make an account
#[utoipa::path(
    post, path = "/api/v1/register", tag = "accounts", operation_id = "register",
    request_body = RegisterRequest,
    responses(
        (status = 201, description = "The account exists.", body = UserDocument),
        (status = 403, description = "Accounts are made by the operator only.",
            body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The address has an account.",
            body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many registrations from one network address; see Retry-After.",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn register(
    app: Data<App>,
    ClientAddress(address): ClientAddress,
    caller: Caller,
    body: JsonBody,
) -> Result<HttpResponse, Problem> {
    let JsonBody(mut fields) = body;
    let email = fields.required("email", Email::parse);
    let password = fields.secret("password");
    let name = fields.optional("name", DisplayName::parse);
    let (email, password) = fields.finish(email.zip(password))?;

    let registration = Registration { email, password: Password::new(password), name, address, caller };
    let user = registration::register(&app, registration).await?;
    Ok(HttpResponse::Created().json(UserDocument::from(&user)))
}
