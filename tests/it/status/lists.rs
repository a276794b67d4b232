//! `GET /status/{list}`.

use std::time::Duration;

use reqwest::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{fetch, grant, insert, refresh, revoke};
use crate::helpers::app::{NOW, TestApp, json_of};
use crate::helpers::db::on_both_engines;

on_both_engines! {
    async fn a_list_verifies_with_the_published_keys_and_names_whom_it_should_alone(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let grants: Vec<_> = (0..40).map(|_| grant()).collect();
        let ids: Vec<_> = grants.iter().map(|grant| grant.id).collect();
        let serials = insert(&database.db, grants).await;
        // Into the list after next, at its first and its last place.
        let mut outside = database.outside().await;
        let (first, last) = (serials[10].number(), serials[11].number());
        outside.execute(&format!("UPDATE grants SET serial = 131072 WHERE serial = {first}")).await;
        outside.execute(&format!("UPDATE grants SET serial = 196607 WHERE serial = {last}")).await;
        for index in [3, 7, 8, 10, 11, 39] {
            revoke(&database.db, ids[index]).await;
        }
        refresh(&app).await;
        let list = fetch(&app, 0).await;
        let expected: Vec<u64> = [3, 7, 8, 39].map(|index| serials[index].index()).to_vec();
        assert_eq!(list.revoked(), expected);
        assert_eq!(list.headers[CONTENT_TYPE], "application/statuslist+jwt");
        let kid = app.app.keyring.active_kid().unwrap();
        assert_eq!(list.header, json!({ "typ": "statuslist+jwt", "alg": "RS256", "kid": kid }));
        let issuer = app.app.config.issuer.as_str();
        let mut claims = list.claims.clone();
        claims["status_list"]["lst"].take();
        assert_eq!(claims, json!({
            "iss": issuer,
            "sub": format!("{issuer}/status/0"),
            "iat": NOW,
            "exp": NOW + 300,
            "ttl": 60,
            "status_list": { "bits": 1, "lst": null },
        }));
        assert!(fetch(&app, 1).await.revoked().is_empty());
        assert_eq!(fetch(&app, 2).await.revoked(), [0, 65_535]);
        // The first grant of the next list may come any moment.
        let next = fetch(&app, 3).await;
        assert_eq!((next.revoked(), next.etag().starts_with("\"0-")), (Vec::new(), true));
        assert_eq!(app.get("/status/4").await.status(), StatusCode::NOT_FOUND);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_confirmed_until_its_half_minute_is_over_or_it_changes() {
    let app = TestApp::spawn().await;
    let one = grant();
    let id = one.id;
    insert(&app.app.db, vec![one]).await;
    let first = fetch(&app, 0).await;
    let kid = app.app.keyring.active_kid().unwrap();
    assert_eq!(first.etag(), format!("\"0-{NOW}-{kid}\""));
    let again =
        |method: Method, tag: String| app.request(method, "/status/0").header(IF_NONE_MATCH, tag).send();
    for tag in [first.etag().to_owned(), format!("\"x\", W/{}", first.etag())] {
        let same = again(Method::GET, tag).await.unwrap();
        assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(
            (&same.headers()[ETAG], &same.headers()[CACHE_CONTROL]),
            (&first.headers[ETAG], &"no-cache".parse().unwrap())
        );
        assert_eq!(same.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(same.bytes().await.unwrap().is_empty());
    }
    let head = again(Method::HEAD, "\"x\"".to_owned()).await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.headers()[CONTENT_LENGTH], first.token.len().to_string().as_str());
    assert_eq!(first.headers[CACHE_CONTROL], "no-cache");
    assert_eq!(first.headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");

    app.clock.advance(Duration::from_secs(29));
    assert_eq!(fetch(&app, 0).await.token, first.token);
    app.clock.advance(Duration::from_secs(1));
    let second = fetch(&app, 0).await;
    assert_eq!(second.claims["iat"], NOW + 30);
    assert_eq!(again(Method::GET, first.etag().to_owned()).await.unwrap().status(), StatusCode::OK);

    revoke(&app.app.db, id).await;
    refresh(&app).await;
    let third = fetch(&app, 0).await;
    assert_eq!(third.etag(), format!("\"1-{}-{kid}\"", NOW + 30));
    assert_eq!((third.revoked().len(), third.claims["iat"].as_i64()), (1, Some(NOW + 30)));
}

// A stranger who asks for every number there is makes nothing be kept, signed or read from the database.
#[tokio::test(flavor = "multi_thread")]
async fn a123_lists_that_nobody_is_in_do_not_exist() {
    let app = TestApp::spawn().await;
    insert(&app.app.db, vec![grant()]).await;
    refresh(&app).await;
    let numbers = (2..200_i64).map(|n| n.to_string());
    let far =
        [i64::MAX.to_string(), format!("{}0", i64::MAX), "-1".into(), "-0".into(), "+1".into(), "00".into()];
    let odd = ["0x0", "1e3", "a", "%00", "0%2F..", "1.0", "%20", "٠"].map(str::to_owned);
    for number in numbers.chain(far).chain(odd) {
        let answer = app.get(&format!("/status/{number}")).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{number}");
        assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(json_of(answer).await["type"], "urn:signet:problem:not-found");
    }
    assert_eq!(app.app.status_board.signed.count(), 0);
    for _ in 0..3 {
        app.clock.advance(Duration::from_secs(30));
        for list in [0, 1, 0, 1] {
            fetch(&app, list).await;
        }
        assert_eq!(app.app.status_board.signed.count(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_at_once_gets_one_and_the_same_token() {
    let app = TestApp::spawn().await;
    let asked = (0..40).map(|_| app.get("/status/0"));
    let mut tokens = Vec::new();
    for answer in futures_util::future::join_all(asked).await {
        tokens.push(answer.text().await.unwrap());
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_with_a_path_serves_its_lists_below_it() {
    let app = TestApp::spawn_with_env(&[("SIGNET_ISSUER", "http://127.0.0.1:8080/auth")]).await;
    assert_eq!(fetch(&app, 0).await.claims["sub"], "http://127.0.0.1:8080/auth/status/0");
    assert_eq!(app.get("/auth/status/0").await.status(), StatusCode::OK);
    assert_eq!(app.get("/auth/status?since=0").await.status(), StatusCode::OK);
}
