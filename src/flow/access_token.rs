//! Issuing an access token (RFC 9068).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use signet_guard::{AccessTokenClaims, Audience, Scope, StatusReference, Timestamp};

use crate::account::User;
use crate::app::App;
use crate::grant::Grant;
use crate::jose::{SignError, Signature};

/// The client of a first-party sign-in (`POST /api/v1/login`). No account id can equal it: those are UUIDs (RFC 9068
/// §5).
pub const FIRST_PARTY_CLIENT: &str = "first-party";

/// The scope that opens the account's own routes under `/api/v1/me`. Only first-party sign-ins get it.
pub const ACCOUNT_SCOPE: &str = "signet:account";

/// What a token says beyond what the settings say for all.
pub struct Issue<'a> {
    /// Whom it speaks for, with the roles of now.
    pub user: &'a User,
    /// What it rests on. Its serial must be the one the database gave.
    pub grant: &'a Grant,
    /// What it allows; no more than the grant.
    pub scope: Scope,
    /// The moment of issue.
    pub now: Timestamp,
}

/// A signed access token, as RFC 6749 §5.1 answers it.
pub struct Issued {
    /// The token itself.
    pub access_token: String,
    /// Its life from now, in seconds.
    pub expires_in: u64,
    /// What it allows.
    pub scope: Scope,
}

/// Signs an access token of a grant, with what was reserved for it before the grant was written.
///
/// It never outlives its grant, nor the time for which the grant's status bit is kept.
///
/// # Errors
/// When the signing threads have stopped, or the crypto library refuses.
///
/// # Source
/// RFC 9068 §2; `sid` as in OpenID Connect Front-Channel Logout §3; `status` as in draft-ietf-oauth-status-list §6.
pub async fn issue(app: &App, signature: Signature, issue: Issue<'_>) -> Result<Issued, SignError> {
    let Issue { user, grant, scope, now } = issue;
    let expires_at = now.plus(app.config.tokens.access_token_life).min(grant.tokens_until());
    let uri = app.config.issuer.join(&format!("/status/{}", grant.serial.list()));
    let claims = AccessTokenClaims {
        iss: app.config.issuer.as_str().to_owned(),
        sub: user.id.as_str().to_owned(),
        aud: Audience::One(app.config.tokens.audience.clone()),
        exp: expires_at,
        nbf: None,
        iat: now,
        jti: random_jti(),
        client_id: grant.client_id.clone(),
        scope: scope.clone(),
        auth_time: Some(grant.authenticated_at),
        sid: Some(grant.session.as_str().to_owned()),
        roles: user.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        status: Some(StatusReference { idx: grant.serial.index(), uri }),
        own: serde_json::Map::new(),
    };
    let access_token = signature.sign(claims).await?;
    let expires_in = expires_at.as_seconds().saturating_sub(now.as_seconds());
    Ok(Issued { access_token, expires_in: u64::try_from(expires_in).unwrap_or(0), scope })
}

/// 128 random bits: RFC 7519 §4.1.7 asks for a negligible chance that two tokens share one.
fn random_jti() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>())
}
