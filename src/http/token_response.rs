//! The answer of sign-in and refresh.

use serde::Serialize;
use signet_guard::Scope;
use utoipa::ToSchema;

use super::refresh_cookie::Delivery;
use crate::account::Invalid;
use crate::flow::access_token::Issued;
use crate::flow::device::DeviceProof;
use crate::jose::RefreshToken;

/// Longest scope that may be asked for, in bytes.
const LONGEST_SCOPE: usize = 1000;

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
    /// What the next access token is had for, at `POST /api/v1/refresh`: opaque, and secret. Keep the one of the latest
    /// answer. Not here when it is delivered in a cookie.
    #[schema(example = "sgr_AbC…")]
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// At a sign-in, the proof that this device has signed in to this account, for 180 days: send it with the next sign-in,
    /// and keep it as you keep the token. It is worth nothing without the password, and void with a new one.
    #[schema(example = "sgd_AbC…")]
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
}

impl TokenResponse {
    /// The answer; without the refresh token when that is in a cookie.
    pub(super) fn new(
        issued: Issued,
        refresh_token: &RefreshToken,
        delivery: Delivery,
        device: Option<&DeviceProof>,
    ) -> Self {
        let in_body = delivery == Delivery::Body;
        Self {
            access_token: issued.access_token,
            token_type: "Bearer",
            expires_in: issued.expires_in,
            scope: issued.scope.to_string(),
            refresh_token: in_body.then(|| refresh_token.as_str().to_owned()),
            device: device.map(|device| device.as_str().to_owned()),
        }
    }
}

/// The member `scope` of a request.
pub(super) fn scope(text: &str) -> Result<Scope, Invalid> {
    if text.len() > LONGEST_SCOPE {
        return Err(Invalid("must be at most 1000 bytes long"));
    }
    text.parse()
        .map_err(|_| Invalid("must be scope tokens separated by single spaces (RFC 6749 section 3.3)"))
}
