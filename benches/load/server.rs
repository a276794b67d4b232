//! The real application on a free port of this process, with the settings it ships with.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::{App as HttpApp, HttpServer};
use signet::app::App;
use signet::config::{Config, ConfigSource};
use signet::flow::signing_keys;
use signet_guard::Clock;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Settings beside the defaults, by their names in the environment. All load comes from one address: with the limits per
/// address that ship, the benchmark would measure refusals.
const SETTINGS: [(&str, &str); 2] = [
    ("SIGNET__THROTTLE__ADDRESS_SIGN_INS", "1000000"),
    ("SIGNET__THROTTLE__ADDRESS_REGISTRATIONS", "1000000"),
];

/// The parts of a Signet, its folder, and the runtime that its database uses.
pub struct Signet {
    /// What the server works with.
    pub app: Arc<App>,
    _runtime: Runtime,
    _folder: TempDir,
}

impl Signet {
    /// Builds one on a new SQLite file, with a new signing key. Log lines are formatted and written, one call each, as
    /// in production, but to /dev/null: a file or a journal would be measured otherwise.
    pub fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("signet.toml");
        std::fs::write(&file, "").unwrap();
        let within = |name: &str| folder.path().join(name).display().to_string();
        let mut env = vec![
            ("SIGNET_DATABASE_URL".to_owned(), format!("sqlite://{}", within("signet.db"))),
            ("SIGNET_KEYS_DIR".to_owned(), within("keys")),
        ];
        env.extend(SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let config = Config::load(&ConfigSource { file: Some(file), env }).unwrap();
        let nowhere = Arc::new(std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap());
        let lines = tracing_subscriber::fmt().compact().with_ansi(false).with_writer(nowhere);
        lines.with_max_level(tracing::Level::INFO).init();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let app = runtime.block_on(async {
            let app = Arc::new(App::build(config, Clock::System).await.unwrap());
            signing_keys::load_or_create(&app).await.unwrap();
            app
        });
        Self { app, _runtime: runtime, _folder: folder }
    }
}

/// Serves an application as `signet::server` does, for as long as the process lives.
pub fn serve<F, T>(workers: usize, make: F) -> SocketAddr
where
    F: Fn() -> HttpApp<T> + Clone + Send + 'static,
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<BoxBody>,
            Error = actix_web::Error,
            InitError = (),
        > + 'static,
{
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(make)
                .workers(workers)
                .client_request_timeout(Duration::from_secs(5))
                .h1_allow_half_closed(false)
                .backlog(1024)
                .bind("127.0.0.1:0")
                .unwrap();
            tell.send(server.addrs()[0]).unwrap();
            server.run().await.unwrap();
        });
    });
    told.recv().unwrap()
}
