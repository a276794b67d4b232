//! More than the service can do at once, and an end in the middle of it.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;

use reqwest::{Client, StatusCode};
use serde_json::json;
use signet::config::HashCost;

use crate::helpers::app::{PASSWORD, TestApp};
use crate::helpers::process::{Process, command};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_an_honest_not_now_and_nothing_else_waits() {
    let app = TestApp::spawn_with(|config| {
        config.passwords.threads = 1;
        config.passwords.queue_per_thread = 2;
        config.passwords.cost = HashCost { memory_kib: 19_456, iterations: 4, parallelism: 1 };
    })
    .await;
    app.register("ann@example.com").await;
    let app = Arc::new(app);
    let mut logins = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let app = app.clone();
        logins.spawn(async move {
            let answer = app.login("ann@example.com", PASSWORD).await;
            let wait = answer.headers().get("retry-after").map(|wait| wait.to_str().unwrap().to_owned());
            (answer.status(), wait)
        });
    }
    // Verifiers and health checks do not stand in that queue.
    assert_eq!(app.get("/.well-known/jwks.json").await.status(), StatusCode::OK);
    assert_eq!(app.get("/health/live").await.status(), StatusCode::OK);
    let (mut served, mut refused) = (0, 0);
    while let Some(answer) = logins.join_next().await {
        match answer.unwrap() {
            (StatusCode::OK, None) => served += 1,
            (StatusCode::SERVICE_UNAVAILABLE, Some(wait)) if wait.parse::<u32>().unwrap() >= 1 => {
                refused += 1
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(served >= 1 && refused >= 1, "{served} served, {refused} refused");
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::OK, "and it is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_is_under_way_and_takes_nothing_new() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path()).unwrap();
    let client = Client::builder().no_proxy().build().unwrap();
    let body = json!({ "email": "ann@example.com", "password": PASSWORD });
    let url = server.url.clone();
    let under_way = {
        let (client, url, body) = (client.clone(), format!("{url}/api/v1/register"), body.clone());
        tokio::spawn(async move { client.post(url).json(&body).send().await })
    };
    // Its hash takes tens of milliseconds: wait until it has begun, as the busy thread shows.
    let running = || {
        let tasks = format!("/proc/{}/task", server.child.id());
        let Ok(tasks) = std::fs::read_dir(tasks) else { return true };
        tasks.filter_map(Result::ok).any(|task| {
            let text = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
            text("comm").starts_with("hash-") && text("stat").contains(") R ")
        })
    };
    while !under_way.is_finished() && !running() {
        tokio::task::yield_now().await;
    }
    let code = tokio::task::spawn_blocking(move || server.stop()).await.unwrap();
    assert_eq!(code, Some(0));
    assert_eq!(under_way.await.unwrap().unwrap().status(), StatusCode::CREATED);
    assert!(client.post(format!("{url}/api/v1/login")).json(&body).send().await.is_err());

    let again = Process::start(folder.path()).unwrap();
    let login = client.post(format!("{}/api/v1/login", again.url)).json(&body).send().await.unwrap();
    assert_eq!(login.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_who_hang_up_leave_the_queue() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = command(folder.path());
    serve.env("SIGNET__PASSWORDS__THREADS", "1").env("SIGNET__PASSWORDS__COST__ITERATIONS", "16");
    let server = Process::start_command(serve, folder.path()).unwrap();
    // A name each: it is the queue that must let them go, not the throttle that turns them away.
    let body = |name: usize| json!({ "email": format!("n{name}@example.com"), "password": PASSWORD });
    let request = |name: usize| {
        let text = body(name).to_string();
        format!(
            "POST /api/v1/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{text}",
            text.len()
        )
    };
    let address = server.url.strip_prefix("http://").unwrap();
    let callers: Vec<_> = (0..20)
        .map(|name| {
            let mut caller = TcpStream::connect(address).unwrap();
            caller.write_all(request(name).as_bytes()).unwrap();
            caller
        })
        .collect();
    // Closed in the ordinary way, as a browser does when its tab is closed: no reset, only an end of file.
    drop(callers);
    let client = Client::builder().no_proxy().build().unwrap();
    let answer = client.post(format!("{}/api/v1/login", server.url)).json(&body(20)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let hashed = server.logged().matches("login.fail").count();
    assert!(hashed < 10, "{} passwords were hashed for callers who had gone", hashed - 1);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_connections_waits_to_be_accepted() {
    let app = TestApp::spawn().await;
    let bound = signet::server::Bound::bind(app.app.clone()).unwrap();
    let burst: Vec<_> = (0..300)
        .map(|_| TcpStream::connect_timeout(&bound.address(), std::time::Duration::from_millis(500)))
        .take_while(Result::is_ok)
        .collect();
    assert_eq!(burst.len(), 300);
}
