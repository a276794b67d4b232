//! Signet and an API that `signet-guard` guards, in one process and over HTTP.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{HttpServer, get, web};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use signet::config::Config;
use signet_guard::actix::AccessToken;
use signet_guard::{KeySource, Reason, StalePolicy, StatusReport, StatusSource, Verifier};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{refresh, until};
use crate::helpers::app::{PASSWORD, TestApp, claims_of, json_of, quick_config};
use crate::helpers::db::on_both_engines;

/// What stands before the replicas under the issuer's name: each connection goes to the next of them.
struct Front {
    url: String,
    routes: Arc<Mutex<Routes>>,
    cut: watch::Sender<()>,
}

#[derive(Default)]
struct Routes {
    all: Vec<SocketAddr>,
    /// Where status lists come from, if that is one place.
    lists: Option<SocketAddr>,
    turn: usize,
}

impl Routes {
    fn choose(&mut self, head: &[u8]) -> Option<SocketAddr> {
        self.turn += 1;
        let lists = self.lists.filter(|_| head.starts_with(b"GET /status/"));
        lists.or_else(|| self.all.get(self.turn % self.all.len().max(1)).copied())
    }
}

fn address(app: &TestApp) -> SocketAddr {
    app.url.strip_prefix("http://").unwrap().parse().unwrap()
}

impl Front {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let front = Self { url, routes: Arc::default(), cut: watch::Sender::new(()) };
        let (routes, cut) = (front.routes.clone(), front.cut.clone());
        tokio::spawn(async move {
            while let Ok((mut caller, _)) = listener.accept().await {
                let (routes, mut cut) = (routes.clone(), cut.subscribe());
                tokio::spawn(async move {
                    let mut head = [0; 12];
                    while caller.peek(&mut head).await? < head.len() {
                        tokio::task::yield_now().await;
                    }
                    let chosen = routes.lock().unwrap().choose(&head);
                    let Some(target) = chosen else { return Ok(()) };
                    let mut target = TcpStream::connect(target).await?;
                    tokio::select! {
                        _ = cut.changed() => Ok(()),
                        copied = tokio::io::copy_bidirectional(&mut caller, &mut target) => copied.map(drop),
                    }
                });
            }
        });
        front
    }

    fn lead_to(&self, apps: &[&TestApp]) {
        self.routes.lock().unwrap().all = apps.iter().map(|app| address(app)).collect();
    }

    /// Nobody is there any more, and whoever waits is cut off.
    fn stop(&self) {
        self.routes.lock().unwrap().all.clear();
        self.cut.send_replace(());
    }

    /// Makes this the name of a server.
    fn name(&self, config: &mut Config) {
        let folder = tempfile::tempdir().unwrap();
        let named = quick_config(folder.path(), &[("SIGNET_ISSUER", &self.url)]);
        config.issuer = named.issuer;
        config.tokens = named.tokens;
    }

    async fn issuer(&self) -> TestApp {
        let app = TestApp::spawn_with_env(&[("SIGNET_ISSUER", &self.url)]).await;
        self.lead_to(&[&app]);
        app
    }
}

/// An API with one route, and the verifier that guards it.
struct Api {
    url: String,
    verifier: Verifier,
    client: reqwest::Client,
}

#[get("/hello")]
async fn hello(token: AccessToken) -> String {
    token.sub.clone()
}

impl Api {
    fn start(app: &TestApp, policy: StalePolicy, bound: Duration) -> Self {
        let issuer = app.app.config.issuer.as_str();
        let status = StatusSource::remote(issuer).unwrap().when_stale(policy, bound);
        let verifier = Verifier::builder(issuer, issuer, KeySource::remote(issuer).unwrap())
            .clock(app.clock.clone())
            .status(status)
            .build()
            .unwrap();
        let guard = web::Data::new(verifier.clone());
        let make = move || actix_web::App::new().app_data(guard.clone()).service(hello);
        let server = HttpServer::new(make).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hello", server.addrs()[0]);
        tokio::spawn(server.run());
        Self { url, verifier, client: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    fn open(app: &TestApp) -> Self {
        Self::start(app, StalePolicy::FailOpen, Duration::from_secs(30))
    }

    async fn ask(&self, token: &str) -> StatusCode {
        self.client.get(&self.url).bearer_auth(token).send().await.unwrap().status()
    }

    fn report(&self) -> StatusReport {
        self.verifier.status().unwrap()
    }

    /// Waits until the token is refused because it was revoked, and for no other reason.
    async fn until_revoked(&self, token: &str, what: &str) -> Duration {
        let took = until(what, async || self.ask(token).await == StatusCode::UNAUTHORIZED).await;
        let refusal = self.verifier.verify(token).await.unwrap_err();
        assert_eq!(refusal.reason(), Reason::Revoked, "{what}");
        took
    }
}

struct Session {
    access: String,
    refresh: String,
}

impl Session {
    fn of(body: &Value) -> Self {
        let text = |member: &str| body[member].as_str().unwrap().to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }

    async fn new(app: &TestApp, email: &str) -> Self {
        Self::of(&json_of(app.login(email, PASSWORD).await).await)
    }

    async fn refresh(&self, app: &TestApp) -> Option<Self> {
        let answer = app.post("/api/v1/refresh", &json!({ "refresh_token": self.refresh })).await;
        (answer.status() == StatusCode::OK).then_some(())?;
        Some(Self::of(&json_of(answer).await))
    }

    async fn logout(&self, app: &TestApp) {
        let answer = app.post("/api/v1/logout", &json!({ "refresh_token": self.refresh })).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    }

    async fn send(&self, app: &TestApp, method: Method, path: &str, body: Value) {
        let answer = app.request(method, path).bearer_auth(&self.access).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a139_whatever_ends_a_session_ends_its_access_tokens_at_an_api() {
    let front = Front::start().await;
    let app = front.issuer().await;
    let api = Api::open(&app);
    let mut took = Vec::new();
    app.register("bob@example.com").await;
    let bystander = Session::new(&app, "bob@example.com").await;
    for what in ["logout", "replay", "password", "session", "disable", "delete"] {
        let email = format!("{what}@example.com");
        app.register(&email).await;
        let (ended, other) = (Session::new(&app, &email).await, Session::new(&app, &email).await);
        for session in [&ended, &other, &bystander] {
            assert_eq!(api.ask(&session.access).await, StatusCode::OK, "{what}");
        }
        let parsed = signet::account::Email::parse(&email).unwrap();
        let mut also = vec![];
        match what {
            "logout" => ended.logout(&app).await,
            "replay" => {
                app.clock.advance(Duration::from_secs(31));
                let next = ended.refresh(&app).await.unwrap();
                app.clock.advance(Duration::from_secs(31));
                assert_eq!(api.ask(&next.access).await, StatusCode::OK);
                assert!(ended.refresh(&app).await.is_none());
                also.push(next);
            }
            "password" => {
                let body =
                    json!({ "current_password": PASSWORD, "new_password": "a slow train through the hills" });
                other.send(&app, Method::PUT, "/api/v1/me/password", body).await;
            }
            "session" => {
                let sid = claims_of(&ended.access)["sid"].as_str().unwrap().to_owned();
                other.send(&app, Method::DELETE, &format!("/api/v1/me/sessions/{sid}"), json!({})).await;
            }
            "disable" => drop(signet::flow::accounts::disable(&app.app, parsed).await.unwrap()),
            _ => {
                other.send(&app, Method::DELETE, "/api/v1/me", json!({ "current_password": PASSWORD })).await
            }
        }
        took.push(api.until_revoked(&ended.access, what).await);
        for token in also {
            api.until_revoked(&token.access, what).await;
        }
        if ["disable", "delete"].contains(&what) {
            api.until_revoked(&other.access, what).await;
        } else {
            assert_eq!(api.ask(&other.access).await, StatusCode::OK, "{what}");
        }
        assert_eq!(api.ask(&bystander.access).await, StatusCode::OK, "{what}");
    }
    eprintln!("a session that ended was refused at an API after {:?} at most", took.iter().max());
}

#[tokio::test(flavor = "multi_thread")]
async fn a139_without_the_issuer_an_api_does_what_it_chose_and_says_how_long_it_heard_nothing() {
    let front = Front::start().await;
    let app = front.issuer().await;
    let bound = Duration::from_secs(2);
    let open = Api::start(&app, StalePolicy::FailOpen, bound);
    let closed = Api::start(&app, StalePolicy::FailClosed, bound);
    app.register("ann@example.com").await;
    let (gone, stays) =
        (Session::new(&app, "ann@example.com").await, Session::new(&app, "ann@example.com").await);
    for api in [&open, &closed] {
        for session in [&gone, &stays] {
            assert_eq!(api.ask(&session.access).await, StatusCode::OK);
        }
    }
    gone.logout(&app).await;
    open.until_revoked(&gone.access, "open").await;
    closed.until_revoked(&gone.access, "closed").await;

    front.stop();
    until("it is noticed", async || open.report().is_stale && closed.report().is_stale).await;
    assert!(open.report().age > bound);
    for (api, expected) in [(&open, StatusCode::OK), (&closed, StatusCode::SERVICE_UNAVAILABLE)] {
        assert_eq!(api.ask(&stays.access).await, expected);
        assert_eq!(api.ask(&gone.access).await, StatusCode::UNAUTHORIZED, "what was revoked stays so");
    }
    // What ends meanwhile is noticed once the issuer is back.
    let late = Session::new(&app, "ann@example.com").await;
    assert_eq!(open.ask(&late.access).await, StatusCode::OK);
    late.logout(&app).await;

    front.lead_to(&[&app]);
    for api in [&open, &closed] {
        api.until_revoked(&late.access, "back").await;
        until("it is fresh", async || api.ask(&stays.access).await == StatusCode::OK).await;
        until("it is said", async || !api.report().is_stale).await;
    }
}

on_both_engines! {
    // Between one caller of a list and the next, a replica may be behind what another has told already.
    async fn a139_what_one_replica_told_is_in_every_list_that_another_serves(database) {
        let front = Front::start().await;
        let mut tells = TestApp::spawn_on_with(database.config.clone(), |config| front.name(config)).await;
        let mut serves = tells.replica(|config| front.name(config)).await;
        serves.stop_background().await;
        tells.stop_background().await;
        front.lead_to(&[&tells]);
        front.routes.lock().unwrap().lists = Some(address(&serves));
        let api = Api::open(&tells);
        tells.register("ann@example.com").await;
        let mut sessions = Vec::new();
        for _ in 0..3 {
            sessions.push(Session::new(&tells, "ann@example.com").await);
        }
        // The first sight of a list.
        sessions[0].logout(&tells).await;
        refresh(&tells).await;
        assert_eq!(api.ask(&sessions[1].access).await, StatusCode::OK);
        api.until_revoked(&sessions[0].access, "what was told before the list was fetched").await;
        // Two changes told at once, of which the replica knows the first.
        sessions[1].logout(&tells).await;
        refresh(&serves).await;
        sessions[2].logout(&tells).await;
        refresh(&tells).await;
        api.until_revoked(&sessions[1].access, "the first of two").await;
        api.until_revoked(&sessions[2].access, "the second of two").await;
    }

    async fn a139_replicas_behind_one_name_revoke_together(database) {
        let front = Front::start().await;
        let a = TestApp::spawn_on_with(database.config.clone(), |config| front.name(config)).await;
        let b = a.replica(|config| front.name(config)).await;
        // As far apart as ready replicas may be, and on both sides of the time at which lists are signed anew.
        a.clock.advance(Duration::from_secs(34));
        b.clock.advance(Duration::from_secs(25));
        front.lead_to(&[&a, &b]);
        let api = Api::open(&a);
        a.register("ann@example.com").await;
        let stays = Session::new(&a, "ann@example.com").await;
        let mut slowest = Duration::ZERO;
        for round in 0..8 {
            let session = Session::new(&a, "ann@example.com").await;
            assert_eq!(api.ask(&session.access).await, StatusCode::OK);
            session.logout(if round % 2 == 0 { &a } else { &b }).await;
            slowest = slowest.max(api.until_revoked(&session.access, &format!("round {round}")).await);
            assert_eq!(api.ask(&stays.access).await, StatusCode::OK);
        }
        eprintln!("two replicas: refused at an API after {slowest:?} at most");
    }
}
