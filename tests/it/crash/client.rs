//! The real program, killed and started again, and a client that goes on with whatever it holds.

use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tempfile::TempDir;

use super::quick;
use crate::helpers::app::{PASSWORD, json_of};
use crate::helpers::process::Process;

/// A server on SQLite, and the folder that outlives it.
pub(super) struct Server {
    pub(super) process: Process,
    pub(super) client: Client,
    folder: TempDir,
}

/// A client's session: every refresh token it was given, in order.
pub(super) struct Session {
    pub(super) tokens: Vec<String>,
}

impl Server {
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Process::start_command(quick(folder.path()), folder.path()).unwrap();
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        Self { process, client, folder }
    }

    /// Starts it again after a kill.
    pub(super) fn again(&mut self) {
        self.process = Process::start_command(quick(self.folder.path()), self.folder.path()).unwrap();
    }

    /// SIGKILL, and the end of it.
    pub(super) fn kill(&mut self) {
        self.process.child.kill().unwrap();
        self.process.child.wait().unwrap();
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> reqwest::Result<Response> {
        self.client.post(format!("{}{path}", self.process.url)).json(body).send().await
    }

    pub(super) async fn refresh(&self, token: &str) -> reqwest::Result<Response> {
        self.post("/api/v1/refresh", &json!({ "refresh_token": token })).await
    }

    /// An account with so many sessions.
    pub(super) async fn sessions(&self, email: &str, count: usize) -> Vec<Session> {
        let credentials = json!({ "email": email, "password": PASSWORD });
        let registered = self.post("/api/v1/register", &credentials).await.unwrap();
        assert_eq!(registered.status(), StatusCode::CREATED);
        let mut sessions = Vec::new();
        for _ in 0..count {
            let answer = self.post("/api/v1/login", &credentials).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            sessions.push(Session { tokens: vec![refresh_token(answer).await] });
        }
        sessions
    }

    /// Puts every rotation so far behind its grace.
    pub(super) async fn let_every_grace_pass(&self) {
        let mut outside = self.outside().await;
        outside.execute("UPDATE grants SET rotated_at = rotated_at - 3600").await.unwrap();
        outside.close().await.unwrap();
    }

    /// A connection beside the server's own.
    pub(super) async fn outside(&self) -> SqliteConnection {
        let file = self.folder.path().join("data/signet.db");
        let mut outside = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
        outside.execute("PRAGMA busy_timeout = 10000").await.unwrap();
        outside
    }

    /// After a crash: the session goes on with what it holds, to one successor, however often it asks.
    pub(super) async fn goes_on(&self, session: &mut Session, when: &str) {
        let held = session.tokens.last().unwrap().clone();
        let answer = self.refresh(&held).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{when}: the session was lost");
        let next = refresh_token(answer).await;
        assert!(!session.tokens.contains(&next), "{when}: the grace was over, and nothing was rotated");
        for again in [&held, &next] {
            let answer = self.refresh(again).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{when}");
            assert_eq!(refresh_token(answer).await, next, "{when}: a second successor");
        }
        session.tokens.push(next);
    }

    /// The newest token works; one that has a grandchild is refused, and takes all others with it.
    pub(super) async fn only_the_newest_lives(&self, session: &Session) {
        let newest = session.tokens.last().unwrap();
        assert_eq!(self.refresh(newest).await.unwrap().status(), StatusCode::OK);
        for old in session.tokens.iter().rev().skip(2) {
            assert_eq!(self.refresh(old).await.unwrap().status(), StatusCode::BAD_REQUEST);
        }
        if session.tokens.len() > 2 {
            assert_eq!(
                self.refresh(newest).await.unwrap().status(),
                StatusCode::BAD_REQUEST,
                "a replay ends all"
            );
        }
    }
}

/// The refresh token of an answer.
pub(super) async fn refresh_token(answer: Response) -> String {
    json_of(answer).await["refresh_token"].as_str().unwrap().to_owned()
}
