//! Killed amid registrations.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokio::sync::Mutex;

use super::quick;
use crate::helpers::app::PASSWORD;
use crate::helpers::process::Process;

/// Registrations and logins under way when the process dies.
const REQUESTS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn every_account_that_was_answered_201_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start_command(quick(folder.path()), folder.path()).unwrap();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
    let (url, answered) = (server.url.clone(), Arc::new(Mutex::new(Vec::new())));
    let count = Arc::new(AtomicUsize::new(0));

    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..REQUESTS {
        let (client, url, answered, count) = (client.clone(), url.clone(), answered.clone(), count.clone());
        tasks.spawn(async move {
            let email = format!("n{}@example.com", number / 2);
            let body = json!({ "email": email, "password": PASSWORD });
            let path = if number % 2 == 0 { "register" } else { "login" };
            loop {
                let Ok(answer) = client.post(format!("{url}/api/v1/{path}")).json(&body).send().await else {
                    return;
                };
                match answer.status() {
                    StatusCode::CREATED => answered.lock().await.push(email.clone()),
                    // The queue is full, or we took longer to send than it waits: that is its job. Again.
                    StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT => {
                        tokio::time::sleep(Duration::from_millis(20)).await; // poll:
                        continue;
                    }
                    StatusCode::OK | StatusCode::UNAUTHORIZED => {}
                    other => panic!("{path}: {other}"),
                }
                count.fetch_add(1, Ordering::Relaxed);
                return;
            }
        });
    }
    while count.load(Ordering::Relaxed) < REQUESTS / 4 {
        if let Some(Err(failed)) = tasks.try_join_next() {
            panic!("{failed}");
        }
        tokio::task::yield_now().await;
    }
    server.kill();
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }

    let answered = answered.lock().await.clone();
    assert!(
        !answered.is_empty() && answered.len() < REQUESTS / 2,
        "{} of {REQUESTS} answered",
        answered.len()
    );
    let server = Process::start_command(quick(folder.path()), folder.path()).unwrap();
    for email in answered {
        let body = json!({ "email": email, "password": PASSWORD });
        let answer = client.post(format!("{}/api/v1/login", server.url)).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{email} was answered 201 and is gone");
    }
    assert_eq!(server.stop(), Some(0));
}
