//! Ten thousand guesses at one account.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use reqwest::StatusCode;
use signet::config::Throttle;
use signet::flow::accounts;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::{WRONG, device, email, login_with};
use crate::helpers::app::{PASSWORD, TestApp, json_of};

/// A guesser at another address of this machine. Over a bare connection: ten thousand answers read by an HTTP client take
/// a debug build as long as it takes to give them.
async fn guesser_at(last: u8, app: &TestApp) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0))).unwrap();
    let server = app.url.strip_prefix("http://").unwrap();
    socket.connect(server.parse().unwrap()).await.unwrap()
}

/// Guesses, and answers the status.
async fn guess(guesser: &mut TcpStream) -> u16 {
    let body = format!(r#"{{"email":"ann@example.com","password":"{WRONG}"}}"#);
    let head = "POST /api/v1/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ";
    guesser.write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Each of these answers is one JSON object, and nothing before it holds such an end.
    while !answer.ends_with(b"}") {
        assert_ne!(guesser.read_buf(&mut answer).await.unwrap(), 0, "{}", String::from_utf8_lossy(&answer));
    }
    crate::helpers::raw::status(&String::from_utf8_lossy(&answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_thousand_guesses_from_a_hundred_addresses_a_hundred_are_looked_at() {
    let app = TestApp::spawn_with(|config| {
        config.throttle = Throttle::default();
        // Room for all hundred at once: it is the throttle that shall refuse them.
        config.passwords.queue_per_thread = 100;
    })
    .await;
    app.register("ann@example.com").await;
    let mut known = device(&app, "ann@example.com").await;
    let mut guessers = Vec::new();
    for last in 100..200 {
        guessers.push(guesser_at(last, &app).await);
    }
    let (mut looked_at, mut refused) = (0, 0);
    for round in 0..100 {
        for status in futures_util::future::join_all(guessers.iter_mut().map(guess)).await {
            match status {
                401 => looked_at += 1,
                429 => refused += 1,
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
