//! The real application on a free port of this process, with the settings it ships with.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;

use actix_web::web::{self, Data};
use actix_web::{App as HttpApp, Handler, HttpServer, Responder};
use signet::app::App;
use signet::config::{Config, ConfigSource};
use signet::flow::signing_keys;
use signet::server::{Application, Bound};
use signet_guard::Clock;
use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Settings beside the defaults, by their names in the environment. All load comes from one address: with the limits per
/// address that ship, the benchmark would measure refusals.
const SETTINGS: [(&str, &str); 4] = [
    ("SIGNET_LISTEN", "127.0.0.1:0"),
    // Who hangs up has tried: those of a storm are to find a full queue again and again, not their own account shut.
    ("SIGNET__THROTTLE__FREE_TRIES", "10"),
    ("SIGNET__THROTTLE__ADDRESS_SIGN_INS", "1000000"),
    ("SIGNET__THROTTLE__ADDRESS_REGISTRATIONS", "1000000"),
];

/// The parts of a Signet, its folder, and the runtime that its database uses.
pub struct Signet {
    /// What the server works with.
    pub app: Arc<App>,
    runtime: Runtime,
    _folder: TempDir,
}

impl Signet {
    /// Builds one on a new SQLite file, with a new signing key. Log lines are formatted and written, one call each, as
    /// in production, but to /dev/null: a file or a journal would be measured otherwise.
    pub fn build(workers: usize) -> Self {
        Self::build_with(workers, &[])
    }

    /// The same with more settings, by their names in the environment. There may be several in one process.
    pub fn build_with(workers: usize, settings: &[(&str, &str)]) -> Self {
        Self::build_at(workers, settings, Clock::System)
    }

    /// The same on another clock.
    pub fn build_at(workers: usize, settings: &[(&str, &str)], clock: Clock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("signet.toml");
        std::fs::write(&file, "").unwrap();
        let within = |name: &str| folder.path().join(name).display().to_string();
        let mut env = vec![
            ("SIGNET_DATABASE_URL".to_owned(), format!("sqlite://{}", within("signet.db"))),
            ("SIGNET_KEYS_DIR".to_owned(), within("keys")),
            ("SIGNET__SERVER__WORKERS".to_owned(), workers.to_string()),
        ];
        let ours = SETTINGS.iter().filter(|(name, _)| settings.iter().all(|(other, _)| name != other));
        env.extend(ours.chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let config = Config::load(&ConfigSource { file: Some(file), env }).unwrap();
        let nowhere = Arc::new(std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap());
        let lines = tracing_subscriber::fmt().compact().with_ansi(false).with_writer(nowhere);
        // The first one's, where there are two.
        let _ = lines.with_max_level(tracing::Level::INFO).finish().try_init();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let app = runtime.block_on(async {
            let app = Arc::new(App::build(config, clock).await.unwrap());
            signing_keys::load_or_create(&app).await.unwrap();
            // No task reads the keys again here.
            app.keyring.note_read(std::time::Instant::now() + std::time::Duration::from_secs(86_400));
            app
        });
        Self { app, runtime, _folder: folder }
    }

    /// Lets something run on the runtime of the database.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// The database, from outside.
    pub fn outside(&self) -> SqliteConnection {
        let url = self.app.config.database.url.to_string();
        self.block_on(SqliteConnection::connect(&url)).unwrap()
    }

    /// Serves it as `signet serve` does, for as long as the process lives; `make` may add to the application.
    pub fn serve<T>(&self, make: impl Fn(&Data<App>) -> HttpApp<T> + Clone + Send + 'static) -> SocketAddr
    where
        T: Application + 'static,
    {
        let bound = self.runtime.block_on(async { Bound::bind(self.app.clone()).unwrap() });
        let address = bound.address();
        self.runtime.spawn(bound.run_with(std::future::pending(), make).unwrap());
        address
    }
}

/// A bare actix-web server on one worker that answers `/hello`, for as long as the process lives.
pub fn bare(hello: impl Handler<(), Output: Responder> + Send) -> SocketAddr {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let make = move || HttpApp::new().route("/hello", web::get().to(hello.clone()));
            let server = HttpServer::new(make).workers(1).bind("127.0.0.1:0").unwrap();
            tell.send(server.addrs()[0]).unwrap();
            server.run().await.unwrap();
        });
    });
    told.recv().unwrap()
}
