//! `/api/v1/me/sessions`.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::flow::reauthentication::Owner;
use crate::flow::sessions::{self, OwnSessionsError, Which};
use crate::grant::SessionId;
use crate::http::error::Problem;
use crate::http::extract::FieldFault;
use crate::http::refresh_cookie;
use crate::http::user_document::rfc3339;
use crate::store::Session;

/// A session, as the owner of the account sees it.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionDocument {
    /// Its name; its access tokens carry it as `sid`.
    #[schema(example = "Zx0Jp3Yq1nQb8d5VtK2m7A")]
    id: String,
    /// The client that was signed in to.
    #[schema(example = "first-party")]
    client_id: String,
    /// What its tokens allow at most.
    #[schema(example = "signet:account")]
    scope: String,
    /// When it began (RFC 3339).
    #[schema(format = "date-time")]
    created_at: String,
    /// When its refresh token was last replaced, or when it began (RFC 3339).
    #[schema(format = "date-time")]
    last_used_at: String,
    /// What the program called itself when it was last used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "curl/8.5.0")]
    user_agent: Option<String>,
    /// The network address it was last used from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "203.0.113.7")]
    address: Option<String>,
    /// Whether it is the one that asks.
    current: bool,
}

/// The sessions of an account.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionsDocument {
    /// Last used first; of more than 200, those.
    sessions: Vec<SessionDocument>,
}

fn document(session: &Session, current: Option<&SessionId>) -> SessionDocument {
    SessionDocument {
        id: session.id.to_string(),
        client_id: session.client_id.clone(),
        scope: session.scope.clone(),
        created_at: rfc3339(session.created_at),
        last_used_at: rfc3339(session.last_used_at),
        user_agent: session.last_caller.user_agent.as_ref().map(|agent| agent.as_str().to_owned()),
        address: session.last_caller.address.map(|address| address.to_string()),
        current: current == Some(&session.id),
    }
}

/// List one's own sessions
#[utoipa::path(
    get, path = "/api/v1/me/sessions", tag = "own account", operation_id = "listOwnSessions",
    security(("bearer" = [])),
    responses((status = 200, description = "The sessions that can be used.", body = SessionsDocument)),
)]
pub(crate) async fn list(app: Data<App>, owner: Owner) -> Result<HttpResponse, Problem> {
    let sessions = sessions::own(&app, &owner).await?;
    let sessions = sessions.iter().map(|session| document(session, owner.session.as_ref())).collect();
    Ok(HttpResponse::Ok().json(SessionsDocument { sessions }))
}

/// End one of one's own sessions
#[utoipa::path(
    delete, path = "/api/v1/me/sessions/{id}", tag = "own account", operation_id = "endOwnSession",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The `id` of the session. It may be the one that asks.")),
    responses(
        (status = 204, description = "The session has ended. Its refresh cookie, if it came along, is removed."),
        (status = 404, description = "The account has no such session, or it had ended.",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn end_one(
    app: Data<App>,
    owner: Owner,
    id: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let session = SessionId::parse(&id).ok_or(OwnSessionsError::NoSuchSession)?;
    sessions::end_own(&app, &owner, Which::One(session)).await?;
    Ok(refresh_cookie::ended(&app, &request).await)
}

/// End all of one's own sessions
///
/// Also the one that asks, unless it is excepted.
#[utoipa::path(
    delete, path = "/api/v1/me/sessions", tag = "own account", operation_id = "endOwnSessions",
    security(("bearer" = [])),
    params(("except" = Option<String>, Query, description = "`current`: the session that asks goes on.", example = "current")),
    responses((status = 204, description = "The sessions have ended. A refresh cookie of one of them, if it came along, is removed.")),
)]
pub(crate) async fn end_all(
    app: Data<App>,
    owner: Owner,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let which = match request.query_string() {
        "" => Which::All,
        "except=current" => Which::Others,
        // Whoever meant to keep a session must not lose it to a slip of the pen.
        _ => {
            return Err(Problem::invalid(vec![FieldFault {
                field: "except".to_owned(),
                code: "invalid",
                detail: "is the only parameter of the query, and its only value is current".to_owned(),
            }]));
        }
    };
    sessions::end_own(&app, &owner, which).await?;
    Ok(refresh_cookie::ended(&app, &request).await)
}
