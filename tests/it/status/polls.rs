//! `GET /status`: what changed, and waiting for it.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{grant, insert, poll, refresh, revoke, until, version_told};
use crate::helpers::app::{TestApp, json_of};
use crate::helpers::db::on_both_engines;

/// A poll under way: the answer's status, what it applied, and its document.
fn waiting(app: &TestApp, query: &str) -> JoinHandle<(StatusCode, Option<String>, Value)> {
    let request = app.request(Method::GET, &format!("/status{query}")).header("prefer", "wait=30");
    tokio::spawn(async move {
        let answer = request.send().await.unwrap();
        let applied = answer.headers().get("preference-applied").map(|it| it.to_str().unwrap().to_owned());
        (answer.status(), applied, json_of(answer).await)
    })
}

async fn until_waiting(app: &TestApp, many: usize) {
    let board = app.app.status_board.clone();
    until(&format!("{many} wait"), async || board.waiting.count() == many).await;
}

on_both_engines! {
    async fn whoever_waits_is_told_which_list_changed(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let (one, two) = (grant(), grant());
        let ids = [one.id, two.id];
        let serials = insert(&database.db, vec![one, two]).await;
        let mut outside = database.outside().await;
        outside.execute(&format!("UPDATE grants SET serial = 65540 WHERE serial = {}", serials[1].number())).await;
        let polls = [waiting(&app, "?since=0"), waiting(&app, "?since=0")];
        until_waiting(&app, 2).await;
        revoke(&database.db, ids[1]).await;
        let uri = |list: i64| format!("{}/status/{list}", app.app.config.issuer.as_str());
        for poll in polls {
            let (status, applied, changes) = poll.await.unwrap();
            assert_eq!((status, applied.as_deref()), (StatusCode::OK, Some("wait=30")));
            assert_eq!(changes, json!({ "version": 1, "lists": [uri(1)] }));
        }
        let next = waiting(&app, "?since=1");
        until_waiting(&app, 1).await;
        revoke(&database.db, ids[0]).await;
        assert_eq!(next.await.unwrap().2, json!({ "version": 2, "lists": [uri(0)] }));
        // Without waiting: at once, whatever there is.
        let changes = json_of(poll(&app, "?since=0", None).await).await;
        assert_eq!(changes, json!({ "version": 2, "lists": [uri(1), uri(0)] }));
        let late = poll(&app, "?since=1", Some("wait=30")).await;
        assert_eq!(json_of(late).await, json!({ "version": 2, "lists": [uri(0)] }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_version_only_the_version_of_now_is_told() {
    let app = TestApp::spawn().await;
    let one = grant();
    let id = one.id;
    insert(&app.app.db, vec![one]).await;
    revoke(&app.app.db, id).await;
    refresh(&app).await;
    for wait in [None, Some("wait=30")] {
        let answer = poll(&app, "", wait).await;
        assert!(answer.headers().get("preference-applied").is_none());
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(json_of(answer).await, json!({ "version": 1, "lists": [] }));
    }
    let head = app.request(Method::HEAD, "/status?since=0").send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    let without_waiting = poll(&app, "?since=1", None).await;
    assert!(without_waiting.headers().get("preference-applied").is_none());
    assert_eq!(json_of(without_waiting).await, json!({ "version": 1, "lists": [] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nothing_changes_the_answer_comes_after_the_wait() {
    let app = TestApp::spawn().await;
    let answer = poll(&app, "?since=0", Some("return=minimal, wait=1")).await;
    assert_eq!(answer.headers()["preference-applied"], "wait=1");
    assert_eq!(json_of(answer).await, json!({ "version": 0, "lists": [] }));
    assert_eq!(app.app.status_board.waiting.count(), 0);
    let answer = poll(&app, "?since=0", Some("x=\"a, wait=9\"; y=\";\", wait=1")).await;
    assert_eq!(answer.headers()["preference-applied"], "wait=1", "what is quoted is no preference");
    for preference in [
        "wait=0",
        "wait=-1",
        "wait=",
        "wait=x",
        "respond-async",
        "wait=1e9",
        ",;=,",
        "x=\"y, wait=1\"",
        "wait=1, x=\"y",
    ] {
        let answer = poll(&app, "?since=0", Some(preference)).await;
        assert!(answer.headers().get("preference-applied").is_none(), "{preference}");
        assert_eq!(json_of(answer).await, json!({ "version": 0, "lists": [] }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_never_was_says_begin_anew() {
    let app = TestApp::spawn().await;
    for since in ["1", "9223372036854775807", "9223372036854775808", "18446744073709551616"] {
        let answer = poll(&app, &format!("?since={since}"), Some("wait=30")).await;
        assert_eq!(json_of(answer).await, json!({ "version": 0, "lists": [], "restart": true }));
    }
    for query in [
        "?since=",
        "?since=x",
        "?since=-1",
        "?since=-9223372036854775809",
        "?since=1.5",
        "?since=1&since=1",
        "?since=9223372036854775808&since=1",
    ] {
        let answer = poll(&app, query, Some("wait=30")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{query}");
        let problem = json_of(answer).await;
        assert_eq!(problem["type"], "urn:signet:problem:invalid-request");
        assert_eq!(problem["errors"][0]["field"], "since");
    }
    assert_eq!(version_told(&app).await, 0);
}

// Somebody who waits under the old versions is told that they count no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_set_back_wakes_who_waits() {
    let database = crate::helpers::db::TestDatabase::sqlite().await;
    let app = TestApp::spawn_on(database.config.clone()).await;
    let mut outside = database.outside().await;
    outside.execute("UPDATE status_version SET version = 7").await;
    refresh(&app).await;
    let poll = waiting(&app, "?since=7");
    until_waiting(&app, 1).await;
    outside.execute("UPDATE status_version SET version = 3").await;
    assert_eq!(poll.await.unwrap().2, json!({ "version": 3, "lists": [], "restart": true }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a123_so_many_may_wait_and_whoever_hangs_up_makes_room() {
    // One connection to the database: none is held while waiting.
    let app = TestApp::spawn_with(|config| config.database.max_connections = 1).await;
    app.app.status_board.waiting.allow(3);
    let mut polls: Vec<_> = (0..3).map(|_| waiting(&app, "?since=0")).collect();
    until_waiting(&app, 3).await;
    for _ in 0..5 {
        let (status, applied, changes) = waiting(&app, "?since=0").await.unwrap();
        assert_eq!((status, applied), (StatusCode::OK, None));
        assert_eq!(changes, json!({ "version": 0, "lists": [] }));
    }
    assert_eq!(app.get("/health/ready").await.status(), StatusCode::OK);
    polls.pop().unwrap().abort();
    until_waiting(&app, 2).await;
    polls.push(waiting(&app, "?since=0"));
    until_waiting(&app, 3).await;
    let one = grant();
    let id = one.id;
    insert(&app.app.db, vec![one]).await;
    revoke(&app.app.db, id).await;
    for poll in polls {
        let (_, applied, changes) = poll.await.unwrap();
        assert_eq!((applied.as_deref(), &changes["version"]), (Some("wait=30"), &json!(1)));
    }
    assert_eq!(app.app.status_board.waiting.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quarter_of_the_connections_may_wait() {
    let app = TestApp::spawn_with(|config| config.server.max_connections = 16).await;
    let polls: Vec<_> = (0..4).map(|_| waiting(&app, "?since=0")).collect();
    until_waiting(&app, 4).await;
    assert_eq!(waiting(&app, "?since=0").await.unwrap().1, None);
    polls.iter().for_each(JoinHandle::abort);
}

// Whoever waits is answered, rather than cut off when the time for stopping is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_not_held_up_by_those_who_wait() {
    let app = TestApp::spawn().await;
    let polls: Vec<_> = (0..5).map(|_| waiting(&app, "?since=0")).collect();
    until_waiting(&app, 5).await;
    let inner = Arc::clone(&app.app);
    drop(app);
    for poll in polls {
        let (status, _, changes) = poll.await.unwrap();
        assert_eq!((status, changes), (StatusCode::OK, json!({ "version": 0, "lists": [] })));
    }
    assert!(inner.status_board.waiting.take_place().is_none());
}

on_both_engines! {
    // Whoever follows this replica must learn that it knows nothing new, or takes its silence for good news.
    async fn a139_a_replica_that_cannot_read_the_database_does_not_say_that_nothing_changed(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let one = grant();
        let id = one.id;
        insert(&database.db, vec![one]).await;
        let waits = waiting(&app, "?since=0");
        until_waiting(&app, 1).await;
        let mut outside = database.outside().await;
        outside.execute("ALTER TABLE status_version RENAME TO elsewhere").await;
        assert_eq!(waits.await.unwrap().0, StatusCode::SERVICE_UNAVAILABLE);
        for query in ["", "?since=0", "?since=1"] {
            let answer = poll(&app, query, Some("wait=30")).await;
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{query}");
        }
        let list = async |heard: &str| {
            let request = app.request(Method::GET, "/status/0").header("signet-status-version", heard);
            request.send().await.unwrap().status().as_u16()
        };
        // What is known is still served, but not to those who know more.
        assert_eq!([list("0").await, list("x").await, list("1").await], [200, 200, 503]);
        // Nor does time make it look newer than it is.
        let dated = async || app.get("/status/0").await.headers()["etag"].clone();
        let before = dated().await;
        app.clock.advance(Duration::from_secs(120));
        assert_eq!(dated().await, before);
        outside.execute("ALTER TABLE elsewhere RENAME TO status_version").await;
        revoke(&database.db, id).await;
        until("it is read again", async || list("1").await == 200).await;
        until("it is said", async || poll(&app, "?since=0", None).await.status() == StatusCode::OK).await;
        // A version that never was is no fault of the list.
        assert_eq!(list("9223372036854775807").await, 200);
    }
}
