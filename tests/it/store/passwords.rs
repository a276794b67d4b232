//! Password hashes.

use super::*;
use crate::helpers::db::on_both_engines;

async fn put(db: &Db, id: &UserId, phc: &str) -> bool {
    let input = (id.clone(), phc.to_owned());
    db.write(input, |tx, it| Box::pin(tx.put_password(&it.0, &it.1, at(5)))).await.unwrap()
}

async fn replace(db: &Db, id: &UserId, old: &str, new: &str) -> bool {
    let input = (id.clone(), old.to_owned(), new.to_owned());
    db.write(input, |tx, it| Box::pin(tx.replace_outdated_password(&it.0, &it.1, &it.2))).await.unwrap()
}

async fn candidate(db: &Db, user: &User) -> (i64, Option<String>) {
    let candidate = db
        .read(user.email.clone(), |tx, email| Box::pin(tx.sign_in_candidate(email)))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((&candidate.user.id, &candidate.user.roles), (&user.id, &user.roles));
    (candidate.user.credential_version, candidate.password)
}

on_both_engines! {
    async fn a_new_password_bumps_the_credential_version(database) {
        let ann = user("ann@example.com");
        insert(&database.db, &ann).await.unwrap();
        insert(&database.db, &user("bob@example.com")).await.unwrap();
        assert_eq!(candidate(&database.db, &ann).await, (0, None));
        assert!(put(&database.db, &ann.id, "$first").await);
        assert_eq!(candidate(&database.db, &ann).await, (1, Some("$first".to_owned())));
        assert!(put(&database.db, &ann.id, "$second").await);
        assert_eq!(candidate(&database.db, &ann).await, (2, Some("$second".to_owned())));
        assert!(!put(&database.db, &UserId::random(), "$nobody").await);
    }

    async fn an_outdated_hash_is_replaced_only_while_it_is_the_current_one(database) {
        let ann = user("ann@example.com");
        insert(&database.db, &ann).await.unwrap();
        put(&database.db, &ann.id, "$old").await;
        assert!(!replace(&database.db, &ann.id, "$other", "$new").await);
        assert!(replace(&database.db, &ann.id, "$old", "$new").await);
        assert!(!replace(&database.db, &ann.id, "$old", "$late").await);
        assert_eq!(candidate(&database.db, &ann).await, (1, Some("$new".to_owned())));
    }

    async fn nobody_signs_in_by_an_unknown_address(database) {
        let email = Email::parse("nobody@example.com").unwrap();
        let found = database.db.read(email, |tx, email| Box::pin(tx.sign_in_candidate(email))).await.unwrap();
        assert!(found.is_none());
    }

    async fn a_candidate_prints_neither_hash_nor_address(database) {
        let ann = user("ann@example.com");
        insert(&database.db, &ann).await.unwrap();
        put(&database.db, &ann.id, "$argon2id$x").await;
        let read = database.db.read(ann.email, |tx, email| Box::pin(tx.sign_in_candidate(email))).await;
        let shown = format!("{:?}", read.unwrap().unwrap());
        assert!(!shown.contains("argon2id") && !shown.contains("ann@"), "{shown}");
    }
}
