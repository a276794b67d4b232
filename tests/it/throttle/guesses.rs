//! Ten thousand guesses at one account.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use signet::config::Throttle;
use signet::flow::accounts;

use super::{WRONG, client_at, device, email, login_from, login_with};
use crate::helpers::app::{PASSWORD, TestApp, json_of};

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_thousand_guesses_from_a_hundred_addresses_a_hundred_are_looked_at() {
    let app = TestApp::spawn_with(|config| {
        config.throttle = Throttle::default();
        // Room for all hundred at once: it is the throttle that shall refuse them.
        config.passwords.queue_per_thread = 100;
    });
    let app = Arc::new(app.await);
    app.register("ann@example.com").await;
    let mut known = device(&app, "ann@example.com").await;
    let clients: Vec<_> = (100..200).map(client_at).collect();
    let (mut looked_at, mut refused) = (0, 0);
    for round in 0..100 {
        let mut guesses = tokio::task::JoinSet::new();
        for client in &clients {
            let (client, app) = (client.clone(), app.clone());
            guesses.spawn(async move { login_from(&client, &app, "ann@example.com", WRONG).await });
        }
        for status in guesses.join_all().await {
            match status {
                StatusCode::UNAUTHORIZED => looked_at += 1,
                StatusCode::TOO_MANY_REQUESTS => refused += 1,
                other => panic!("{other}"),
            }
        }
        if round % 10 == 0 {
            let answer = login_with(&app, "ann@example.com", PASSWORD, &known).await;
            assert_eq!(answer.status(), StatusCode::OK, "round {round}: the owner's own device");
            known = json_of(answer).await["device"].as_str().unwrap().to_owned();
        }
        // As long as anybody is ever told to wait.
        app.clock.advance(Duration::from_secs(900));
    }
    assert_eq!((looked_at, refused), (100, 9_900));
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(login_with(&app, "ann@example.com", PASSWORD, &known).await.status(), StatusCode::OK);
    accounts::unlock(&app.app, email("ann@example.com")).await.unwrap();
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::OK);
}
