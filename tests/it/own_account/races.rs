//! Changes that race.

use std::sync::Arc;

use super::*;
use crate::helpers::db::{TestDatabase, on_both_engines};

on_both_engines! {
    async fn no_session_of_the_old_password_outlives_a_new_one(database) {
        let app = Arc::new(TestApp::spawn_on(database.config.clone()).await);
        let ann = app.register("ann@example.com").await;
        let (mut old, mut new) = (PASSWORD, NEW);
        let mut accepted = 0;
        for round in 0..6 {
            let phone = SignedIn::from(app.login("ann@example.com", old).await).await;
            let sign_ins = sign_ins(&app, "ann@example.com", old);
            assert_eq!(phone.put_password(&app, old, new).await.status(), StatusCode::NO_CONTENT);
            for sign_ins in sign_ins {
                accepted += sign_ins.await.unwrap();
            }
            assert_eq!(alive(&app, &ann).await, [phone.sid.as_str()], "round {round}");
            (old, new) = (new, old);
        }
        assert!(accepted > 0, "no race");
    }

    async fn no_refresh_outlives_a_new_password(database) {
        let app = Arc::new(TestApp::spawn_on(database.config.clone()).await);
        let ann = app.register("ann@example.com").await;
        let (mut old, mut new) = (PASSWORD, NEW);
        for round in 0..6 {
            let phone = SignedIn::from(app.login("ann@example.com", old).await).await;
            let laptop = SignedIn::from(app.login("ann@example.com", old).await).await;
            // Past the grace: the first of the racers rotates.
            app.clock.advance(Duration::from_secs(31));
            let refreshing = {
                let app = app.clone();
                tokio::spawn(async move {
                    let mut last = laptop.refresh(&app).await;
                    for _ in 0..1_000 {
                        if last.status() != StatusCode::OK {
                            break;
                        }
                        let current = SignedIn::from(last).await;
                        last = current.refresh(&app).await;
                    }
                    assert_problem(last, StatusCode::BAD_REQUEST, "invalid-grant").await;
                    laptop.assert_ended(&app).await;
                })
            };
            assert_eq!(phone.put_password(&app, old, new).await.status(), StatusCode::NO_CONTENT);
            refreshing.await.unwrap();
            assert_eq!(alive(&app, &ann).await, [phone.sid.as_str()], "round {round}");
            (old, new) = (new, old);
        }
    }

    async fn no_session_of_the_old_address_outlives_another_one(database) {
        let app = Arc::new(TestApp::spawn_on(database.config.clone()).await);
        let ann = app.register("ann@example.com").await;
        let (mut old, mut new) = ("ann@example.com", "anna@example.com");
        for round in 0..6 {
            let phone = SignedIn::new(&app, old).await;
            let sign_ins = sign_ins(&app, old, PASSWORD);
            assert_eq!(phone.patch(&app, json!({ "email": new })).await.status(), StatusCode::OK);
            for sign_ins in sign_ins {
                sign_ins.await.unwrap();
            }
            assert_eq!(alive(&app, &ann).await, [phone.sid.as_str()], "round {round}");
            (old, new) = (new, old);
        }
    }

    async fn of_two_who_want_an_address_at_once_one_gets_it(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        for round in 0..10 {
            let emails = [format!("ann{round}@example.com"), format!("bob{round}@example.com")];
            let [ann, bob] = [&emails[0], &emails[1]];
            app.register(ann).await;
            app.register(bob).await;
            let (a, b) = (SignedIn::new(&app, ann).await, SignedIn::new(&app, bob).await);
            let wanted = json!({ "email": format!("wanted{round}@example.com") });
            let (a, b) = tokio::join!(a.patch(&app, wanted.clone()), b.patch(&app, wanted.clone()));
            let mut answers = [a.status().as_u16(), b.status().as_u16()];
            answers.sort_unstable();
            assert_eq!(answers, [200, 409], "round {round}");
        }
    }

    async fn an_account_is_deleted_once_and_no_sign_in_outlives_it(database) {
        let app = Arc::new(TestApp::spawn_on(database.config.clone()).await);
        for round in 0..6 {
            let ann = app.register("ann@example.com").await;
            let [phone, laptop] =
                [SignedIn::new(&app, "ann@example.com").await, SignedIn::new(&app, "ann@example.com").await];
            let sign_ins = sign_ins(&app, "ann@example.com", PASSWORD);
            let (a, b) = tokio::join!(phone.delete(&app, None), laptop.delete(&app, None));
            let answers = [a.status().as_u16(), b.status().as_u16()];
            assert!(answers.contains(&204) && answers.iter().all(|s| matches!(s, 204 | 401 | 403)), "{answers:?}");
            assert_ne!(answers, [204, 204], "round {round}");
            for sign_ins in sign_ins {
                sign_ins.await.unwrap();
            }
            assert_eq!(alive(&app, &ann).await, [""; 0], "round {round}");
            let deleted = events(&app, &ann).await.iter().filter(|line| line.starts_with("user.deleted")).count();
            assert_eq!(deleted, 1);
        }
    }
}

/// The proof is given, and then, before what it was given for is written, somebody else changes the credentials. Seen on
/// PostgreSQL, which tells who waits for whom.
#[tokio::test(flavor = "multi_thread")]
async fn a_proof_holds_for_the_credentials_it_was_about_and_no_others() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let app = Arc::new(TestApp::spawn_on(database.config.clone()).await);
    let ann = app.register("ann@example.com").await;
    SignedIn::new(&app, "ann@example.com").await;
    let mut other = database.outside().await;
    let mut watch = database.outside().await;
    let password = json!({ "current_password": PASSWORD, "new_password": NEW });
    for (method, path, body) in [
        (Method::PUT, "/api/v1/me/password", password),
        (Method::PATCH, "/api/v1/me", json!({ "email": "anna@example.com" })),
        (Method::DELETE, "/api/v1/me", json!({ "current_password": PASSWORD })),
    ] {
        let phone = SignedIn::new(&app, "ann@example.com").await;
        let before = alive(&app, &ann).await;
        other.execute("BEGIN").await;
        other.execute("UPDATE users SET credential_version = credential_version + 1").await;
        let asked = {
            let (app, method) = (app.clone(), method.clone());
            tokio::spawn(async move { phone.ask(&app, method, path, Some(body)).await })
        };
        watch.until_somebody_waits(&asked).await;
        other.execute("COMMIT").await;
        let answer = asked.await.unwrap();
        assert_problem(answer, StatusCode::FORBIDDEN, "reauthentication-required").await;
        assert_eq!(alive(&app, &ann).await, before, "{method} {path}");
        assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::OK);
    }
    let superseded = |entry: &Entry| entry.reason.as_deref() == Some("superseded");
    let noted = entries(&app, &ann).await;
    assert_eq!(noted.iter().filter(|it| superseded(it)).map(|it| it.count).sum::<i64>(), 3);
    drop((other, watch, app));
    database.remove().await;
}

/// Several who sign in again and again until it is refused; each answers how often it was not.
fn sign_ins(
    app: &Arc<TestApp>,
    email: &'static str,
    password: &'static str,
) -> Vec<tokio::task::JoinHandle<usize>> {
    let sign_in = |_| {
        let app = app.clone();
        tokio::spawn(async move {
            for accepted in 0..1_000 {
                match app.login(email, password).await.status() {
                    StatusCode::OK => {}
                    StatusCode::UNAUTHORIZED => return accepted,
                    other => panic!("{other}"),
                }
            }
            panic!("nothing ever ended it");
        })
    };
    (0..3).map(sign_in).collect()
}
