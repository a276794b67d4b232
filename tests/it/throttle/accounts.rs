//! Strangers who guess at one account share its budget.

use std::sync::Arc;

use reqwest::StatusCode;
use signet::config::{RootKeySource, Throttle};
use signet::flow::accounts;
use signet::password::Password;
use tokio::sync::Barrier;

use super::{WRONG, account_limits, client_at, device, email, guess, login_from, login_with, spawn, wait_of};
use crate::helpers::app::{PASSWORD, TestApp, json_of};
use crate::helpers::db::{TestDatabase, on_both_engines};
use crate::helpers::process::{Process, command};

#[tokio::test(flavor = "multi_thread")]
async fn a006_every_spelling_of_a_name_counts_against_one_budget() {
    for name in ["ann", "nobody"] {
        let app = spawn(account_limits()).await;
        app.register("ann@example.com").await;
        let spellings = [
            format!("{name}@example.com"),
            format!("{}@EXAMPLE.com", name.to_uppercase()),
            format!("  {name}@example.com\t"),
            format!("{name}@ｅｘａｍｐｌｅ.com"),
            format!("{name}＠example.com"),
        ];
        for spelling in &spellings {
            assert_eq!(app.login(spelling, WRONG).await.status(), StatusCode::UNAUTHORIZED, "{spelling}");
        }
        for spelling in &spellings {
            assert_eq!(
                app.login(spelling, WRONG).await.status(),
                StatusCode::TOO_MANY_REQUESTS,
                "{spelling}"
            );
        }
        // What makes no account is no account's.
        for other in ["ann@example.com.", "a\u{200b}nn@example.com", "an\u{131}@example.com", "ann"] {
            assert_eq!(app.login(other, WRONG).await.status(), StatusCode::BAD_REQUEST, "{other:?}");
        }
        assert_eq!(app.login("bob@example.com", WRONG).await.status(), StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a007_guesses_from_many_addresses_are_one_attack() {
    let app = spawn(Throttle::default()).await;
    app.register("ann@example.com").await;
    let mut looked_at = 0;
    for last in 2..22 {
        match login_from(&client_at(last), &app, "ann@example.com", WRONG).await {
            StatusCode::UNAUTHORIZED => looked_at += 1,
            status => assert_eq!(status, StatusCode::TOO_MANY_REQUESTS),
        }
    }
    assert_eq!(looked_at, 5);
    // The right password too must wait, or the answer would say that it is right; and for no longer than was said.
    let wait = wait_of(&app.login("ann@example.com", PASSWORD).await);
    app.clock.advance(wait);
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::OK);
    // A success ends the row: it begins anew.
    for _ in 0..5 {
        assert_eq!(app.login("ann@example.com", WRONG).await.status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(app.login("ann@example.com", WRONG).await.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a007_what_was_turned_away_is_in_the_log_without_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = command(folder.path());
    serve.env("SIGNET__THROTTLE__ADDRESS_REGISTRATIONS", "1");
    let server = Process::start_command(serve, folder.path()).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = async |path: &str, email: &str, password: &str| {
        let body = serde_json::json!({ "email": email, "password": password });
        client.post(format!("{}/api/v1/{path}", server.url)).json(&body).send().await.unwrap().status()
    };
    assert_eq!(post("register", "ann@example.com", PASSWORD).await, StatusCode::CREATED);
    assert_eq!(post("register", "bob@example.com", PASSWORD).await, StatusCode::TOO_MANY_REQUESTS);
    // One try before the last.
    assert_eq!(post("login", "ann@example.com", WRONG).await, StatusCode::UNAUTHORIZED);
    let url = format!("sqlite://{}", folder.path().join("data/signet.db").display());
    let mut outside = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.unwrap();
    let many = "UPDATE throttles SET tries = 99 WHERE expires_at > free_at + 86400";
    assert_eq!(sqlx::query(many).execute(&mut outside).await.unwrap().rows_affected(), 1);
    assert_eq!(post("login", "ann@example.com", WRONG).await, StatusCode::UNAUTHORIZED);
    for _ in 0..2 {
        assert_eq!(post("login", "ann@example.com", WRONG).await, StatusCode::TOO_MANY_REQUESTS);
    }
    while post("login", "nobody@example.com", WRONG).await == StatusCode::UNAUTHORIZED {}
    let log = server.logged();
    let lines =
        |words: &[&str]| log.lines().filter(|line| words.iter().all(|word| line.contains(word))).count();
    assert_eq!(lines(&["login.throttled", "locked", "user.id"]), 2, "{log}");
    assert_eq!(lines(&["login.throttled", "reason=\"account\""]), 1, "{log}");
    assert_eq!(lines(&["account.locked", "user.id"]), 1, "{log}");
    assert_eq!(lines(&["registration.throttled"]), 1, "{log}");
    assert!(!log.contains("@example.com"), "{log}");
}

on_both_engines! {
    async fn a008_of_two_hundred_tries_at_once_no_more_are_looked_at_than_are_left(database) {
        let app = TestApp::spawn_with(|config| {
            config.throttle = account_limits();
            config.database = database.config.clone();
            config.passwords.queue_per_thread = 200;
        })
        .await;
        app.register("ann@example.com").await;
        let app = Arc::new(app);
        // One free try is left; one before the limit is left.
        for tries_before in [4, 99] {
            app.login("ann@example.com", WRONG).await;
            let set = format!("UPDATE throttles SET tries = {tries_before}, free_at = 0 WHERE expires_at > free_at + 86400");
            assert_eq!(database.outside().await.execute(&set).await, 1);
            let barrier = Arc::new(Barrier::new(200));
            let mut tries = tokio::task::JoinSet::new();
            for _ in 0..200 {
                let (app, barrier) = (app.clone(), barrier.clone());
                tries.spawn(async move {
                    barrier.wait().await;
                    app.login("ann@example.com", WRONG).await.status()
                });
            }
            let answers = tries.join_all().await;
            let count = |wanted| answers.iter().filter(|status| **status == wanted).count();
            assert_eq!(count(StatusCode::UNAUTHORIZED), 1, "{answers:?}");
            assert_eq!(count(StatusCode::TOO_MANY_REQUESTS), 199, "{answers:?}");
            accounts::unlock(&app.app, email("ann@example.com")).await.unwrap();
        }
    }

    async fn counts_outlast_a_restart_and_hold_for_all_replicas(database) {
        let keys = tempfile::tempdir().unwrap();
        let replica = || replica(database, keys.path());
        let (one, two) = (replica().await, replica().await);
        one.register("ann@example.com").await;
        let known = device(&one, "ann@example.com").await;
        for app in [&one, &two, &one, &two, &one] {
            assert_eq!(app.login("ann@example.com", WRONG).await.status(), StatusCode::UNAUTHORIZED);
        }
        for app in [&one, &two] {
            assert_eq!(app.login("ann@example.com", WRONG).await.status(), StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(login_with(app, "ann@example.com", PASSWORD, &known).await.status(), StatusCode::OK);
        }
        drop((one, two));
        let again = replica().await;
        assert_eq!(again.login("ann@example.com", PASSWORD).await.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(login_with(&again, "ann@example.com", PASSWORD, &known).await.status(), StatusCode::OK);
    }
}

async fn replica(database: &TestDatabase, keys: &std::path::Path) -> TestApp {
    TestApp::spawn_with(|config| {
        config.throttle = account_limits();
        config.database = database.config.clone();
        config.keys.root_key = RootKeySource::File(keys.join("root.key"));
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a009_no_stranger_locks_the_owner_out() {
    let app = spawn(account_limits()).await;
    app.register("ann@example.com").await;
    let mut known = device(&app, "ann@example.com").await;
    // For hours: whoever follows the answers gets a hundred tries in all.
    for _ in 0..10 {
        guess(&app, "ann@example.com", 10).await;
        let answer = login_with(&app, "ann@example.com", PASSWORD, &known).await;
        assert_eq!(answer.status(), StatusCode::OK);
        known = json_of(answer).await["device"].as_str().unwrap().to_owned();
    }
    for _ in 0..3 {
        let answer = app.login("ann@example.com", PASSWORD).await;
        assert_eq!(wait_of(&answer).as_secs(), 900, "always the same, and no wait helps");
        app.clock.advance(wait_of(&answer) * 100);
        assert_eq!(login_with(&app, "ann@example.com", PASSWORD, &known).await.status(), StatusCode::OK);
    }
    accounts::unlock(&app.app, email("ann@example.com")).await.unwrap();
    let new = device(&app, "ann@example.com").await;
    assert_eq!(login_with(&app, "ann@example.com", PASSWORD, &new).await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a009_after_a_short_attack_a_new_device_gets_in_when_it_was_told_to_come_back() {
    let app = spawn(account_limits()).await;
    app.register("ann@example.com").await;
    // Twenty guesses in a moment, then twenty that were looked at.
    for _ in 0..20 {
        app.login("ann@example.com", WRONG).await;
    }
    let wait = wait_of(&app.login("ann@example.com", PASSWORD).await);
    assert_eq!(wait.as_secs(), 1);
    app.clock.advance(wait);
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::OK);

    guess(&app, "ann@example.com", 20).await;
    let wait = wait_of(&app.login("ann@example.com", PASSWORD).await);
    assert_eq!(wait.as_secs(), 900);
    app.clock.advance(wait - std::time::Duration::from_secs(1));
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::TOO_MANY_REQUESTS);
    app.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_a_new_account_and_a_new_address_begin_with_a_clean_sheet() {
    let app = spawn(account_limits()).await;
    guess(&app, "ann@example.com", 100).await;
    assert_eq!(app.login("ann@example.com", WRONG).await.status(), StatusCode::TOO_MANY_REQUESTS);
    // Nobody can lock a name before it has an owner.
    app.register("ann@example.com").await;
    app.token("ann@example.com").await;
    guess(&app, "ann@example.com", 100).await;
    let other = || Password::new("another long pass phrase".to_owned());
    accounts::set_password(&app.app, email("ann@example.com"), other()).await.unwrap();
    assert_eq!(app.login("ann@example.com", "another long pass phrase").await.status(), StatusCode::OK);
    guess(&app, "anna@example.com", 100).await;
    accounts::set_email(&app.app, email("ann@example.com"), email("anna@example.com")).await.unwrap();
    assert_eq!(app.login("anna@example.com", "another long pass phrase").await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_costs_no_try_and_no_write() {
    let app = TestApp::spawn_with(|config| {
        config.throttle = account_limits();
        config.passwords.threads = 1;
        config.passwords.queue_per_thread = 1;
    })
    .await;
    app.register("ann@example.com").await;
    let place = app.app.hasher.reserve().unwrap();
    for _ in 0..20 {
        assert_eq!(app.login("ann@example.com", WRONG).await.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(app.login("bob@example.com", WRONG).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    let record = accounts::record(&app.app, email("ann@example.com")).await.unwrap();
    assert_eq!(record.stranger_tries, 0);
    drop(place);
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a009_strangers_from_everywhere_do_not_fill_the_queue_for_a_known_device() {
    let app = TestApp::spawn_with(|config| {
        config.throttle = account_limits();
        config.passwords.threads = 1;
        config.passwords.queue_per_thread = 4;
    })
    .await;
    app.register("ann@example.com").await;
    let known = device(&app, "ann@example.com").await;
    let taken: Vec<_> = std::iter::from_fn(|| app.app.hasher.reserve().ok()).collect();
    assert_eq!(taken.len(), 3);
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body = serde_json::json!({ "email": "bob@example.com", "password": PASSWORD });
    assert_eq!(app.post("/api/v1/register", &body).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(login_with(&app, "ann@example.com", PASSWORD, &known).await.status(), StatusCode::OK);
    drop(taken);
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_turned_away_costs_no_write() {
    let app = spawn(Throttle { address_registrations: 1, ..account_limits() }).await;
    app.register("ann@example.com").await;
    guess(&app, "ann@example.com", 5).await;
    // Whoever wanted to write now would wait.
    let mut outside = crate::helpers::db::connect(&app.app.config.database).await;
    outside.execute("BEGIN IMMEDIATE").await;
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::TOO_MANY_REQUESTS);
    let body = serde_json::json!({ "email": "bob@example.com", "password": PASSWORD });
    let answer = app.post("/api/v1/register", &body).await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    outside.execute("ROLLBACK").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_ours_costs_no_try() {
    let app = spawn(Throttle { address_sign_ins: 5, address_registrations: 5, ..Throttle::default() }).await;
    app.register("ann@example.com").await;
    let mut outside = crate::helpers::db::connect(&app.app.config.database).await;
    for (name, when) in [("broken", "UPDATE"), ("closed", "INSERT")] {
        let trigger =
            format!("CREATE TRIGGER {name} BEFORE {when} ON users BEGIN SELECT RAISE(ABORT, 'broken'); END");
        outside.execute(&trigger).await;
    }
    let body = serde_json::json!({ "email": "bob@example.com", "password": PASSWORD });
    for _ in 0..12 {
        assert!(app.post("/api/v1/register", &body).await.status().is_server_error());
    }
    // The password is right, and the sign-in cannot be written.
    for _ in 0..12 {
        assert!(app.login("ann@example.com", PASSWORD).await.status().is_server_error());
    }
    let record = accounts::record(&app.app, email("ann@example.com")).await.unwrap();
    assert_eq!(record.stranger_tries, 0);
    assert_eq!(outside.number("SELECT count(*) FROM throttles WHERE tries > 1").await, 0);
    outside.execute("DROP TRIGGER broken").await;
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::OK);
}
