//! Guessing: how often, from where, at whom, and who gets in all the same.

mod accounts;
mod addresses;
mod devices;
mod guesses;
mod rank;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use serde_json::json;
use signet::account::Email;
use signet::config::Throttle;

use crate::helpers::app::{PASSWORD, TestApp, json_of};

const WRONG: &str = "not the right pass phrase";

/// The limits of an account as shipped, and none of an address.
fn account_limits() -> Throttle {
    Throttle { address_sign_ins: u32::MAX, ..Throttle::default() }
}

async fn spawn(throttle: Throttle) -> TestApp {
    TestApp::spawn_with(|config| config.throttle = throttle).await
}

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

/// Tries to sign in as a device that has signed in before.
async fn login_with(app: &TestApp, email: &str, password: &str, device: &str) -> Response {
    app.post("/api/v1/login", &json!({ "email": email, "password": password, "device": device })).await
}

/// Signs in and answers the device proof.
async fn device(app: &TestApp, email: &str) -> String {
    let answer = app.login(email, PASSWORD).await;
    assert_eq!(answer.status(), StatusCode::OK);
    json_of(answer).await["device"].as_str().unwrap().to_owned()
}

/// How long a 429 says to wait.
fn wait_of(answer: &Response) -> Duration {
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    Duration::from_secs(answer.headers()["retry-after"].to_str().unwrap().parse().unwrap())
}

/// Guesses as fast as the answers allow, until so many guesses were looked at.
async fn guess(app: &TestApp, email: &str, looked_at: usize) {
    let mut count = 0;
    while count < looked_at {
        let answer = app.login(email, WRONG).await;
        match answer.status() {
            StatusCode::UNAUTHORIZED => count += 1,
            _ => app.clock.advance(wait_of(&answer)),
        }
    }
}

/// A client at another address of this machine.
fn client_at(last: u8) -> Client {
    let address = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    Client::builder().no_proxy().local_address(address).timeout(Duration::from_secs(60)).build().unwrap()
}

async fn post_from(client: &Client, app: &TestApp, path: &str, email: &str, password: &str) -> Response {
    let body = json!({ "email": email, "password": password });
    client.post(format!("{}{path}", app.url)).json(&body).send().await.unwrap()
}

async fn login_from(client: &Client, app: &TestApp, email: &str, password: &str) -> StatusCode {
    post_from(client, app, "/api/v1/login", email, password).await.status()
}
