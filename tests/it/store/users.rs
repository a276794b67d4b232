//! Accounts and their roles.

use super::*;
use crate::helpers::db::on_both_engines;

on_both_engines! {
    async fn a_user_is_read_back_as_it_was_written(database) {
        let mut ann = user("ann@example.com");
        ann.last_sign_in = Some(at(7));
        ann.disabled_at = Some(at(8));
        ann.credential_version = 9;
        let mut plain = user("plain@example.com");
        plain.name = None;
        plain.roles.clear();
        for expected in [ann, plain] {
            assert!(insert(&database.db, &expected).await.unwrap());
            assert_eq!(find(&database.db, &expected.id).await.as_ref(), Some(&expected));
            let by_email = database
                .db
                .read(expected.email.clone(), |tx, email| Box::pin(tx.user_by_email(email)))
                .await
                .unwrap();
            assert_eq!(by_email, Some(expected));
        }
    }

    async fn who_is_not_there_is_not_found(database) {
        insert(&database.db, &user("ann@example.com")).await.unwrap();
        assert_eq!(find(&database.db, &UserId::random()).await, None);
        let email = Email::parse("bob@example.com").unwrap();
        let found = database.db.read(email, |tx, email| Box::pin(tx.user_by_email(email))).await.unwrap();
        assert_eq!(found, None);
    }

    async fn a_taken_address_changes_nothing(database) {
        let first = user("ann@example.com");
        let mut second = user("ann@example.com");
        second.roles = roles(&["root"]);
        assert!(insert(&database.db, &first).await.unwrap());
        assert!(!insert(&database.db, &second).await.unwrap());
        assert_eq!(find(&database.db, &first.id).await, Some(first));
        assert_eq!(find(&database.db, &second.id).await, None);
    }

    async fn an_id_used_twice_is_an_error_that_quotes_no_row(database) {
        let first = user("ann@example.com");
        insert(&database.db, &first).await.unwrap();
        let mut second = user("bob@example.com");
        second.id = first.id.clone();
        let error = insert(&database.db, &second).await.unwrap_err();
        assert!(matches!(error, StoreError::Internal(_)), "{error:?}");
        let told = format!("{error} {error:?} {}", std::error::Error::source(&error).unwrap());
        assert!(!told.contains(first.id.as_str()) && !told.contains("bob@"), "{told}");
    }

    async fn users_are_listed_in_pages_by_address(database) {
        for address in ["b@x.example", "a@x.example", "a-b@x.example", "c@x.example", "0@x.example"] {
            insert(&database.db, &user(address)).await.unwrap();
        }
        let mut pages = Vec::new();
        let mut after = None;
        loop {
            let page = database
                .db
                .read(after.clone(), |tx, after| Box::pin(tx.users(after.as_ref(), 2)))
                .await
                .unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.email.clone());
            pages.push(page.iter().map(|user| user.email.as_str().to_owned()).collect::<Vec<_>>());
        }
        // By bytes on both engines: '-' sorts before '@'.
        let expected = [
            vec!["0@x.example", "a-b@x.example"],
            vec!["a@x.example", "b@x.example"],
            vec!["c@x.example"],
        ];
        assert_eq!(pages, expected);
    }

    async fn roles_are_replaced_as_a_whole(database) {
        let ann = user("ann@example.com");
        insert(&database.db, &ann).await.unwrap();
        for names in [&["z", "a"][..], &[], &["editor", "editor"]] {
            let set = database
                .db
                .write((ann.id.clone(), roles(names)), |tx, it| Box::pin(tx.set_roles(&it.0, &it.1)))
                .await
                .unwrap();
            assert!(set);
            let mut expected = roles(names);
            expected.sort();
            expected.dedup();
            assert_eq!(find(&database.db, &ann.id).await.unwrap().roles, expected);
        }
        let nobody = (UserId::random(), roles(&["a"]));
        assert!(!database.db.write(nobody, |tx, it| Box::pin(tx.set_roles(&it.0, &it.1))).await.unwrap());
    }

    async fn disabling_and_enabling_bump_the_credential_version(database) {
        let ann = user("ann@example.com");
        insert(&database.db, &ann).await.unwrap();
        assert!(disable(&database.db, &ann.id, 50).await);
        assert!(disable(&database.db, &ann.id, 60).await);
        let disabled = find(&database.db, &ann.id).await.unwrap();
        assert_eq!((disabled.disabled_at, disabled.credential_version), (Some(at(50)), 2));
        let enabled =
            database.db.write(ann.id.clone(), |tx, id| Box::pin(tx.enable_user(id))).await.unwrap();
        assert!(enabled);
        let enabled = find(&database.db, &ann.id).await.unwrap();
        assert_eq!((enabled.disabled_at, enabled.credential_version), (None, 3));
        assert!(!disable(&database.db, &UserId::random(), 50).await);
        let nobody = UserId::random();
        assert!(!database.db.write(nobody, |tx, id| Box::pin(tx.enable_user(id))).await.unwrap());
    }

    async fn a_sign_in_counts_only_with_the_credentials_that_were_verified(database) {
        let ann = user("ann@example.com");
        insert(&database.db, &ann).await.unwrap();
        assert!(sign_in(&database.db, &ann.id, 0, 70).await);
        assert_eq!(find(&database.db, &ann.id).await.unwrap().last_sign_in, Some(at(70)));
        assert!(!sign_in(&database.db, &ann.id, 1, 80).await);
        assert!(!sign_in(&database.db, &UserId::random(), 0, 80).await);
        disable(&database.db, &ann.id, 90).await;
        assert!(!sign_in(&database.db, &ann.id, 0, 95).await);
        assert!(!sign_in(&database.db, &ann.id, 1, 95).await, "disabled, whatever the version");
        assert_eq!(find(&database.db, &ann.id).await.unwrap().last_sign_in, Some(at(70)));
    }

    async fn a_row_no_account_can_have_is_reported_without_its_value(database) {
        let ann = user("ann@example.com");
        insert(&database.db, &ann).await.unwrap();
        database.outside().await.execute("UPDATE users SET email = 'Not An Address'").await;
        let error = database.db.read(ann.id, |tx, id| Box::pin(tx.user(id))).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { table: "users", .. }), "{error:?}");
        assert!(!error.to_string().contains("Not An"), "{error}");
    }
}
