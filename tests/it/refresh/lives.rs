//! How long a session lives, whatever the clock does.

use std::time::Duration;

use signet_guard::Timestamp;

use super::{PAST_GRACE, is_refused, logout, new_session, refresh, sign_in, stored};
use crate::helpers::app::{NOW, TestApp};

const HOUR: Duration = Duration::from_secs(3_600);

async fn app_with(idle: Duration, life: Duration) -> TestApp {
    TestApp::spawn_with(|config| {
        config.tokens.refresh_idle_life = idle;
        config.tokens.refresh_life = life;
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a070_rotation_never_moves_the_first_deadline() {
    let app = app_with(HOUR, 2 * HOUR).await;
    let mut tokens = new_session(&app).await;
    let deadline = NOW + 7_200;
    for minute in 1..120 {
        app.clock.set(Timestamp::from_seconds(NOW + minute * 60));
        tokens = refresh(&app, &tokens.refresh).await;
        let grant = stored(&app, &tokens.refresh).await;
        assert_eq!((grant.expires_at.as_seconds(), grant.generation), (deadline, minute.unsigned_abs()));
        assert!(grant.idle_until.as_seconds() <= deadline);
        assert!(tokens.claims()["exp"].as_i64().unwrap() <= deadline, "nor do access tokens outlive it");
        assert_eq!(tokens.claims()["auth_time"], NOW);
    }
    app.clock.set(Timestamp::from_seconds(deadline - 1));
    let last = refresh(&app, &tokens.refresh).await;
    assert_eq!(last.claims()["exp"], deadline);
    app.clock.set(Timestamp::from_seconds(deadline));
    assert!(is_refused(&app, &last.refresh).await);
    assert!(is_refused(&app, &tokens.refresh).await);
    app.clock.set(Timestamp::from_seconds(deadline - 1));
    assert!(is_refused(&app, &last.refresh).await, "it was too late once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a070_an_unused_session_ends_at_its_idle_deadline() {
    let app = app_with(HOUR, 24 * HOUR).await;
    let first = new_session(&app).await;
    app.clock.advance(HOUR - Duration::from_secs(1));
    let second = refresh(&app, &first.refresh).await;
    app.clock.advance(HOUR - Duration::from_secs(1));
    let third = refresh(&app, &second.refresh).await;
    app.clock.advance(HOUR);
    for token in [&first, &second, &third] {
        assert!(is_refused(&app, &token.refresh).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a070_a_clock_set_back_extends_no_life_and_revives_nothing() {
    let app = app_with(HOUR, 3 * HOUR).await;
    let first = new_session(&app).await;
    let ended = sign_in(&app, "ann@example.com").await;
    assert_eq!(logout(&app, &ended.refresh).await, 204);
    app.clock.set(Timestamp::from_seconds(NOW + 3_000));
    let second = refresh(&app, &first.refresh).await;
    let before = stored(&app, &second.refresh).await;

    app.clock.set(Timestamp::from_seconds(NOW + 3_000 - 3_600));
    assert!(is_refused(&app, &ended.refresh).await);
    // Nobody can say how old anything is: the current token stays, and a retry is forgiven.
    assert_eq!(refresh(&app, &second.refresh).await.refresh, second.refresh);
    assert_eq!(refresh(&app, &first.refresh).await.refresh, second.refresh);
    let after = stored(&app, &second.refresh).await;
    assert_eq!((after.idle_until, after.bit_until), (before.idle_until, before.bit_until));
    app.clock.set(before.expires_at);
    assert!(is_refused(&app, &second.refresh).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_outlives_the_time_for_which_its_status_is_kept() {
    let app = TestApp::spawn_with(|config| config.tokens.access_token_life = Duration::from_secs(60)).await;
    let first = new_session(&app).await;
    let bit_until = stored(&app, &first.refresh).await.bit_until.as_seconds();
    assert_eq!(bit_until, NOW + 60 + 30 + 120);
    // The operator wants longer lives from now on; the rotation before did not know.
    let later = app.replica(|config| {
        config.tokens.access_token_life = HOUR;
        config.tokens.refresh_grace = Duration::from_secs(300);
    });
    let later = later.await;
    later.clock.advance(Duration::from_secs(20));
    let again = refresh(&later, &first.refresh).await;
    assert_eq!((again.refresh == first.refresh, &again.claims()["exp"]), (true, &(bit_until - 120).into()));
    later.clock.advance(Duration::from_secs(70));
    let second = refresh(&later, &first.refresh).await;
    assert_ne!(second.refresh, first.refresh, "the longer grace counts from the next rotation on");
    assert_eq!(second.claims()["exp"], NOW + 90 + 3_600);
    later.clock.advance(PAST_GRACE);
    assert_eq!(refresh(&later, &second.refresh).await.refresh, second.refresh);
}
