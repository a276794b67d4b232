//! The store, every function on both engines.

mod batches;
mod crash;
#[cfg(target_os = "linux")]
mod disk;
mod faults;
mod grants;
mod opening;
mod passwords;
mod races;
mod signing_keys;
mod throttles;
mod units;
mod users;
mod wal;

use signet::account::{DisplayName, Email, Role, User, UserId};
use signet::store::{Db, StoreError};
use signet_guard::Timestamp;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn roles(names: &[&str]) -> Vec<Role> {
    names.iter().map(|name| Role::parse(name).unwrap()).collect()
}

fn user(address: &str) -> User {
    User {
        id: UserId::random(),
        email: Email::parse(address).unwrap(),
        name: Some(DisplayName::parse("Ann O'Nym \"; --").unwrap()),
        roles: roles(&["admin", "editor"]),
        credential_version: 0,
        created_at: at(1_000),
        last_sign_in: None,
        disabled_at: None,
    }
}

async fn insert(db: &Db, user: &User) -> Result<bool, StoreError> {
    db.write(user.clone(), |tx, user| Box::pin(tx.insert_user(user))).await
}

async fn find(db: &Db, id: &UserId) -> Option<User> {
    db.read(id.clone(), |tx, id| Box::pin(tx.user(id))).await.unwrap()
}

async fn disable(db: &Db, id: &UserId, now: i64) -> bool {
    db.write((id.clone(), at(now)), |tx, it| Box::pin(tx.disable_user(&it.0, it.1))).await.unwrap()
}

/// `true`: the sign-in counts.
async fn sign_in(db: &Db, id: &UserId, version: i64, now: i64) -> bool {
    let email = find(db, id).await.map_or(Email::parse("nobody@example.com").unwrap(), |user| user.email);
    db.write((id.clone(), email, version, at(now)), |tx, (id, email, version, now)| {
        Box::pin(tx.record_sign_in(id, email, *version, *now))
    })
    .await
    .unwrap()
}
