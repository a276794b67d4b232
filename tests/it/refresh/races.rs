//! Many at once with one token.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::StatusCode;
use signet::flow::audit_log;
use signet::store::AuditFilter;
use signet_guard::Timestamp;

use super::{PAST_GRACE, Tokens, is_refused, logout, new_session, refresh, sign_in, stored, try_refresh};
use crate::helpers::app::{TestApp, json_of};
use crate::helpers::db::{TestDatabase, on_both_engines};

/// How many come at once.
const RACERS: usize = 50;

/// `SIGNET_TEST_RACE_ROUNDS`, for a long proof.
fn rounds() -> u64 {
    std::env::var("SIGNET_TEST_RACE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(20)
}

/// The servers of one database: two where it can serve several.
async fn servers(database: &TestDatabase) -> Vec<TestApp> {
    let first = TestApp::spawn_on(database.config.clone()).await;
    let is_server = matches!(database.config.url, signet::config::DatabaseUrl::Postgres(_));
    let second = if is_server { Some(first.replica(|_| ()).await) } else { None };
    [Some(first), second].into_iter().flatten().collect()
}

async fn race(apps: &[TestApp], token: &str) -> Vec<(StatusCode, Option<String>)> {
    let racers = (0..RACERS).map(|racer| async move {
        let answer = try_refresh(&apps[racer % apps.len()], token).await;
        match answer.status() {
            StatusCode::OK => (StatusCode::OK, Some(Tokens::of(answer).await.refresh)),
            status => (status, None),
        }
    });
    join_all(racers).await
}

on_both_engines! {
    async fn a066_fifty_at_once_with_one_token_get_one_successor(database) {
        let apps = servers(database).await;
        let mut token = new_session(&apps[0]).await.refresh;
        for round in 1..=rounds() {
            apps.iter().for_each(|app| app.clock.advance(PAST_GRACE));
            let answers = race(&apps, &token).await;
            let successors: HashSet<_> = answers.iter().map(|(_, token)| token.clone()).collect();
            assert_eq!(successors.len(), 1, "round {round}: {answers:?}");
            let successor = successors.into_iter().flatten().next().expect("everybody was served");
            assert_ne!(successor, token);
            let grant = stored(&apps[0], &successor).await;
            assert_eq!((grant.generation, grant.revoked_at), (round, None));
            token = successor;
        }
    }

    // Without a grace the second of them is a thief or a victim: nobody can say which.
    async fn a066_without_a_grace_there_is_never_more_than_one_successor(database) {
        let app = TestApp::spawn_on_with(database.config.clone(), |config| {
            config.tokens.refresh_grace = Duration::ZERO;
        })
        .await;
        for round in 0..rounds().min(20) {
            let email = format!("{round}@example.com");
            app.register(&email).await;
            let token = sign_in(&app, &email).await.refresh;
            let answers = race(std::slice::from_ref(&app), &token).await;
            let served: Vec<_> = answers.iter().filter_map(|(_, token)| token.as_ref()).collect();
            assert_eq!(served.len(), 1, "{answers:?}");
            let refused = answers.iter().filter(|(status, _)| *status == StatusCode::BAD_REQUEST).count();
            assert_eq!(refused, RACERS - 1);
            assert!(is_refused(&app, served[0]).await, "a replay ended it");
        }
    }

    async fn a066_nobody_gets_past_a_logout_that_was_answered(database) {
        let apps = Arc::new(servers(database).await);
        for round in 0..rounds().min(20) {
            let email = format!("{round}@example.com");
            apps[0].register(&email).await;
            let token = sign_in(&apps[0], &email).await.refresh;
            apps.iter().for_each(|app| app.clock.advance(PAST_GRACE));
            let (answers, status) = tokio::join!(race(&apps, &token), logout(&apps[apps.len() - 1], &token));
            assert_eq!(status, StatusCode::NO_CONTENT);
            for (status, _) in &answers {
                assert!(matches!(*status, StatusCode::OK | StatusCode::BAD_REQUEST), "{status}");
            }
            let successors: HashSet<_> = answers.into_iter().filter_map(|(_, token)| token).collect();
            assert!(successors.len() <= 1);
            for successor in successors {
                assert!(is_refused(&apps[0], &successor).await);
            }
            assert!(is_refused(&apps[0], &token).await);
        }
    }

    async fn racers_of_an_old_token_end_the_session_once(database) {
        let apps = servers(database).await;
        let first = new_session(&apps[0]).await;
        apps.iter().for_each(|app| app.clock.advance(PAST_GRACE));
        refresh(&apps[0], &first.refresh).await;
        apps.iter().for_each(|app| app.clock.advance(PAST_GRACE));
        let answers = race(&apps, &first.refresh).await;
        assert!(answers.iter().all(|(status, _)| *status == StatusCode::BAD_REQUEST), "{answers:?}");
        let rows = "SELECT COUNT(*) FROM audit WHERE event = 'refresh.fail' AND reason = 'replayed'";
        assert_eq!(database.outside().await.number(rows).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_racer_is_told_nothing_that_the_first_is_not() {
    let mut app = TestApp::spawn().await;
    // Or its flush could be half-way when we look.
    app.stop_background().await;
    let first = new_session(&app).await;
    app.clock.advance(PAST_GRACE);
    let [rotated, retried] = [(); 2].map(|()| try_refresh(&app, &first.refresh));
    let (rotated, retried) = (rotated.await, retried.await);
    let names = |answer: &reqwest::Response| {
        let mut names: Vec<_> = answer.headers().keys().map(ToString::to_string).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names(&rotated), names(&retried));
    let (rotated, retried) = (json_of(rotated).await, json_of(retried).await);
    assert_eq!(rotated["refresh_token"], retried["refresh_token"]);
    let members = |body: &serde_json::Value| body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(members(&rotated), members(&retried));
    // The operator is: the retry has an entry; the rotation, and the token that stays, have none.
    refresh(&app, rotated["refresh_token"].as_str().unwrap()).await;
    audit_log::flush(&app.app).await;
    let event = Some("refresh.success".to_owned());
    let filter = AuditFilter { since: Timestamp::from_seconds(0), user_id: None, event };
    let entries = audit_log::newest(&app.app, &filter, 100).await.unwrap();
    let told: Vec<_> = entries.iter().map(|it| (it.row.reason.as_deref(), it.row.count)).collect();
    assert_eq!(told, [(Some("retried"), 1)]);
    assert_eq!(entries[0].row.session_id.as_deref(), first.claims()["sid"].as_str());
}

/// Seen on PostgreSQL, which tells who waits for whom: the token was good when it was judged.
#[tokio::test(flavor = "multi_thread")]
async fn a066_a_rotation_that_a_logout_overtakes_is_refused() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let app = Arc::new(TestApp::spawn_on(database.config.clone()).await);
    let first = new_session(&app).await;
    app.clock.advance(PAST_GRACE);
    let mut other = database.outside().await;
    let mut watch = database.outside().await;
    other.execute("BEGIN").await;
    other.execute("UPDATE grants SET revoked_at = 1, revoked_for = 'logout'").await;
    let refused = {
        let (app, token) = (app.clone(), first.refresh.clone());
        tokio::spawn(async move { is_refused(&app, &token).await })
    };
    watch.until_somebody_waits(&refused).await;
    other.execute("COMMIT").await;
    assert!(refused.await.unwrap());
    assert_eq!(stored(&app, &first.refresh).await.generation, 0);
    drop((other, watch, app));
    database.remove().await;
}

/// Seen on PostgreSQL: a replica whose clock is ahead found the session expired, and another one refreshed it first.
#[tokio::test(flavor = "multi_thread")]
async fn a138_a_session_that_was_refreshed_in_time_is_not_ended_by_a_clock_that_is_ahead() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let app = Arc::new(TestApp::spawn_on(database.config.clone()).await);
    let first = new_session(&app).await;
    let deadline = stored(&app, &first.refresh).await.idle_until;
    app.clock.set(deadline);
    let mut other = database.outside().await;
    let mut watch = database.outside().await;
    other.execute("BEGIN").await;
    let rotated = "generation = 1, rotated_at = idle_until - 1, idle_until = idle_until + 1000";
    other.execute(&format!("UPDATE grants SET {rotated}, bit_until = idle_until + 1000")).await;
    let answer = {
        let (app, token) = (app.clone(), first.refresh.clone());
        tokio::spawn(async move { refresh(&app, &token).await })
    };
    watch.until_somebody_waits(&answer).await;
    other.execute("COMMIT").await;
    let successor = answer.await.unwrap();
    assert_ne!(successor.refresh, first.refresh);
    refresh(&app, &successor.refresh).await;
    drop((other, watch, app));
    database.remove().await;
}
