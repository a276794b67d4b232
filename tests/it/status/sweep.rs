//! Removing what is over, and not before.

use std::time::Duration;

use signet::flow::sweep::{self, Swept};
use signet::grant::Grant;

use super::{BIT, at, count, fetch, grant, insert, refresh, revoke, version};
use crate::helpers::app::TestApp;
use crate::helpers::db::{TestDatabase, on_both_engines};

async fn app(database: &TestDatabase) -> TestApp {
    let mut app = TestApp::spawn_on(database.config.clone()).await;
    app.stop_background().await;
    app
}

async fn turn(app: &TestApp) -> Swept {
    sweep::turn(&app.app).await.unwrap()
}

on_both_engines! {
    async fn a_bit_is_cleared_when_no_token_can_be_alive_and_not_before(database) {
        let app = app(database).await;
        let grants = vec![grant(), grant(), Grant { bit_until: at(BIT + 30), ..grant() }];
        let ids: Vec<_> = grants.iter().map(|grant| grant.id).collect();
        let serials = insert(&database.db, grants).await;
        revoke(&database.db, ids[0]).await;
        revoke(&database.db, ids[2]).await;
        refresh(&app).await;
        let before = fetch(&app, 0).await;
        assert_eq!(before.revoked(), [serials[0].index(), serials[2].index()]);
        app.clock.advance(Duration::from_secs(BIT as u64 - 1));
        assert_eq!(turn(&app).await, Swept::default());
        refresh(&app).await;
        assert_eq!((fetch(&app, 0).await.revoked(), count(database).await), (before.revoked(), 3));

        // The time for clearing comes round once a minute: so many revocations end in one new list.
        app.clock.advance(Duration::from_secs(1));
        assert_eq!(turn(&app).await, Swept::default());
        app.clock.advance(Duration::from_secs(59));
        assert_eq!(turn(&app).await, Swept { revoked: 2, ..Swept::default() });
        assert_eq!((version(&database.db).await, count(database).await), (3, 1));
        refresh(&app).await;
        let after = fetch(&app, 0).await;
        assert_eq!((after.revoked(), after.etag().starts_with("\"3-")), (Vec::new(), true));
        app.clock.advance(Duration::from_secs(60));
        assert_eq!(turn(&app).await, Swept::default());
        assert_eq!(version(&database.db).await, 3);
    }

    // Grants that ended without being revoked have no bit: nobody fetches anything because of them.
    async fn a033_grants_go_when_their_idle_or_absolute_time_is_over(database) {
        let app = app(database).await;
        let idle = Grant { idle_until: at(1000), ..grant() };
        let absolute = Grant { expires_at: at(1000), ..grant() };
        let with_a_token = Grant { idle_until: at(1000), bit_until: at(1500), ..grant() };
        insert(&database.db, vec![idle, absolute, grant(), with_a_token]).await;
        app.clock.advance(Duration::from_secs(999));
        assert_eq!(turn(&app).await, Swept::default());
        assert_eq!(turn(&app).await, Swept::default());
        app.clock.advance(Duration::from_secs(1));
        assert_eq!(turn(&app).await.expired, 2);
        app.clock.advance(Duration::from_secs(499));
        assert_eq!(turn(&app).await.expired, 0);
        assert_eq!(count(database).await, 2);
        app.clock.advance(Duration::from_secs(1));
        assert_eq!(turn(&app).await.expired, 1);
        assert_eq!((count(database).await, version(&database.db).await), (1, 0));
        // A revoked one is not taken for one that expired, or its bit would stay in the lists that others hold.
        let revoked = Grant { idle_until: at(1), bit_until: at(1), ..grant() };
        let id = revoked.id;
        insert(&database.db, vec![revoked]).await;
        revoke(&database.db, id).await;
        app.clock.advance(Duration::from_secs(60));
        assert_eq!(turn(&app).await, Swept { revoked: 1, ..Swept::default() });
        assert_eq!(version(&database.db).await, 2);
    }

    async fn the_walk_comes_round_to_every_grant(database) {
        let app = app(database).await;
        let many: Vec<_> = (0..1600)
            .map(|number| if number % 3 == 0 { grant() } else { Grant { idle_until: at(1000), ..grant() } })
            .collect();
        let living = many.iter().filter(|grant| grant.idle_until > at(1000)).count();
        insert(&database.db, many).await;
        app.clock.advance(Duration::from_secs(1000));
        let mut turns = 0;
        while usize::try_from(count(database).await).unwrap() > living {
            turn(&app).await;
            turns += 1;
            assert!(turns < 10, "{} left", count(database).await);
        }
        for _ in 0..10 {
            assert_eq!(turn(&app).await.expired, 0);
        }
        assert_eq!(usize::try_from(count(database).await).unwrap(), living);
    }

    async fn expired_counters_of_tries_go_too(database) {
        let app = app(database).await;
        let mut outside = database.outside().await;
        for number in 10..90 {
            let bytes = match database.db.engine() {
                signet::store::Engine::Sqlite => format!("x'{number}'"),
                signet::store::Engine::Postgres => format!("'\\x{number}'"),
            };
            let expires_at = at(i64::from(number)).as_seconds();
            outside.execute(&format!(
                "INSERT INTO throttles (subject, tries, free_at, expires_at) VALUES ({bytes}, 1, 0, {expires_at})"
            )).await;
        }
        app.clock.advance(Duration::from_secs(79));
        assert_eq!(turn(&app).await.throttles, 70);
        assert_eq!(outside.number("SELECT count(*) FROM throttles").await, 10);
    }
}
