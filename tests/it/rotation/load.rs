//! Requests while a key is being made.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use signet::flow::key_rotation;
use signet::rotation::KeyStatus;

use super::kids;
use crate::helpers::app::{PASSWORD, TestApp, json_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a080_sign_ins_and_refreshes_are_answered_while_a_key_is_made() {
    // The longest key there is: seconds of work.
    let app = TestApp::spawn_with(|config| config.keys.rsa_bits = 4096).await;
    app.register("ann@example.com").await;
    let standby = kids(&app, KeyStatus::Pending).await.remove(0);
    key_rotation::withdraw(&app.app, &standby).await.unwrap();
    let mut answered = 0;
    while kids(&app, KeyStatus::Pending).await.is_empty() {
        let login = app.login("ann@example.com", PASSWORD).await;
        assert_eq!(login.status(), StatusCode::OK);
        let body = json!({ "refresh_token": json_of(login).await["refresh_token"] });
        assert_eq!(app.post("/api/v1/refresh", &body).await.status(), StatusCode::OK);
        answered += 1;
        tokio::time::sleep(Duration::from_millis(20)).await; // poll: until the key is made
    }
    eprintln!("{answered} sign-ins and refreshes meanwhile");
    assert!(answered > 0);
}
