//! `GET /api/v1/me`: the account behind the token, guarded by our own guard.

use actix_web::HttpResponse;
use actix_web::web::Data;
use signet_guard::actix::AccessToken;

use super::error::Problem;
use super::user_document::UserDocument;
use crate::account::UserId;
use crate::app::App;
use crate::flow::access_token::ACCOUNT_SCOPE;
use crate::flow::accounts;

/// Read one's own account
#[utoipa::path(
    get, path = "/api/v1/me", tag = "accounts", operation_id = "readOwnAccount",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The account.", body = UserDocument),
        (status = 400, description = "More than one token was sent.",
            body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid token, or its account is not active any more.",
            body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token lacks the scope signet:account.",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(app: Data<App>, token: AccessToken) -> Result<HttpResponse, actix_web::Error> {
    token.require_scope(ACCOUNT_SCOPE)?;
    let user = match UserId::parse(&token.sub) {
        Ok(id) => accounts::by_id(&app, id).await.map_err(Problem::from)?,
        Err(_) => None,
    };
    match user {
        Some(user) if user.disabled_at.is_none() => Ok(HttpResponse::Ok().json(UserDocument::from(&user))),
        _ => Err(Problem::account_gone().into()),
    }
}
