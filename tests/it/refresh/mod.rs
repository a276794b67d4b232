//! Refresh tokens and the end of sessions, from outside.

mod authority;
mod cookie;
mod cross_site;
mod lives;
mod logout;
mod races;
mod rotation;
mod sessions;
mod slots;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use signet::grant::{Grant, GrantId};

use crate::helpers::app::{PASSWORD, TestApp, claims_of, json_of};

/// Longer than the default grace of 30 seconds.
const PAST_GRACE: Duration = Duration::from_secs(31);

/// The tokens of one answer.
struct Tokens {
    access: String,
    refresh: String,
}

impl Tokens {
    async fn of(answer: Response) -> Self {
        assert_eq!(answer.status(), StatusCode::OK);
        let body = json_of(answer).await;
        let [access, refresh] =
            ["access_token", "refresh_token"].map(|member| body[member].as_str().unwrap().to_owned());
        Self { access, refresh }
    }

    fn claims(&self) -> Value {
        claims_of(&self.access)
    }
}

async fn sign_in(app: &TestApp, email: &str) -> Tokens {
    Tokens::of(app.login(email, PASSWORD).await).await
}

/// Makes an account and signs in.
async fn new_session(app: &TestApp) -> Tokens {
    app.register("ann@example.com").await;
    sign_in(app, "ann@example.com").await
}

async fn try_refresh(app: &TestApp, token: &str) -> Response {
    app.post("/api/v1/refresh", &json!({ "refresh_token": token })).await
}

async fn refresh(app: &TestApp, token: &str) -> Tokens {
    Tokens::of(try_refresh(app, token).await).await
}

/// Whether the token is refused, in the one way in which all are.
async fn is_refused(app: &TestApp, token: &str) -> bool {
    let answer = try_refresh(app, token).await;
    if answer.status() == StatusCode::OK {
        return false;
    }
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert!(!answer.headers().contains_key("set-cookie"));
    let mut problem = json_of(answer).await;
    problem.as_object_mut().unwrap().remove("instance");
    let expected = json!({
        "type": "urn:signet:problem:invalid-grant",
        "title": "The refresh token does not count",
        "status": 400,
        "detail": "There is no refresh token that counts with this request. Sign in again.",
    });
    assert_eq!(problem, expected);
    true
}

async fn logout(app: &TestApp, token: &str) -> StatusCode {
    app.post("/api/v1/logout", &json!({ "refresh_token": token })).await.status()
}

/// The grant of a token as it is stored.
async fn stored(app: &TestApp, token: &str) -> Grant {
    let bytes = URL_SAFE_NO_PAD.decode(&token[4..]).unwrap();
    let id = GrantId::from_bytes(bytes[5..21].try_into().unwrap());
    app.app.db.read(id, |tx, id| Box::pin(async move { tx.grant(id).await })).await.unwrap().unwrap()
}
