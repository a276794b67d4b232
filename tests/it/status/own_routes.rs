//! Signet's own guarded routes, which look at the lists themselves.

use reqwest::StatusCode;
use serde_json::{Value, json};
use signet::account::UserId;
use signet::flow::status;
use signet::grant::{Revocation, SessionId};

use super::{at, fetch, grant, insert, refresh, revoke, until, version_told};
use crate::helpers::app::{TestApp, claims_of};
use crate::helpers::db::on_both_engines;
use crate::helpers::mint;

async fn me(app: &TestApp, user: &str, status: Value) -> StatusCode {
    let mut claims = mint::claims(app, user);
    claims["status"] = status;
    app.get_with_token("/api/v1/me", &mint::token(app, &claims)).await.status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_opens_none_of_them() {
    let app = TestApp::spawn().await;
    let user = app.register("ann@example.com").await;
    let grants: Vec<_> = (0..3).map(|_| grant()).collect();
    let id = grants[1].id;
    let serials = insert(&app.app.db, grants).await;
    let uri = |list: &str| format!("{}/status/{list}", app.app.config.issuer.as_str());
    let status = |index: u64| json!({ "status_list": { "idx": index, "uri": uri("0") } });
    let of = |grant: usize| status(serials[grant].index());
    for grant in 0..3 {
        assert_eq!(me(&app, &user, of(grant)).await, StatusCode::OK);
    }
    revoke(&app.app.db, id).await;
    refresh(&app).await;
    let answers = [me(&app, &user, of(0)).await, me(&app, &user, of(1)).await, me(&app, &user, of(2)).await];
    assert_eq!(answers, [StatusCode::OK, StatusCode::UNAUTHORIZED, StatusCode::OK]);
    // What cannot be looked up proves nothing.
    for odd in [uri("x"), uri(""), "https://evil.example/status/0".to_owned()] {
        let status = json!({ "status_list": { "idx": serials[0].index(), "uri": odd } });
        assert_eq!(me(&app, &user, status).await, StatusCode::UNAUTHORIZED, "{odd}");
    }
    assert_eq!(me(&app, &user, status(65_536)).await, StatusCode::UNAUTHORIZED);
}

on_both_engines! {
    // What a sign-in points at is what a revocation sets, and nothing else; the background work sees to the rest.
    async fn the_sessions_of_one_account_end_and_no_other(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let ann = app.register("ann@example.com").await;
        app.register("bob@example.com").await;
        let mut tokens = Vec::new();
        for email in ["ann@example.com", "bob@example.com", "ann@example.com", "ann@example.com"] {
            tokens.push(app.token(email).await);
        }
        let claims: Vec<_> = tokens.iter().map(|token| claims_of(token)).collect();
        for claims in &claims {
            let uri = format!("{}/status/0", app.app.config.issuer.as_str());
            assert_eq!(claims["status"]["status_list"]["uri"], uri);
            assert_eq!(app.get_with_token("/api/v1/me", &tokens[0]).await.status(), StatusCode::OK);
        }
        let kept = SessionId::parse(claims[2]["sid"].as_str().unwrap()).unwrap();
        let end = app.app.db.write((UserId::parse(&ann).unwrap(), kept), |tx, (user, kept)| {
            Box::pin(tx.revoke_grants_of_user(user, Some(kept), Revocation::EndedByUser, at(0)))
        });
        assert_eq!(end.await.unwrap(), 2);
        let status_of = async |token: &String| app.get_with_token("/api/v1/me", token).await.status();
        until("the lists are read", async || status_of(&tokens[0]).await == StatusCode::UNAUTHORIZED).await;
        let mut found = Vec::new();
        for token in &tokens {
            found.push(status_of(token).await.as_u16());
        }
        assert_eq!(found, [401, 200, 200, 401]);
        let index = |claims: &Value| claims["status"]["status_list"]["idx"].as_u64().unwrap();
        assert_eq!(fetch(&app, 0).await.revoked(), [index(&claims[0]), index(&claims[3])]);
    }

    // A replica that starts knows what was revoked before it serves its first request.
    async fn a_start_reads_every_list_first(database) {
        let grants: Vec<_> = (0..5).map(|_| grant()).collect();
        let ids: Vec<_> = grants.iter().map(|grant| grant.id).collect();
        let serials = insert(&database.db, grants).await;
        // More lists than are read at once.
        let mut outside = database.outside().await;
        for list in 1..40 {
            let serial = insert(&database.db, vec![signet::grant::Grant { id: list_id(list), ..grant() }]).await[0].number();
            outside.execute(&format!("UPDATE grants SET serial = {} WHERE serial = {serial}", i64::from(list) * 65_536 + 9)).await;
            revoke(&database.db, list_id(list)).await;
        }
        revoke(&database.db, ids[2]).await;
        let app = TestApp::spawn_on(database.config.clone()).await;
        assert_eq!(version_told(&app).await, 40);
        assert_eq!(fetch(&app, 0).await.revoked(), [serials[2].index()]);
        for list in 1..40 {
            assert_eq!(fetch(&app, list).await.revoked(), [9], "{list}");
        }
    }

    // What is revoked stays revoked while the database cannot be read, and what it says is taken over when it can.
    async fn lists_outlive_the_database_and_follow_one_that_was_set_back(database) {
        let mut app = TestApp::spawn_on(database.config.clone()).await;
        app.stop_background().await;
        let user = app.register("ann@example.com").await;
        let (one, two) = (grant(), grant());
        let ids = [one.id, two.id];
        let serials = insert(&database.db, vec![one, two]).await;
        revoke(&database.db, ids[0]).await;
        refresh(&app).await;
        let mut outside = database.outside().await;
        outside.execute("ALTER TABLE status_version RENAME TO elsewhere").await;
        refresh(&app).await;
        assert!(status::load(&app.app).await.is_err());
        assert_eq!(fetch(&app, 0).await.revoked(), [serials[0].index()]);
        let uri = format!("{}/status/0", app.app.config.issuer.as_str());
        let status = json!({ "status_list": { "idx": serials[0].index(), "uri": uri } });
        assert_eq!(me(&app, &user, status.clone()).await, StatusCode::UNAUTHORIZED);

        outside.execute("ALTER TABLE elsewhere RENAME TO status_version").await;
        revoke(&database.db, ids[1]).await;
        refresh(&app).await;
        assert_eq!(fetch(&app, 0).await.revoked(), [serials[0].index(), serials[1].index()]);

        outside.execute("UPDATE status_version SET version = 1").await;
        outside.execute("DELETE FROM status_lists").await;
        outside.execute("UPDATE grants SET revoked_at = NULL").await;
        refresh(&app).await;
        assert!(fetch(&app, 0).await.revoked().is_empty());
        assert_eq!(me(&app, &user, status).await, StatusCode::OK);
    }
}

fn list_id(list: u8) -> signet::grant::GrantId {
    signet::grant::GrantId::from_bytes([list; 16])
}
