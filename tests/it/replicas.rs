//! Several servers on one database, and acts that race.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use signet::account::{Email, Role};
use signet::config::HashCost;
use signet::flow::accounts;
use signet::password::Password;

use crate::helpers::app::{PASSWORD, TestApp, claims_of, json_of};
use crate::helpers::db::{TestDatabase, drop_database, new_on_server, on_both_engines};
use crate::helpers::process::{Process, command, printed, run};

on_both_engines! {
    // A sign-in that is being checked while the account is disabled, or gets a new password, ends in no token.
    async fn no_sign_in_outlives_a_disable_or_a_new_password(database) {
        race(database).await;
    }

    async fn no_token_carries_a_role_that_was_taken_away_before(database) {
        race_for_a_role(database).await;
    }

    async fn the_whole_path_works(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let id = app.register("ann@example.com").await;
        let token = app.token("ann@example.com").await;
        let answer = app.get_with_token("/api/v1/me", &token).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(json_of(answer).await["id"], id);
    }
}

async fn race(database: &TestDatabase) {
    let app = slow_app(database).await;
    let email = || Email::parse("ann@example.com").unwrap();
    let password = |text: &str| Password::new(text.to_owned());
    app.register("ann@example.com").await;
    let mut overtaken = 0;
    for round in 0..12 {
        // A second of its own for each round: `last_sign_in` then tells the rounds apart.
        app.clock.advance(Duration::from_secs(1));
        let now = app.clock.now();
        let login = in_the_middle_of_a_sign_in(&app, round).await;
        let changed = if round % 2 == 0 {
            accounts::disable(&app.app, email()).await.unwrap()
        } else {
            accounts::set_password(&app.app, email(), password("another long pass phrase")).await.unwrap()
        };
        // The account as the change left it says which of the two came first.
        let signed_in_before = changed.last_sign_in == Some(now);
        match login.await.unwrap().status() {
            StatusCode::UNAUTHORIZED => overtaken += 1,
            StatusCode::OK => assert!(signed_in_before, "round {round}: a sign-in outlived the change"),
            other => panic!("{other}"),
        }
        assert_eq!(
            app.login("ann@example.com", PASSWORD).await.status(),
            StatusCode::UNAUTHORIZED,
            "round {round}"
        );
        accounts::enable(&app.app, email()).await.unwrap();
        accounts::set_password(&app.app, email(), password(PASSWORD)).await.unwrap();
    }
    assert!(overtaken > 0, "no sign-in was overtaken: the race was never run");
}

async fn race_for_a_role(database: &TestDatabase) {
    let app = slow_app(database).await;
    let email = || Email::parse("ann@example.com").unwrap();
    let admin = || vec![Role::parse("admin").unwrap()];
    app.register("ann@example.com").await;
    let mut without = 0;
    for round in 0..12 {
        app.clock.advance(Duration::from_secs(1));
        let now = app.clock.now();
        accounts::set_roles(&app.app, email(), admin()).await.unwrap();
        let login = in_the_middle_of_a_sign_in(&app, round).await;
        let changed = accounts::set_roles(&app.app, email(), Vec::new()).await.unwrap();
        let answer = json_of(login.await.unwrap()).await;
        let claims = claims_of(answer["access_token"].as_str().unwrap());
        if claims.get("roles").is_none() {
            without += 1;
        } else {
            assert_eq!(
                changed.last_sign_in,
                Some(now),
                "round {round}: a token with a role taken away before"
            );
        }
    }
    assert!(without > 0, "no sign-in was overtaken: the race was never run");
}

/// Hashes that take long enough for something to come in between.
async fn slow_app(database: &TestDatabase) -> Arc<TestApp> {
    let app = TestApp::spawn_with(|config| {
        config.passwords.cost = HashCost { memory_kib: 19_456, iterations: 2, parallelism: 1 };
        config.database = database.config.clone();
    });
    Arc::new(app.await)
}

/// Begins a sign-in and answers somewhere within its hash: later each round.
async fn in_the_middle_of_a_sign_in(
    app: &Arc<TestApp>,
    round: u64,
) -> tokio::task::JoinHandle<reqwest::Response> {
    let login = {
        let app = app.clone();
        tokio::spawn(async move { app.login("ann@example.com", PASSWORD).await })
    };
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(4 * round) {
        tokio::task::yield_now().await;
    }
    login
}

/// A replica in a folder of its own.
fn replica(folder: &Path, database: &str, keys: &Path) -> Command {
    let mut command = command(folder);
    command.env("SIGNET_DATABASE_URL", database).env("SIGNET_KEYS_DIR", keys);
    command
}

fn kids(mut list: Command) -> Vec<String> {
    list.args(["keys", "list", "--json"]);
    let output = run(list, "");
    let keys: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", printed(&output)));
    keys.as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Starts two replicas at one moment.
fn start_both(folders: [&Path; 2], database: &str, keys: [&Path; 2]) -> [Result<Process, String>; 2] {
    let starting = [0, 1].map(|n| {
        let (folder, command) = (folders[n].to_owned(), replica(folders[n], database, keys[n]));
        std::thread::spawn(move || Process::start_command(command, &folder))
    });
    starting.map(|thread| thread.join().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_that_start_at_once_on_an_empty_database_end_with_one_key() {
    let Some((config, admin_url, name)) = new_on_server().await else { return };
    let signet::config::DatabaseUrl::Postgres(url) = &config.url else { unreachable!() };
    let url = url.expose().to_owned();
    let (one, two, keys) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());

    // Not migrated: the start says which command to run.
    let refused = run(replica(one.path(), &url, keys.path()), "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(printed(&refused).contains("signet migrate"), "{}", printed(&refused));
    let mut migrate = replica(one.path(), &url, keys.path());
    migrate.arg("migrate");
    let migrated = run(migrate, "");
    assert!(migrated.status.success(), "{}", printed(&migrated));
    let mut again = replica(one.path(), &url, keys.path());
    again.arg("migrate");
    assert!(printed(&run(again, "")).contains("up to date"));

    // One keys folder: both serve, with one key.
    let started = start_both([one.path(), two.path()], &url, [keys.path(), keys.path()]);
    for server in &started {
        assert!(server.is_ok(), "{:?}", server.as_ref().err());
    }
    assert_eq!(kids(replica(one.path(), &url, keys.path())).len(), 1);
    for server in started {
        assert_eq!(server.unwrap().stop(), Some(0));
    }
    drop_database(&admin_url, &name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_with_separate_key_folders_end_with_one_that_serves_and_one_that_says_what_it_needs() {
    let Some((config, admin_url, name)) = new_on_server().await else { return };
    signet::store::migrate(&config).await.unwrap();
    let signet::config::DatabaseUrl::Postgres(url) = &config.url else { unreachable!() };
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let keys = [one.path().join("keys"), two.path().join("keys")];

    let started = start_both([one.path(), two.path()], url.expose(), [&keys[0], &keys[1]]);
    let refused: Vec<&String> = started.iter().filter_map(|server| server.as_ref().err()).collect();
    assert_eq!(refused.len(), 1, "one serves, one refuses: {refused:?}");
    let complaint = refused[0].lines().find(|line| line.starts_with("signet: ")).unwrap();
    assert!(complaint.contains("sealed with root key 1-"), "{complaint}");
    assert!(complaint.contains("keys/root.key"), "it names the file to replace: {complaint}");

    // The cure that it names works.
    let (winner, loser) = if started[0].is_ok() { (0, 1) } else { (1, 0) };
    std::fs::copy(keys[winner].join("root.key"), keys[loser].join("root.key")).unwrap();
    let folders = [one.path(), two.path()];
    let cured = replica(folders[loser], url.expose(), &keys[loser]);
    let cured = Process::start_command(cured, folders[loser]);
    assert!(cured.is_ok(), "{:?}", cured.err());
    drop((started, cured));
    drop_database(&admin_url, &name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a128_a_lost_connection_to_postgresql_costs_at_most_one_request_and_nobody_elses() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let app = TestApp::spawn_on(database.config.clone()).await;
    app.register("ann@example.com").await;
    let token = app.token("ann@example.com").await;
    for _ in 0..3 {
        let killed = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
        database.outside().await.execute(killed).await;
        // What is answered is right or an honest "not now"; soon everything works again.
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let login = app.login("ann@example.com", PASSWORD).await.status();
            let me = app.get_with_token("/api/v1/me", &token).await.status();
            for status in [login, me] {
                assert!(matches!(status.as_u16(), 200 | 503), "{status}");
            }
            if login == StatusCode::OK && me == StatusCode::OK {
                break;
            }
            assert!(Instant::now() < deadline, "it never recovered");
        }
    }
    // Callers who hang up in the middle leave nothing behind for the next borrower of their connection.
    for _ in 0..30 {
        let request = app.login("ann@example.com", PASSWORD);
        let _ = tokio::time::timeout(Duration::from_millis(2), request).await;
    }
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::OK);
    drop(app);
    database.remove().await;
}
