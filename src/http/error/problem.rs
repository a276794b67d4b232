//! The problem document, and the one table of its kinds.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::extract::FieldFault;

/// The media type of a problem document (RFC 9457 §3).
pub const CONTENT_TYPE: &str = "application/problem+json";

/// A problem document (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// What kind of problem this is: `urn:signet:problem:` and a stable word.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The kind in a few words, the same for each occurrence.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request, and what to do about it.
    pub detail: Cow<'static, str>,
    /// This occurrence: `urn:uuid:` and the request id, which the log carries too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The members of the request that are at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldFault>,
    #[serde(skip)]
    header: Option<Box<Header>>,
}

#[derive(Debug, Clone)]
enum Header {
    RetryAfter(Duration),
    Allow(String),
    Challenge,
}

/// Type, status, title.
type Kind = (&'static str, StatusCode, &'static str);

macro_rules! kinds {
    ($($name:ident = $word:literal, $status:ident, $title:literal;)+) => {
        $(const $name: Kind = (concat!("urn:signet:problem:", $word), StatusCode::$status, $title);)+
    };
}

kinds! {
    INVALID_REQUEST = "invalid-request", BAD_REQUEST, "The request is not valid";
    INVALID_GRANT = "invalid-grant", BAD_REQUEST, "The refresh token does not count";
    SIGN_IN_REFUSED = "sign-in-refused", UNAUTHORIZED, "Sign-in refused";
    ACCOUNT_GONE = "account-gone", UNAUTHORIZED, "The account is not active";
    REGISTRATION_CLOSED = "registration-closed", FORBIDDEN, "Registration is closed";
    REAUTHENTICATION = "reauthentication-required", FORBIDDEN, "Prove that it is you";
    CSRF_REJECTED = "csrf-rejected", FORBIDDEN, "A request of another site's page";
    HTTPS_REQUIRED = "https-required", FORBIDDEN, "Plain http is not answered";
    NOT_FOUND = "not-found", NOT_FOUND, "Not found";
    METHOD = "method-not-allowed", METHOD_NOT_ALLOWED, "Method not allowed";
    TOO_SLOW = "request-timeout", REQUEST_TIMEOUT, "The body took too long";
    ADDRESS_TAKEN = "address-taken", CONFLICT, "The address is taken";
    TOO_LARGE = "body-too-large", PAYLOAD_TOO_LARGE, "The body is too large";
    MEDIA_TYPE = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "Not JSON";
    TOO_MANY_TRIES = "too-many-tries", TOO_MANY_REQUESTS, "Too many tries";
    WRONG_HOST = "misdirected-request", MISDIRECTED_REQUEST, "Not a host of this service";
    INTERNAL = "internal", INTERNAL_SERVER_ERROR, "Something went wrong here";
    UNAVAILABLE = "unavailable", SERVICE_UNAVAILABLE, "Temporarily unavailable";
}

impl Problem {
    fn new((kind, status, title): Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            title,
            status: status.as_u16(),
            detail: detail.into(),
            instance: None,
            errors: Vec::new(),
            header: None,
        }
    }

    fn with(mut self, header: Header) -> Self {
        self.header = Some(Box::new(header));
        self
    }

    /// Members of the request are at fault.
    pub fn invalid(errors: Vec<FieldFault>) -> Self {
        let detail = match errors.as_slice() {
            [only] => format!("{} {}.", only.field, only.detail),
            _ => "See errors for each member that is at fault.".to_owned(),
        };
        Self { errors, ..Self::new(INVALID_REQUEST, detail) }
    }

    /// The body is not JSON.
    pub fn not_json(line: usize, column: usize) -> Self {
        let detail = format!("The body is not JSON: line {line}, column {column}. Send one JSON object.");
        Self::new(INVALID_REQUEST, detail)
    }

    /// The body is JSON, but not an object.
    pub fn not_one_object() -> Self {
        Self::new(INVALID_REQUEST, "The body must be one JSON object.")
    }

    /// The body broke off.
    pub fn unreadable_body() -> Self {
        Self::new(INVALID_REQUEST, "The body could not be read to its end.")
    }

    /// Unknown, wrong or disabled: one answer.
    pub fn sign_in_refused() -> Self {
        Self::new(SIGN_IN_REFUSED, "The e-mail address or the password is wrong.").with(Header::Challenge)
    }

    /// The refresh token does not count, whatever the reason: one answer (RFC 6749 §5.2).
    pub fn invalid_grant() -> Self {
        Self::new(INVALID_GRANT, "There is no refresh token that counts with this request. Sign in again.")
    }

    /// A browser was sent here by a page that has no business here.
    pub fn csrf_rejected() -> Self {
        Self::new(
            CSRF_REJECTED,
            "Cookies are taken from the issuer's own pages only, and from origins listed in server.allowed_origins.",
        )
    }

    /// The token is good, the account behind it is not.
    pub fn account_gone() -> Self {
        Self::new(ACCOUNT_GONE, "The account of this token is disabled or deleted. Sign in again.")
            .with(Header::Challenge)
    }

    /// Whoever has the token must prove to be the owner; the sign-in was recent enough for some things.
    pub fn reauthentication_required() -> Self {
        Self::new(
            REAUTHENTICATION,
            "This needs a proof that it is you: send the right current_password, or sign in again and repeat it within \
             five minutes.",
        )
    }

    /// Whoever has the token must send the right password, however recent the sign-in.
    pub fn current_password_required() -> Self {
        Self::new(REAUTHENTICATION, "This needs a proof that it is you: send the right current_password.")
    }

    /// Too many tries at the password of one's own account.
    pub fn too_many_proofs(retry_after: Duration) -> Self {
        Self::new(
            TOO_MANY_TRIES,
            "There were too many tries at the password in this session. Wait Retry-After seconds, or sign in again.",
        )
        .with(Header::RetryAfter(retry_after))
    }

    /// The account has no such session.
    pub fn no_such_session() -> Self {
        Self::new(
            NOT_FOUND,
            "The account has no such session, or it has ended. GET /api/v1/me/sessions lists them.",
        )
    }

    /// Accounts are made by the operator only.
    pub fn registration_closed() -> Self {
        Self::new(REGISTRATION_CLOSED, "Accounts of this service are made by its operator.")
    }

    /// The request came over plain http where https is spoken.
    pub fn https_required() -> Self {
        Self::new(
            HTTPS_REQUIRED,
            "Send this over https, to the issuer's address. What was in this request has crossed the network unprotected.",
        )
    }

    /// No such route.
    pub fn not_found() -> Self {
        Self::new(NOT_FOUND, "There is nothing at this path. See /docs for what there is.")
    }

    /// The route exists, this method of it does not.
    pub fn method_not_allowed(allow: String) -> Self {
        Self::new(METHOD, format!("This path answers {allow}.")).with(Header::Allow(allow))
    }

    /// The body did not arrive in time.
    pub fn body_too_slow() -> Self {
        Self::new(TOO_SLOW, "The body did not arrive in time. Send it again in one go.")
    }

    /// The address has an account already.
    pub fn address_taken() -> Self {
        Self::new(ADDRESS_TAKEN, "An account with this e-mail address exists. Sign in instead.")
    }

    /// Too many tries to sign in. The same for every account, and for none.
    pub fn too_many_sign_ins(retry_after: Duration) -> Self {
        Self::new(
            TOO_MANY_TRIES,
            "There were too many tries to sign in to this account, or from your network. Wait Retry-After seconds, or \
             use a device that has signed in before. If it goes on, ask the operator to unlock the account.",
        )
        .with(Header::RetryAfter(retry_after))
    }

    /// Too many registrations from one network address.
    pub fn too_many_registrations(retry_after: Duration) -> Self {
        Self::new(
            TOO_MANY_TRIES,
            "Too many accounts or addresses were asked for from your network. Wait Retry-After seconds.",
        )
        .with(Header::RetryAfter(retry_after))
    }

    /// The body is over the limit.
    pub fn body_too_large(limit: usize) -> Self {
        Self::new(TOO_LARGE, format!("The body may be at most {limit} bytes long."))
    }

    /// The body is not declared as JSON.
    pub fn unsupported_media_type() -> Self {
        Self::new(MEDIA_TYPE, "Send the body as Content-Type: application/json, without a content coding.")
    }

    /// There is no `Host` header, or more than one.
    pub fn unclear_host() -> Self {
        Self::new(INVALID_REQUEST, "Send one Host header, with the issuer's host.")
    }

    /// The `Host` header names somebody else.
    pub fn wrong_host() -> Self {
        Self::new(
            WRONG_HOST,
            "The Host header names none of this service's hosts. Use the issuer's host, or list this one in server.hosts.",
        )
    }

    /// Our fault; the log says what.
    pub fn internal() -> Self {
        Self::new(
            INTERNAL,
            "The request was not carried out. The operator finds the reason under its instance.",
        )
    }

    /// Nothing is wrong with the request.
    pub fn unavailable(retry_after: Duration) -> Self {
        Self::new(UNAVAILABLE, "The service cannot do this right now. Try again after Retry-After seconds.")
            .with(Header::RetryAfter(retry_after))
    }

    /// The answer that carries this document.
    pub fn response(&self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        match self.header.as_deref() {
            Some(Header::RetryAfter(wait)) => {
                response.insert_header((RETRY_AFTER, wait.as_secs().max(1).to_string()));
            }
            Some(Header::Allow(allow)) => {
                response.insert_header((ALLOW, allow.as_str()));
            }
            // RFC 9110 §15.5.2: a 401 names at least one way in.
            Some(Header::Challenge) => {
                response.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"signet\""));
            }
            None => {}
        }
        // Only text and numbers inside, so that writing it cannot fail.
        let body = serde_json::to_vec(self).unwrap_or_default();
        let mut response = response.content_type(CONTENT_TYPE).body(body);
        response.extensions_mut().insert(self.clone());
        response
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        self.response()
    }
}
