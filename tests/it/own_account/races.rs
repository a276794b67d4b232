//! Changes that race.

use std::sync::Arc;

use super::*;
use crate::helpers::db::on_both_engines;

on_both_engines! {
    async fn no_session_of_the_old_password_outlives_a_new_one(database) {
        let app = Arc::new(TestApp::spawn_on(database.config.clone()).await);
        let ann = app.register("ann@example.com").await;
        let (mut old, mut new) = (PASSWORD, NEW);
        let (mut overtaken, mut ended) = (0, 0);
        for round in 0..12 {
            let phone = SignedIn::from(app.login("ann@example.com", old).await).await;
            let sign_ins = sign_ins(&app, "ann@example.com", old);
            assert_eq!(phone.put_password(&app, old, new).await.status(), StatusCode::NO_CONTENT);
            for sign_in in sign_ins {
                match sign_in.await.unwrap().status() {
                    StatusCode::OK => ended += 1,
                    StatusCode::UNAUTHORIZED => overtaken += 1,
                    other => panic!("{other}"),
                }
            }
            assert_eq!(alive(&app, &ann).await, [phone.sid.as_str()], "round {round}");
            (old, new) = (new, old);
        }
        assert!(overtaken > 0 && ended > 0, "no race: {overtaken} overtaken, {ended} ended");
    }

    async fn no_session_of_the_old_address_outlives_another_one(database) {
        let app = Arc::new(TestApp::spawn_on(database.config.clone()).await);
        let ann = app.register("ann@example.com").await;
        let (mut old, mut new) = ("ann@example.com", "anna@example.com");
        for round in 0..12 {
            let phone = SignedIn::new(&app, old).await;
            let sign_ins = sign_ins(&app, old, PASSWORD);
            assert_eq!(phone.patch(&app, json!({ "email": new })).await.status(), StatusCode::OK);
            for sign_in in sign_ins {
                assert!(matches!(sign_in.await.unwrap().status(), StatusCode::OK | StatusCode::UNAUTHORIZED));
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
        for round in 0..8 {
            let ann = app.register("ann@example.com").await;
            let [phone, laptop] =
                [SignedIn::new(&app, "ann@example.com").await, SignedIn::new(&app, "ann@example.com").await];
            let sign_ins = sign_ins(&app, "ann@example.com", PASSWORD);
            let (a, b) = tokio::join!(phone.delete(&app, None), laptop.delete(&app, None));
            let answers = [a.status().as_u16(), b.status().as_u16()];
            assert!(answers.contains(&204) && answers.iter().all(|s| matches!(s, 204 | 401 | 403)), "{answers:?}");
            assert_ne!(answers, [204, 204], "round {round}");
            for sign_in in sign_ins {
                assert!(matches!(sign_in.await.unwrap().status(), StatusCode::OK | StatusCode::UNAUTHORIZED));
            }
            assert_eq!(alive(&app, &ann).await, [""; 0], "round {round}");
            let deleted = events(&app, &ann).await.iter().filter(|line| line.starts_with("user.deleted")).count();
            assert_eq!(deleted, 1);
        }
    }
}

/// Several sign-ins, under way.
fn sign_ins(
    app: &Arc<TestApp>,
    email: &'static str,
    password: &'static str,
) -> Vec<tokio::task::JoinHandle<Response>> {
    let sign_in = |_| {
        let app = app.clone();
        tokio::spawn(async move { app.login(email, password).await })
    };
    (0..6).map(sign_in).collect()
}
