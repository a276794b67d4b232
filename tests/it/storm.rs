//! Many more sign-ins at once than can be hashed, half of the callers not staying for the answer. With times and
//! memory: `scripts/prove storm`.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;

use reqwest::StatusCode;
use serde_json::json;
use signet::config::HashCost;
use tokio::task::JoinSet;

use crate::helpers::app::{PASSWORD, TestApp};

/// Callers who stay, and as many who hang up.
const STAY: usize = 16;
/// Places in the queue.
const PLACES: usize = 6;

fn stayer(number: usize) -> String {
    format!("stays{number}@example.com")
}

fn leaver(number: usize) -> String {
    format!("leaves{number}@example.com")
}

/// Sends a sign-in and closes, in the ordinary way, without reading.
fn send_and_hang_up(app: &TestApp, email: &str) {
    let body = json!({ "email": email, "password": PASSWORD }).to_string();
    let address = app.url.strip_prefix("http://").unwrap();
    let length = body.len();
    let request = format!(
        "POST /api/v1/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    TcpStream::connect(address).unwrap().write_all(request.as_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a011_in_a_storm_the_surplus_is_refused_at_once_and_whoever_hung_up_costs_nothing() {
    let app = TestApp::spawn_with(|config| {
        config.passwords.threads = 1;
        config.passwords.queue_per_thread = PLACES;
        config.passwords.cost = HashCost { memory_kib: 19_456, iterations: 2, parallelism: 1 };
    })
    .await;
    for number in 0..STAY {
        app.register(&stayer(number)).await;
        app.register(&leaver(number)).await;
    }
    let token = app.token(&stayer(0)).await;

    let app = Arc::new(app);
    let mut storm = JoinSet::new();
    // First those who hang up: more than there are places, so that whoever came after would find none left.
    for number in 0..STAY {
        send_and_hang_up(&app, &leaver(number));
    }
    for number in 0..STAY {
        let app = app.clone();
        storm.spawn(async move {
            let answer = app.login(&stayer(number), PASSWORD).await;
            let retry_after = answer.headers().get("retry-after").is_some();
            (answer.status(), retry_after)
        });
    }
    // In the order in which the answers came.
    let mut answers = Vec::new();
    while let Some(answer) = storm.join_next().await {
        let answer = answer.unwrap();
        answers.push(answer);
        if answers.len() == STAY / 4 {
            assert_eq!(app.get("/health/live").await.status(), StatusCode::OK);
            assert_eq!(app.get_with_token("/api/v1/me", &token).await.status(), StatusCode::OK);
            assert!(!storm.is_empty(), "others waited behind the hashes");
        }
    }
    let served = answers.iter().filter(|answer| **answer == (StatusCode::OK, false)).count();
    let refused = answers.iter().filter(|answer| **answer == (StatusCode::SERVICE_UNAVAILABLE, true)).count();
    assert_eq!(served + refused, STAY, "{answers:?}");
    assert!(served >= 1 && refused >= 1, "{served} served, {refused} refused");
    // Nobody stands in the queue to be refused: the last to be answered are those who were served.
    assert_eq!(answers.last(), Some(&(StatusCode::OK, false)), "{answers:?}");

    let users = signet::flow::accounts::list(&app.app, None, 1000).await.unwrap();
    let ghosts =
        users.iter().filter(|user| user.email.as_str().starts_with("leaves") && user.last_sign_in.is_some());
    let ghosts = ghosts.count();
    assert!(ghosts <= 2, "{ghosts} of {STAY} were signed in after they had gone");
    assert_eq!(app.login(&leaver(0), PASSWORD).await.status(), StatusCode::OK, "and it is over");
}
