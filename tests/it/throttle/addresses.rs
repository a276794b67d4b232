//! One address that guesses at many accounts, or makes many.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use signet::config::{Config, ConfigSource, Throttle};
use tokio::sync::Barrier;

use super::{WRONG, client_at, device, email, login_from, login_with, post_from, spawn, wait_of};
use crate::helpers::app::{PASSWORD, TestApp, json_of};
use crate::helpers::db::on_both_engines;

/// The addresses' limits alone.
async fn spawn_with(address_sign_ins: u32, address_registrations: u32) -> TestApp {
    spawn(Throttle { free_tries: 10, address_sign_ins, address_registrations, ..Throttle::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_guesses_at_everybody_is_slowed_and_the_others_are_not() {
    let app = spawn_with(30, 20).await;
    app.register("ann@example.com").await;
    let known = device(&app, "ann@example.com").await;
    for number in 0..30 {
        let status = app.login(&format!("n{number}@example.com"), WRONG).await.status();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{number}");
    }
    let refused = app.login("n30@example.com", WRONG).await;
    assert_eq!(wait_of(&refused), Duration::from_secs(60));
    // Behind the same address: a new device must wait with the attacker, a known one need not.
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(login_with(&app, "ann@example.com", PASSWORD, &known).await.status(), StatusCode::OK);
    assert_eq!(login_from(&client_at(2), &app, "ann@example.com", PASSWORD).await, StatusCode::OK);

    // One comes back every minute. A success is none of the failures that are counted.
    app.clock.advance(Duration::from_secs(60));
    for _ in 0..40 {
        assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::OK);
    }
    assert_eq!(app.login("n31@example.com", WRONG).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(app.login("n32@example.com", WRONG).await.status(), StatusCode::TOO_MANY_REQUESTS);
    // What the address was refused did not count against the account.
    let record = signet::flow::accounts::record(&app.app, email("n32@example.com")).await;
    assert!(record.is_err(), "no such account");
    let ann = signet::flow::accounts::record(&app.app, email("ann@example.com")).await.unwrap();
    assert_eq!(ann.stranger_tries, 0);
}

on_both_engines! {
    // Or an address that has no tries left could still use up other people's.
    async fn a008_what_the_address_is_refused_counts_against_no_account(database) {
        let app = TestApp::spawn_with(|config| {
            config.throttle = Throttle { address_sign_ins: 5, ..Throttle::default() };
            config.database = database.config.clone();
            config.passwords.queue_per_thread = 200;
        })
        .await;
        let app = Arc::new(app);
        let barrier = Arc::new(Barrier::new(200));
        let mut tries = tokio::task::JoinSet::new();
        for number in 0..200 {
            let (app, barrier) = (app.clone(), barrier.clone());
            tries.spawn(async move {
                barrier.wait().await;
                app.login(&format!("n{number}@example.com"), WRONG).await.status()
            });
        }
        let answers = tries.join_all().await;
        assert_eq!(answers.iter().filter(|status| **status == StatusCode::UNAUTHORIZED).count(), 5);
        let accounts = "SELECT count(*) FROM throttles WHERE tries > 0 AND expires_at > free_at + 86400";
        assert_eq!(database.outside().await.number(accounts).await, 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a010_no_header_makes_a_new_address() {
    let app = spawn_with(5, 5).await;
    let client = Client::builder().no_proxy().build().unwrap();
    let long = "1".repeat(10_000);
    let mut headers: Vec<(&str, String)> =
        (0..10).map(|number| ("x-forwarded-for", format!("192.0.2.{number}"))).collect();
    for value in
        ["a", "", ",", "fe80::1%eth0", "[2001:db8::1]:80", "192.0.2.1, 192.0.2.2", "127.0.0.1", &long]
    {
        headers.push(("x-forwarded-for", value.to_owned()));
        headers.push(("forwarded", format!("for={value}")));
        headers.push(("x-real-ip", value.to_owned()));
    }
    for path in ["/api/v1/login", "/api/v1/register"] {
        let mut looked_at = 0;
        for (number, (name, value)) in headers.iter().enumerate() {
            let body = serde_json::json!({ "email": format!("n{number}@example.com"), "password": PASSWORD });
            let mut request = client.post(format!("{}{path}", app.url)).json(&body).header(*name, value);
            if number % 2 == 0 {
                request = request.header(*name, format!("198.51.100.{number}"));
            }
            match request.send().await.unwrap().status() {
                StatusCode::UNAUTHORIZED | StatusCode::CREATED => looked_at += 1,
                status => assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{name}: {value:.40}"),
            }
        }
        assert_eq!(looked_at, 5, "{path}");
    }
    assert_eq!(login_from(&client_at(2), &app, "x@example.com", WRONG).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a010_behind_a_listed_proxy_each_caller_has_tries_of_its_own() {
    let env = vec![("SIGNET__SERVER__TRUSTED_PROXIES".to_owned(), "127.0.0.1".to_owned())];
    let listed = Config::load(&ConfigSource { file: None, env }).unwrap().server.trusted_proxies;
    let app = TestApp::spawn_with(|config| {
        config.server.trusted_proxies = listed;
        config.throttle = Throttle { address_sign_ins: 2, ..Throttle::default() };
    })
    .await;
    let client = Client::builder().no_proxy().build().unwrap();
    let guess = async |forwarded: &str, number: usize| {
        let body = serde_json::json!({ "email": format!("n{number}@example.com"), "password": WRONG });
        let request = client.post(format!("{}/api/v1/login", app.url)).json(&body);
        request.header("x-forwarded-for", forwarded).send().await.unwrap().status()
    };
    for (caller, start) in [("192.0.2.1", 0), ("192.0.2.2", 10), ("2001:db8::1", 20)] {
        assert_eq!(guess(caller, start).await, StatusCode::UNAUTHORIZED);
        assert_eq!(guess(caller, start + 1).await, StatusCode::UNAUTHORIZED);
        assert_eq!(guess(caller, start + 2).await, StatusCode::TOO_MANY_REQUESTS);
        // What a caller adds in front is not the proxy's word, and a neighbour in a /64 is the same subscriber.
        assert_eq!(guess(&format!("198.51.100.7, {caller}"), start + 3).await, StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(guess("2001:db8::2", 30).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(guess("2001:db8:0:1::1", 31).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a014_nobody_goes_through_a_list_of_addresses_by_registering_them() {
    let app = spawn_with(30, 4).await;
    app.register("ann@example.com").await;
    let register = async |email: &str| {
        let body = serde_json::json!({ "email": email, "password": PASSWORD });
        app.post("/api/v1/register", &body).await
    };
    // Taken and free count alike; what could never be an account, or was refused for its password, does not.
    assert_eq!(register("ann@example.com").await.status(), StatusCode::CONFLICT);
    assert_eq!(register("bob@example.com").await.status(), StatusCode::CREATED);
    assert_eq!(register("nobody").await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        post_from(&Client::new(), &app, "/api/v1/register", "x@example.com", "short").await.status(),
        400
    );
    assert_eq!(register("ANN@example.com").await.status(), StatusCode::CONFLICT);
    let mut answers = Vec::new();
    for email in ["ann@example.com", "new@example.com"] {
        let answer = register(email).await;
        assert_eq!(wait_of(&answer), Duration::from_secs(60));
        let problem = json_of(answer).await;
        answers.push([problem["type"].clone(), problem["detail"].clone()]);
    }
    assert_eq!(answers[0], answers[1], "which of them exists is not told");
    assert_eq!(answers[0][0], "urn:signet:problem:too-many-tries");
    // Signing in is counted apart, and so is another address.
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::OK);
    let other = post_from(&client_at(2), &app, "/api/v1/register", "carol@example.com", PASSWORD).await;
    assert_eq!(other.status(), StatusCode::CREATED);
    app.clock.advance(Duration::from_secs(60));
    assert_eq!(register("dan@example.com").await.status(), StatusCode::CREATED);
    assert_eq!(register("eve@example.com").await.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(app.count_users().await, 4);
}
