//! `/status`: which tokens were revoked, for APIs that verify offline.

use std::num::IntErrorKind;
use std::sync::Arc;

use actix_web::http::header::ETAG;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::Problem;
use super::extract::FieldFault;
use super::{conditional, prefer};
use crate::app::App;
use crate::flow::status;

/// What changed among the status lists.
#[derive(Serialize, ToSchema)]
pub(crate) struct StatusChanges {
    /// The version of now: send it as `since` next time.
    version: i64,
    /// Where the lists that changed are served.
    lists: Vec<String>,
    /// `true` when `since` is a version that never was, as after a restored backup: forget every list.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    restart: bool,
}

/// A status list
///
/// A signed list of bits, one for each grant: 1 means that every token that points at it was revoked. Tokens name their
/// list and their place in it in the claim `status`. Ask again with `If-None-Match`.
#[utoipa::path(
    get, path = "/status/{list}", tag = "verifiers", operation_id = "statusList",
    params(
        ("list" = i64, Path, description = "As in the token's `status.status_list.uri`."),
        ("Signet-Status-Version" = Option<i64>, Header,
            description = "A version that `GET /status` told: the list is of that version or later, whichever replica answers."),
    ),
    responses(
        (status = 200, description = "A status list token (draft-ietf-oauth-status-list).",
            content_type = "application/statuslist+jwt", body = String),
        (status = 304, description = "Still the same (If-None-Match)."),
        (status = 404, description = "No token points at this list.",
            body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The list of that version cannot be had now.",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    app: Data<App>,
    number: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let number = number_of(&number).ok_or_else(Problem::not_found)?;
    let heard =
        request.headers().get("signet-status-version").and_then(|value| value.to_str().ok()?.parse().ok());
    let found = status::find(&app, number, heard).await?.ok_or_else(Problem::not_found)?;
    let etag = found.etag();
    if conditional::names(&request, &etag) {
        return Ok(HttpResponse::NotModified().insert_header((ETAG, etag)).finish());
    }
    let signed = status::token(&app, found).await?;
    Ok(HttpResponse::Ok()
        .content_type("application/statuslist+jwt")
        .insert_header((ETAG, &*signed.etag))
        .body(Bytes::from_owner(Token(signed.token))))
}

/// What changed
///
/// With `Prefer: wait=30` (RFC 7240) the answer comes when something changes, or after so many seconds, and says
/// `Preference-Applied`. Without that header it came at once because too many are waiting: ask again in a while.
#[utoipa::path(
    get, path = "/status", tag = "verifiers", operation_id = "statusChanges",
    params(
        ("since" = Option<i64>, Query, description = "The version known; without it only the version of now is told."),
        ("Prefer" = Option<String>, Header, description = "`wait=` and at most 30 seconds."),
    ),
    responses(
        (status = 200, description = "The lists that changed after that version.", body = StatusChanges),
        (status = 400, description = "`since` is not a version.",
            body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "It is not known what changed, because the database cannot be read.",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn changes(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let since = since(&request)?;
    let wait = prefer::wait(&request).unwrap_or_default().min(status::LONGEST_WAIT);
    let answered = status::changes(&app, since, wait).await?;
    let mut answer = HttpResponse::Ok();
    if answered.waited {
        answer.insert_header(("preference-applied", format!("wait={}", wait.as_secs())));
    }
    let changes = answered.changes;
    Ok(answer.json(StatusChanges {
        version: changes.version,
        lists: changes.lists.into_iter().map(|list| app.status_board.uri(list)).collect(),
        restart: changes.restart,
    }))
}

/// A list has one name: no sign, no leading zeros.
fn number_of(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number: &i64| number.to_string() == text)
}

/// `since`, at most once.
fn since(request: &HttpRequest) -> Result<Option<i64>, Problem> {
    let mut all = url::form_urlencoded::parse(request.query_string().as_bytes())
        .filter_map(|(name, value)| (name == "since").then_some(value));
    let Some(value) = all.next() else { return Ok(None) };
    let version = match value.parse::<i64>() {
        // No version is so high: like any other that never was, it is told to begin anew, or its sender never would.
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => Ok(i64::MAX),
        outcome => outcome,
    };
    match version {
        Ok(version @ 0..) if all.next().is_none() => Ok(Some(version)),
        _ => Err(Problem::invalid(vec![FieldFault {
            field: "since".to_owned(),
            code: "invalid",
            detail: "must be the version of an earlier answer: a whole number, once".to_owned(),
        }])),
    }
}

/// The bytes of a token that several answers share.
struct Token(Arc<str>);

impl AsRef<[u8]> for Token {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
