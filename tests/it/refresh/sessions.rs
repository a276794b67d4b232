//! How many sessions an account may have.

use std::sync::Arc;
use std::time::Duration;

use super::{Tokens, is_refused, new_session, refresh, sign_in};
use crate::helpers::app::TestApp;
use crate::helpers::db::{TestDatabase, on_both_engines};

on_both_engines! {
    async fn a123_beyond_a_hundred_sessions_those_unused_the_longest_end(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        app.register("bob@example.com").await;
        let bob = sign_in(&app, "bob@example.com").await;
        let mut sessions = vec![new_session(&app).await];
        for _ in 1..105 {
            sessions.push(sign_in(&app, "ann@example.com").await);
        }
        assert!(!is_refused(&app, &sessions[0].refresh).await, "whoever is there is not pushed out");
        app.clock.advance(Duration::from_secs(601));
        let used = refresh(&app, &sessions[0].refresh).await;
        let newest = sign_in(&app, "ann@example.com").await;
        // A hundred stay: the newest, the one in use, and the 98 latest of the others.
        for (number, session) in sessions.iter().enumerate().skip(1) {
            assert_eq!(is_refused(&app, &session.refresh).await, number <= 6, "{number}");
        }
        for token in [&used.refresh, &newest.refresh, &bob.refresh] {
            assert!(!is_refused(&app, token).await);
        }
        let mut outside = database.outside().await;
        let told = "SELECT SUM(count) FROM audit WHERE reason = 'too-many-sessions' AND actor = 'signet'";
        let told = if matches!(outside, crate::helpers::db::Outside::Sqlite(_)) {
            outside.number(told).await
        } else {
            // PostgreSQL sums up to a number without limits.
            outside.number("SELECT SUM(count)::bigint FROM audit WHERE reason = 'too-many-sessions'").await
        };
        let ended = outside.number("SELECT COUNT(*) FROM grants WHERE revoked_for = 'too-many-sessions'").await;
        assert_eq!((told, ended), (6, 6));

        app.clock.advance(Duration::from_secs(601));
        sign_in(&app, "ann@example.com").await;
        let one = "SELECT COUNT(*) FROM audit WHERE event = 'session.ended' AND session_id IS NOT NULL";
        assert_eq!(outside.number(one).await, 1, "one by one from then on");
    }
}

/// Seen on PostgreSQL, where rows are locked one by one: the sign-in has found the session to be unused, and waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a123_a_session_that_is_used_in_this_very_moment_stays() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let app = Arc::new(TestApp::spawn_on(database.config.clone()).await);
    let oldest = new_session(&app).await;
    app.clock.advance(Duration::from_secs(1));
    let ended = sign_in(&app, "ann@example.com").await;
    for _ in 2..101 {
        sign_in(&app, "ann@example.com").await;
    }
    app.clock.advance(Duration::from_secs(601));
    let mut other = database.outside().await;
    let mut watch = database.outside().await;
    other.execute("BEGIN").await;
    let sid = |session: &Tokens| session.claims()["sid"].as_str().unwrap().to_owned();
    let used = format!(
        "UPDATE grants SET rotated_at = {} WHERE session_id = '{}'",
        app.clock.now().as_seconds(),
        sid(&oldest)
    );
    other.execute(&used).await;
    let logged_out = "UPDATE grants SET revoked_at = 1, revoked_for = 'logout' WHERE session_id = ";
    other.execute(&format!("{logged_out}'{}'", sid(&ended))).await;
    let newest = {
        let app = app.clone();
        tokio::spawn(async move { sign_in(&app, "ann@example.com").await })
    };
    watch.until_somebody_waits(&newest).await;
    other.execute("COMMIT").await;
    newest.await.unwrap();
    assert!(!is_refused(&app, &oldest.refresh).await);
    let why = "SELECT count(*) FROM grants WHERE revoked_for = 'logout' AND revoked_at = 1";
    assert_eq!(watch.number(why).await, 1, "what was revoked stays so for its reason");
    drop((other, watch, app));
    database.remove().await;
}
