//! What a person does to their own account, and the operator to anybody's: what ends with it, and what does not.

mod cookie;
mod deletion;
mod operator;
mod password;
mod profile;
mod races;
mod reauthentication;
mod sessions;

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use signet::account::UserId;
use signet::flow::audit_log;

use crate::helpers::app::{PASSWORD, TestApp, claims_of, json_of};
use crate::helpers::db::{Outside, connect};

const NEW: &str = "a slow train through the hills";
const WRONG: &str = "not the right pass phrase";
/// Just too long ago to count as a recent sign-in.
const STALE: Duration = Duration::from_secs(5 * 60 + 1);

/// What a sign-in left on a device.
struct SignedIn {
    token: String,
    sid: String,
    refresh_token: String,
}

impl SignedIn {
    async fn from(answer: Response) -> Self {
        assert_eq!(answer.status(), StatusCode::OK);
        let body = json_of(answer).await;
        let text = |member: &str| body[member].as_str().unwrap().to_owned();
        let token = text("access_token");
        let sid = claims_of(&token)["sid"].as_str().unwrap().to_owned();
        Self { token, sid, refresh_token: text("refresh_token") }
    }

    async fn new(app: &TestApp, email: &str) -> Self {
        Self::from(app.login(email, PASSWORD).await).await
    }

    async fn ask(&self, app: &TestApp, method: Method, path: &str, body: Option<Value>) -> Response {
        let request = app.request(method, path).bearer_auth(&self.token);
        body.map_or(request.try_clone().unwrap(), |body| request.json(&body)).send().await.unwrap()
    }

    async fn put_password(&self, app: &TestApp, current: &str, new: &str) -> Response {
        let body = json!({ "current_password": current, "new_password": new });
        self.ask(app, Method::PUT, "/api/v1/me/password", Some(body)).await
    }

    async fn patch(&self, app: &TestApp, body: Value) -> Response {
        self.ask(app, Method::PATCH, "/api/v1/me", Some(body)).await
    }

    async fn delete(&self, app: &TestApp, body: Option<Value>) -> Response {
        self.ask(app, Method::DELETE, "/api/v1/me", body).await
    }

    async fn refresh(&self, app: &TestApp) -> Response {
        app.post("/api/v1/refresh", &json!({ "refresh_token": self.refresh_token })).await
    }

    /// The session is dead: its refresh token opens nothing.
    async fn assert_ended(&self, app: &TestApp) {
        assert_problem(self.refresh(app).await, StatusCode::BAD_REQUEST, "invalid-grant").await;
    }

    /// The list of sessions, as this one sees it.
    async fn sessions(&self, app: &TestApp) -> Vec<Value> {
        let answer = self.ask(app, Method::GET, "/api/v1/me/sessions", None).await;
        assert_eq!(answer.status(), StatusCode::OK);
        json_of(answer).await["sessions"].as_array().unwrap().clone()
    }
}

/// A problem of that status and kind.
async fn assert_problem(answer: Response, status: StatusCode, kind: &str) -> Value {
    assert_eq!(answer.status(), status);
    let problem = json_of(answer).await;
    assert_eq!(problem["type"], format!("urn:signet:problem:{kind}"), "{problem}");
    problem
}

/// The sessions of an account that are not revoked, last used first.
async fn alive(app: &TestApp, user: &str) -> Vec<String> {
    let user = UserId::parse(user).unwrap();
    let now = app.clock.now();
    let sessions = app
        .app
        .db
        .read((user, now), |tx, (user, now)| Box::pin(tx.live_sessions(user, *now, u32::MAX)))
        .await
        .unwrap();
    sessions.into_iter().map(|session| session.id.to_string()).collect()
}

/// An entry of the audit log.
struct Entry {
    event: String,
    actor: String,
    session: Option<String>,
    reason: Option<String>,
    count: i64,
}

/// The entries about what was done to an account, also those that waited to be written: not who signed in to it.
async fn entries(app: &TestApp, user: &str) -> Vec<Entry> {
    audit_log::flush(&app.app).await;
    let sql = "SELECT event, actor, session_id, reason, count FROM audit WHERE user_id = $1 \
               AND event NOT IN ('user.registered', 'login.success', 'login.fail', 'refresh.fail') ORDER BY id";
    type Row = (String, String, Option<String>, Option<String>, i64);
    let rows: Vec<Row> = match connect(&app.app.config.database).await {
        Outside::Sqlite(mut it) => sqlx::query_as(sql).bind(user).fetch_all(&mut it).await.unwrap(),
        Outside::Postgres(mut it) => sqlx::query_as(sql).bind(user).fetch_all(&mut it).await.unwrap(),
    };
    let entry = |(event, actor, session, reason, count)| Entry { event, actor, session, reason, count };
    rows.into_iter().map(entry).collect()
}

/// The same as short lines, in the order in which they were written.
async fn events(app: &TestApp, user: &str) -> Vec<String> {
    let line = |Entry { event, actor, reason, .. }: Entry| {
        format!("{event} {actor} {}", reason.unwrap_or_default()).trim().to_owned()
    };
    entries(app, user).await.into_iter().map(line).collect()
}
