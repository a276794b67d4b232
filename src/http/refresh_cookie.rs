//! How a refresh token travels: in the body, or in a cookie that no script can read.

use std::time::Duration;

use actix_web::http::header::{HeaderMap, SET_COOKIE};
use actix_web::{HttpRequest, HttpResponse};
use signet_guard::Timestamp;
use zeroize::Zeroizing;

use super::cookie::Cookie;
use super::csrf;
use super::error::Problem;
use crate::account::Invalid;
use crate::app::App;
use crate::caller::Caller;
use crate::config::Issuer;
use crate::flow::logout;
use crate::grant::Grant;
use crate::jose::RefreshToken;

const REFRESH: Cookie = Cookie::named("signet-refresh");

/// How a refresh token travels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Delivery {
    /// In the body, for programs.
    #[default]
    Body,
    /// In a cookie, for browsers.
    Cookie,
}

impl Delivery {
    /// The member `delivery` of a request.
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "body" => Ok(Self::Body),
            "cookie" => Ok(Self::Cookie),
            _ => Err(Invalid("must be body or cookie")),
        }
    }
}

/// The token of a request and how it came: the member of the body, or without one the cookie. A browser sends a cookie by
/// itself, so the request must come from a page that may send it, whether there is a cookie or not.
///
/// # Errors
/// When it comes from a page of another site.
pub(super) fn presented(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    member: Option<Zeroizing<String>>,
) -> Result<(Option<Zeroizing<String>>, Delivery), Problem> {
    if member.is_some() {
        return Ok((member, Delivery::Body));
    }
    csrf::check(app, caller, headers)?;
    Ok((cookie(app, headers), Delivery::Cookie))
}

fn cookie(app: &App, headers: &HeaderMap) -> Option<Zeroizing<String>> {
    REFRESH.presented(&app.config.issuer, headers).map(|value| Zeroizing::new(value.to_owned()))
}

/// The answer to a request that has ended sessions: nothing, and the cookie is removed if its session is among them. That
/// of another session, or of somebody else, stays.
pub(super) async fn ended(app: &App, request: &HttpRequest) -> HttpResponse {
    let mut answer = HttpResponse::NoContent();
    if let Some(token) = cookie(app, request.headers())
        && logout::has_ended(app, &token).await
    {
        answer.append_header((SET_COOKIE, clear(&app.config.issuer)));
    }
    answer.finish()
}

/// The value of `Set-Cookie`: kept as long as the grant lives without being used.
pub(super) fn set(issuer: &Issuer, token: &RefreshToken, grant: &Grant, now: Timestamp) -> String {
    let life = grant.idle_until.as_seconds().saturating_sub(now.as_seconds());
    REFRESH.set(issuer, token.as_str(), Duration::from_secs(u64::try_from(life).unwrap_or(0)))
}

/// The value of `Set-Cookie` that removes it.
pub(super) fn clear(issuer: &Issuer) -> String {
    REFRESH.set(issuer, "", Duration::ZERO)
}
