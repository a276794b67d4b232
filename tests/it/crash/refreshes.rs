//! Killed at any moment amid a load of refreshes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::StatusCode;
use tokio::task::JoinSet;

use super::client::{Server, Session, refresh_token};

/// Sessions that refresh at once, each again and again.
const SESSIONS: usize = 24;

/// Kills when nobody says how many.
const KILLS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a126_a_kill_amid_refreshes_logs_nobody_out_and_leaves_no_second_token() {
    let kills = std::env::var("SIGNET_TEST_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let mut server = Server::start();
    let mut sessions = server.sessions("ann@example.com", SESSIONS).await;
    let mut unanswered = 0;
    for round in 0..kills {
        server.let_every_grace_pass().await;
        let unheard = refresh_until_killed(&mut server, sessions, rand::random_range(0..=SESSIONS)).await;
        server.again();
        sessions = unheard;
        for (number, session) in sessions.iter_mut().enumerate() {
            let before = session.tokens.len();
            let held = session.tokens.last().unwrap().clone();
            let answer = server.refresh(&held).await.unwrap();
            let when = format!("kill {round}, session {number}");
            assert_eq!(answer.status(), StatusCode::OK, "{when}: the session was lost");
            let next = refresh_token(answer).await;
            // Whoever had an answer holds the newest already.
            if next != held {
                assert!(!session.tokens.contains(&next), "{when}: an old token");
                session.tokens.push(next.clone());
            }
            for again in [&held, &next] {
                let answer = server.refresh(again).await.unwrap();
                assert_eq!(answer.status(), StatusCode::OK, "{when}");
                assert_eq!(refresh_token(answer).await, next, "{when}: a second successor");
            }
            unanswered += session.tokens.len() - before;
        }
    }
    eprintln!("{kills} kills, {unanswered} refreshes of {} had to be sent again", kills * SESSIONS);
    for session in &sessions {
        server.only_the_newest_lives(session).await;
    }
    assert_eq!(server.process.stop(), Some(0));
}

/// All refresh at once; the server dies when so many were answered.
async fn refresh_until_killed(server: &mut Server, sessions: Vec<Session>, answers: usize) -> Vec<Session> {
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for mut session in sessions {
        let (client, url, answered) = (server.client.clone(), server.process.url.clone(), answered.clone());
        clients.spawn(async move {
            loop {
                let held = session.tokens.last().unwrap();
                let body = serde_json::json!({ "refresh_token": held });
                let Ok(answer) = client.post(format!("{url}/api/v1/refresh")).json(&body).send().await else {
                    return session;
                };
                assert_eq!(answer.status(), StatusCode::OK);
                // The end may come between the head and the body.
                let Ok(answer) = answer.json::<serde_json::Value>().await else { return session };
                let next = answer["refresh_token"].as_str().unwrap();
                if next != held {
                    session.tokens.push(next.to_owned());
                }
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while answered.load(Ordering::Relaxed) < answers {
        tokio::task::yield_now().await;
    }
    server.kill();
    clients.join_all().await
}
