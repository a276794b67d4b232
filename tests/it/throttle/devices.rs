//! Known devices: what proves one, and what does not.

use std::time::Duration;

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::json;
use signet::flow::accounts;
use signet::password::Password;

use super::{WRONG, account_limits, device, email, guess, login_with, spawn, wait_of};
use crate::helpers::app::{NOW, PASSWORD, TestApp, json_of};
use crate::helpers::raw::{exchange, status};

/// An account that strangers cannot get into any more, and the proof of its owner's device.
async fn locked_account() -> (TestApp, String) {
    let app = spawn(account_limits()).await;
    app.register("ann@example.com").await;
    let known = device(&app, "ann@example.com").await;
    guess(&app, "ann@example.com", 100).await;
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::TOO_MANY_REQUESTS);
    (app, known)
}

async fn gets_in(app: &TestApp, device: &str) -> bool {
    match login_with(app, "ann@example.com", PASSWORD, device).await.status() {
        StatusCode::OK => true,
        status => {
            assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_accounts_own_fresh_and_whole_proof_makes_a_known_device() {
    let (app, known) = locked_account().await;
    assert!(gets_in(&app, &known).await);
    app.register("eve@example.com").await;
    let strange = device(&app, "eve@example.com").await;
    assert!(!gets_in(&app, &strange).await, "of another account");
    for at in (4..known.len()).step_by(7) {
        let other = if &known[at..=at] == "A" { "B" } else { "A" };
        assert!(!gets_in(&app, &format!("{}{other}{}", &known[..at], &known[at + 1..])).await, "{at}");
        assert!(!gets_in(&app, &known[..at]).await, "{at}");
    }
    let long = "x".repeat(8_000);
    for text in ["", " ", "sgd_", "é\u{0}", "null", &format!("{known}{known}"), &long] {
        assert!(!gets_in(&app, text).await, "{text:.40}");
    }
    // And whoever has it still needs the password, under a count of its own.
    for _ in 0..5 {
        let answer = login_with(&app, "ann@example.com", WRONG, &known).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
    let wait = wait_of(&login_with(&app, "ann@example.com", PASSWORD, &known).await);
    app.clock.advance(wait);
    assert!(gets_in(&app, &known).await);

    let age = u64::try_from(app.clock.now().as_seconds() - NOW).unwrap();
    app.clock.advance(Duration::from_secs(180 * 86_400 - age - 1));
    assert!(gets_in(&app, &known).await);
    app.clock.advance(Duration::from_secs(1));
    assert!(!gets_in(&app, &known).await, "too old");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_makes_every_device_a_stranger() {
    let app = spawn(account_limits()).await;
    app.register("ann@example.com").await;
    let known = device(&app, "ann@example.com").await;
    let again = Password::new(PASSWORD.to_owned());
    accounts::set_password(&app.app, email("ann@example.com"), again).await.unwrap();
    guess(&app, "ann@example.com", 100).await;
    assert!(!gets_in(&app, &known).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_has_used_up_its_tries_is_a_stranger() {
    let app = spawn(account_limits()).await;
    app.register("ann@example.com").await;
    let stolen = device(&app, "ann@example.com").await;
    let mut looked_at = 0;
    // A stranger's five free tries, and the wait after them, come on top of the device's hundred.
    while looked_at < 105 {
        let answer = login_with(&app, "ann@example.com", WRONG, &stolen).await;
        match answer.status() {
            StatusCode::UNAUTHORIZED => looked_at += 1,
            _ => app.clock.advance(wait_of(&answer)),
        }
    }
    let record = accounts::record(&app.app, email("ann@example.com")).await.unwrap();
    assert_eq!(record.stranger_tries, 5);
    let mine = app.login("ann@example.com", PASSWORD).await;
    app.clock.advance(wait_of(&mine));
    // It gets in as a stranger, and is a new device from then on.
    let answer = login_with(&app, "ann@example.com", PASSWORD, &stolen).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let fresh = json_of(answer).await["device"].as_str().unwrap().to_owned();
    guess(&app, "ann@example.com", 100).await;
    assert!(!gets_in(&app, &stolen).await && gets_in(&app, &fresh).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_keeps_its_number_and_leaves_the_strangers_count_alone() {
    let app = spawn(account_limits()).await;
    app.register("ann@example.com").await;
    let first = device(&app, "ann@example.com").await;
    guess(&app, "ann@example.com", 3).await;
    app.clock.advance(Duration::from_secs(60));
    let answer = login_with(&app, "ann@example.com", PASSWORD, &first).await;
    let second = json_of(answer).await["device"].as_str().unwrap().to_owned();
    assert_ne!(first, second, "it is dated anew");
    assert_eq!(first[..27], second[..27], "version, root key and device");
    assert_ne!(device(&app, "ann@example.com").await[..27], first[..27]);
    guess(&app, "ann@example.com", 2).await;
    let record = accounts::record(&app.app, email("ann@example.com")).await.unwrap();
    assert_eq!(
        record.stranger_tries, 2,
        "the sign-in of a new device ends the row, that of a known one did not"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_devices_success_does_not_reset_the_strangers() {
    let app = spawn(account_limits()).await;
    app.register("ann@example.com").await;
    let known = device(&app, "ann@example.com").await;
    guess(&app, "ann@example.com", 4).await;
    assert!(gets_in(&app, &known).await);
    let record = accounts::record(&app.app, email("ann@example.com")).await.unwrap();
    assert_eq!(record.stranger_tries, 4);
}

async fn login_with_cookies(app: &TestApp, cookies: &[&str]) -> Response {
    let body = json!({ "email": "ann@example.com", "password": PASSWORD });
    let mut request = app.request(Method::POST, "/api/v1/login").json(&body);
    for cookie in cookies {
        request = request.header("cookie", *cookie);
    }
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_gets_the_proof_as_a_cookie_that_no_script_reads() {
    let (app, known) = locked_account().await;
    let answer = login_with(&app, "ann@example.com", PASSWORD, &known).await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    let proof = json_of(answer).await["device"].as_str().unwrap().to_owned();
    let expected = format!("signet-device={proof}; Path=/; Max-Age=15552000; HttpOnly; SameSite=Strict");
    assert_eq!(cookie, expected, "a loopback issuer has no TLS");
    for cookies in [
        &[format!("signet-device={proof}")][..],
        &[format!("a=b; signet-device={proof};c=d")],
        &["a=b".to_owned(), format!("signet-device={proof}")],
    ] {
        let cookies: Vec<_> = cookies.iter().map(String::as_str).collect();
        assert_eq!(login_with_cookies(&app, &cookies).await.status(), StatusCode::OK, "{cookies:?}");
    }

    let app = TestApp::spawn_with_env(&[
        ("SIGNET_ISSUER", "https://login.example.com/auth"),
        ("SIGNET__REGISTRATION", "open"),
    ])
    .await;
    let client = Client::builder().no_proxy().build().unwrap();
    let post = async |path: &str| {
        let body = json!({ "email": "ann@example.com", "password": PASSWORD });
        let request = client.post(format!("{}/auth/api/v1/{path}", app.url)).json(&body);
        request.header("host", "login.example.com").send().await.unwrap()
    };
    assert_eq!(post("register").await.status(), StatusCode::CREATED);
    let answer = post("login").await;
    assert_eq!(answer.headers().get_all("set-cookie").iter().count(), 1);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-signet-device=sgd_"), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Max-Age=15552000; HttpOnly; SameSite=Strict; Secure"), "{cookie}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a031_two_device_cookies_count_as_none() {
    let (app, known) = locked_account().await;
    let (good, bad) = (format!("signet-device={known}"), "signet-device=sgd_x".to_owned());
    for cookies in [
        vec![good.clone(), bad.clone()],
        vec![bad.clone(), good.clone()],
        vec![format!("{good}; {bad}")],
        vec![format!("{good}; {good}")],
        vec![format!("__Host-{good}")],
        vec![format!("Signet-Device={known}")],
    ] {
        let cookies: Vec<_> = cookies.iter().map(String::as_str).collect();
        let answer = login_with_cookies(&app, &cookies).await;
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS, "{cookies:?}");
    }
    assert_eq!(login_with_cookies(&app, &[&good]).await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a032_a_broken_cookie_is_no_proof_and_no_fault() {
    let (app, known) = locked_account().await;
    let body = json!({ "email": "ann@example.com", "password": PASSWORD }).to_string();
    let send = |cookie: &[u8]| {
        let head = format!(
            "POST /api/v1/login HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\ncookie: ",
            body.len()
        );
        status(&exchange(&app.url, [head.as_bytes(), cookie, b"\r\n\r\n", body.as_bytes()].concat()))
    };
    let eight_kilobytes = format!("signet-device={}", "A".repeat(8_000));
    let broken: [&[u8]; 8] = [
        b"",
        b"signet-device",
        b"signet-device=",
        b"signet-device=sgd_!!!!",
        b"signet-device=\xff\xfe\xfd",
        b";;;=;=signet-device;",
        &known.as_bytes()[..80],
        eight_kilobytes.as_bytes(),
    ];
    for cookie in broken {
        assert_eq!(send(cookie), 429, "{}", String::from_utf8_lossy(cookie));
    }
    // Another cookie that is broken does not hide ours.
    let beside = [b"other=\xff\xfe; signet-device=", known.as_bytes()].concat();
    assert_eq!(send(&beside), 200);
}
