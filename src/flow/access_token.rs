//! Issuing an access token (RFC 9068).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use signet_guard::{AccessTokenClaims, Audience, Scope, Timestamp};

use crate::account::User;
use crate::app::App;
use crate::jose::SignError;

/// The client of a first-party sign-in (`POST /api/v1/login`). No account id can equal it: those are UUIDs (RFC 9068
/// §5).
pub const FIRST_PARTY_CLIENT: &str = "first-party";

/// The scope that opens the account's own routes under `/api/v1/me`. Only first-party sign-ins get it.
pub const ACCOUNT_SCOPE: &str = "signet:account";

/// What a token says beyond what the settings say for all.
pub struct Issue<'a> {
    /// Whom it speaks for.
    pub user: &'a User,
    /// What it allows.
    pub scope: Scope,
    /// When the person proved who they are: `auth_time`, and the moment of issue.
    pub authenticated_at: Timestamp,
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

/// Signs an access token for a user of the first-party client.
///
/// # Errors
/// When there is no active key, or more signatures are waiting than the queue holds.
///
/// # Source
/// RFC 9068 §2.
pub async fn issue(app: &App, issue: Issue<'_>) -> Result<Issued, SignError> {
    let life = app.config.tokens.access_token_life;
    let claims = AccessTokenClaims {
        iss: app.config.issuer.as_str().to_owned(),
        sub: issue.user.id.as_str().to_owned(),
        aud: Audience::One(app.config.tokens.audience.clone()),
        exp: issue.authenticated_at.plus(life),
        nbf: None,
        iat: issue.authenticated_at,
        jti: random_jti(),
        client_id: FIRST_PARTY_CLIENT.to_owned(),
        scope: issue.scope.clone(),
        auth_time: Some(issue.authenticated_at),
        sid: None,
        roles: issue.user.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        status: None,
        own: serde_json::Map::new(),
    };
    let access_token = app.keyring.sign_access_token(claims).await?;
    Ok(Issued { access_token, expires_in: life.as_secs(), scope: issue.scope })
}

/// 128 random bits: RFC 7519 §4.1.7 asks for a negligible chance that two tokens share one.
fn random_jti() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>())
}
