//! The real server on a free port with a database of its own, a clock that stands still and cheap password hashes.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use rsa::pkcs8::{EncodePrivateKey as _, LineEnding};
use serde_json::{Value, json};
use signet::app::App;
use signet::background::Background;
use signet::config::{Config, ConfigSource, Database, HashCost, RootKeySource, Throttle};
use signet::flow::{restore, signing_keys, status};
use signet::server::Bound;
use signet_guard::{Algorithm, Clock, Timestamp};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// Where the clock of every test stands at first: 2026-01-01T00:00:00Z.
pub const NOW: i64 = 1_767_225_600;

/// A password that every policy accepts.
pub const PASSWORD: &str = "a quiet walk by the sea";

/// Limits that no test meets but those that set others.
const OPEN: Throttle = Throttle {
    free_tries: u32::MAX,
    longest_delay: Duration::from_secs(900),
    account_limit: u32::MAX,
    address_sign_ins: u32::MAX,
    address_registrations: u32::MAX,
};

/// A running server.
pub struct TestApp {
    /// What the server works with.
    pub app: Arc<App>,
    /// Moves time.
    pub clock: Clock,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    client: Client,
    stop: Option<oneshot::Sender<()>>,
    background: Option<Background>,
    _folder: TempDir,
}

impl TestApp {
    /// On SQLite, with the default settings.
    pub async fn spawn() -> Self {
        Self::spawn_with(|_| ()).await
    }

    /// On SQLite, with changed settings.
    pub async fn spawn_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::spawn_at(NOW, change).await
    }

    /// On SQLite, with changed settings, at another time (seconds).
    pub async fn spawn_at(now: i64, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = quick_config(folder.path(), &[]);
        change(&mut config);
        Self::run(config, folder, Timestamp::from_seconds(now)).await
    }

    /// On SQLite, with settings that other settings follow from.
    pub async fn spawn_with_env(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = quick_config(folder.path(), settings);
        Self::run(config, folder, Timestamp::from_seconds(NOW)).await
    }

    /// On a database that a test made.
    pub async fn spawn_on(database: Database) -> Self {
        Self::spawn_on_with(database, |_| ()).await
    }

    /// On a database that a test made, with changed settings.
    pub async fn spawn_on_with(database: Database, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = quick_config(folder.path(), &[]);
        config.database = database;
        change(&mut config);
        Self::run(config, folder, Timestamp::from_seconds(NOW)).await
    }

    /// Another server on the same database, with the same root keys and a clock of its own.
    pub async fn replica(&self, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = quick_config(folder.path(), &[]);
        config.database = self.app.config.database.clone();
        config.tokens = self.app.config.tokens.clone();
        if let RootKeySource::File(path) = &self.app.config.keys.root_key {
            config.keys.root_key = RootKeySource::File(path.clone());
        }
        change(&mut config);
        Self::run(config, folder, self.clock.now()).await
    }

    async fn run(config: Config, folder: TempDir, now: Timestamp) -> Self {
        let clock = Clock::fixed(now);
        let app = Arc::new(App::build(config, clock.clone()).await.unwrap());
        restore::at_start(&app).await.unwrap();
        let is_new = signing_keys::stored(&app).await.unwrap().is_empty();
        if is_new && app.config.tokens.signing_algorithm == Algorithm::Rs256 {
            signing_keys::import(&app, key_pem()).await.unwrap();
            signing_keys::import(&app, standby_pem()).await.unwrap();
        }
        signing_keys::load_or_create(&app).await.unwrap();
        status::load(&app).await.unwrap();
        let background = Background::start(&app);
        let bound = Bound::bind(app.clone()).unwrap();
        let url = format!("http://{}", bound.address());
        let (stop, stopped) = oneshot::channel::<()>();
        let server = bound.run(async move { drop(stopped.await) }).unwrap();
        tokio::spawn(server);
        let client = Client::builder().timeout(Duration::from_secs(30)).no_proxy().build().unwrap();
        Self { app, clock, url, client, stop: Some(stop), background: Some(background), _folder: folder }
    }

    /// A request to a path of the server.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// `POST` of a JSON document.
    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path).json(body).send().await.unwrap()
    }

    /// `GET` with a bearer token.
    pub async fn get_with_token(&self, path: &str, token: &str) -> Response {
        self.request(Method::GET, path).bearer_auth(token).send().await.unwrap()
    }

    /// Makes an account with [`PASSWORD`] and answers its id.
    pub async fn register(&self, email: &str) -> String {
        let answer = self.post("/api/v1/register", &json!({ "email": email, "password": PASSWORD })).await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        json_of(answer).await["id"].as_str().unwrap().to_owned()
    }

    /// Tries to sign in.
    pub async fn login(&self, email: &str, password: &str) -> Response {
        self.post("/api/v1/login", &json!({ "email": email, "password": password })).await
    }

    /// Signs in with [`PASSWORD`] and answers the access token.
    pub async fn token(&self, email: &str) -> String {
        let answer = self.login(email, PASSWORD).await;
        assert_eq!(answer.status(), StatusCode::OK);
        json_of(answer).await["access_token"].as_str().unwrap().to_owned()
    }

    /// Ends the work beside the requests, for tests of what must not depend on it, or that do it themselves.
    pub async fn stop_background(&mut self) {
        if let Some(background) = self.background.take() {
            background.stop().await;
        }
        // Nobody reads the keys now, and it may go on signing for as long as the test takes.
        self.app.keyring.note_read(Instant::now() + Duration::from_secs(3600));
    }

    /// How many accounts there are.
    pub async fn count_users(&self) -> usize {
        signet::flow::accounts::list(&self.app, None, 10_000).await.unwrap().len()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

/// The default settings, but for a folder of its own, a free port and hashes that cost next to nothing.
pub fn quick_config(folder: &Path, settings: &[(&str, &str)]) -> Config {
    let file = folder.join("signet.toml");
    std::fs::write(&file, "").unwrap();
    let env = |key: &str, value: String| (key.to_owned(), value);
    let mut variables = vec![
        env("SIGNET_LISTEN", "127.0.0.1:0".to_owned()),
        env("SIGNET_DATABASE_URL", format!("sqlite://{}", folder.join("signet.db").display())),
        env("SIGNET_KEYS_DIR", folder.join("keys").display().to_string()),
    ];
    variables.retain(|(name, _)| settings.iter().all(|(key, _)| key != name));
    variables.extend(settings.iter().map(|(key, value)| env(key, (*value).to_owned())));
    let mut config = Config::load(&ConfigSource { file: Some(file), env: variables }).unwrap();
    config.passwords.cost = HashCost { memory_kib: 64, iterations: 1, parallelism: 1 };
    config.passwords.threads = 2;
    config.server.workers = 2;
    config.throttle = OPEN;
    // Tests that move the clock far are not about keys.
    config.keys.rotate_every = Duration::from_secs(100 * 366 * 86_400);
    config
}

/// The RSA key that signs in all tests of this process: making one takes a third of a second.
pub fn key_pem() -> &'static str {
    static PEM: OnceLock<String> = OnceLock::new();
    PEM.get_or_init(new_pem)
}

/// The one that stands by.
pub fn standby_pem() -> &'static str {
    static PEM: OnceLock<String> = OnceLock::new();
    PEM.get_or_init(new_pem)
}

/// A new RSA key, PKCS#8 in PEM.
pub fn new_pem() -> String {
    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
    key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
}

/// The JSON body of an answer.
pub async fn json_of(answer: Response) -> Value {
    answer.json().await.unwrap()
}

/// The claims of a token, unverified.
pub fn claims_of(token: &str) -> Value {
    segment(token, 1)
}

/// The header of a token, unverified.
pub fn header_of(token: &str) -> Value {
    segment(token, 0)
}

fn segment(token: &str, index: usize) -> Value {
    use base64::Engine as _;
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
