//! Signing keys take turns, and nobody who keeps to what they are told notices.

mod algorithms;
mod at_once;
mod cut_off;
mod hindered;
mod load;
mod published;
mod withdrawal;
mod year;

use signet::flow::{key_rotation, signing_keys};
use signet::rotation::KeyStatus;
use signet::store::SigningKeyRow;

use crate::helpers::app::TestApp;

/// Every key of the database, oldest first.
async fn keys(app: &TestApp) -> Vec<SigningKeyRow> {
    signing_keys::stored(&app.app).await.unwrap()
}

/// The names of the keys in a status.
async fn kids(app: &TestApp, status: KeyStatus) -> Vec<String> {
    keys(app).await.into_iter().filter(|key| key.status == status).map(|key| key.kid).collect()
}

/// Lets a server do what is due until a key stands by.
async fn settle(app: &TestApp) {
    loop {
        key_rotation::run_once(&app.app).await;
        if !kids(app, KeyStatus::Pending).await.is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await; // poll: until the key is made
    }
}

/// The names in the set that a server publishes.
async fn published(app: &TestApp) -> Vec<String> {
    let set = crate::helpers::app::json_of(app.get("/.well-known/jwks.json").await).await;
    let keys = set["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}
