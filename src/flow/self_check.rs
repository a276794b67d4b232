//! The proof, at the end of a first start, that a token of ours is accepted by a verifier that knows nothing but what
//! we publish.

use signet_guard::{KeySet, KeySource, Scope, Verifier};
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use crate::account::{Email, User, UserId};
use crate::app::App;
use crate::caller::Caller;
use crate::flow::access_token::{self, ACCOUNT_SCOPE, FIRST_PARTY_CLIENT, Issue};
use crate::grant::{Given, Grant};
use crate::jose::SignError;

/// Which step failed.
#[derive(Debug, thiserror::Error)]
#[error("the self-check failed: {0}")]
pub struct SelfCheckFailed(String);

/// Signs a token, reads the JWK Set as it is published, lets a guard accept the token and refuse a tampered one.
///
/// # Errors
/// Names the step that failed.
pub async fn run(app: &App) -> Result<(), SelfCheckFailed> {
    let failed = |step: &str, error: &dyn std::fmt::Display| SelfCheckFailed(format!("{step}: {error}"));

    let user = nobody(app).map_err(|error| failed("subject", &error))?;
    let scope: Scope = ACCOUNT_SCOPE.parse().map_err(|error| failed("scope", &error))?;
    let now = app.clock.now();
    let given = Given {
        user: user.id.clone(),
        client_id: FIRST_PARTY_CLIENT.to_owned(),
        scope: scope.clone(),
        root_key_id: String::new(),
        caller: Caller::default(),
    };
    let grant = Grant::new(given, &app.config.tokens, now);
    let issue = Issue { user: &user, grant: &grant, scope, now };
    let unsigned = |error: SignError| failed("signing a token", &error);
    let signature = app.keyring.reserve_signature().map_err(unsigned)?;
    let token = access_token::issue(app, signature, issue).await.map_err(unsigned)?.access_token;

    let key_set = KeySet::from_json(&app.keyring.published().bytes)
        .map_err(|error| failed("reading the JWK Set", &error))?;
    let guard =
        Verifier::builder(app.config.issuer.as_str(), &app.config.tokens.audience, KeySource::fixed(key_set))
            .clock(app.clock.clone())
            .build()
            .map_err(|error| failed("building a guard", &error))?;

    let claims =
        guard.verify(&token).await.map_err(|error| failed("verifying the token", &error.reason()))?;
    if claims.sub != user.id.as_str() {
        return Err(SelfCheckFailed("the verified token names another subject".to_owned()));
    }
    // Without a log line: an operator's first start must not begin with a refused token.
    match guard.verify(&tampered(&token)).with_subscriber(NoSubscriber::default()).await {
        Err(_) => Ok(()),
        Ok(_) => Err(SelfCheckFailed("a tampered token was accepted".to_owned())),
    }
}

/// The token with one character of its claims changed.
fn tampered(token: &str) -> String {
    let at = token.find('.').map_or(0, |dot| dot + 10);
    token
        .char_indices()
        .map(|(index, c)| match c {
            'A' if index == at => 'B',
            _ if index == at => 'A',
            c => c,
        })
        .collect()
}

/// A subject that no database holds.
fn nobody(app: &App) -> Result<User, crate::account::Invalid> {
    Ok(User {
        id: UserId::random(),
        email: Email::parse("self-check@localhost")?,
        name: None,
        roles: Vec::new(),
        credential_version: 0,
        created_at: app.clock.now(),
        last_sign_in: None,
        disabled_at: None,
    })
}
