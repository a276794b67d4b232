//! The audit log: what stands in it, what happens when it cannot be written, and whether a change of it shows.

mod command;
mod events;
mod refusals;
mod sealing;
mod tampering;
mod unavailable;

use std::sync::Arc;

use signet::app::App;
use signet::audit::{self, Actor, Event};
use signet::caller::Caller;
use signet::config::Database;
use signet::flow::audit_log::{self, Verified};
use signet::flow::signing_keys;
use signet::store::{AuditFilter, AuditRow, StoredAudit};
use signet_guard::{Clock, Timestamp};

use crate::helpers::app::{NOW, key_pem, quick_config};

/// A replica without a server and without tasks of its own: nothing is flushed, sealed or swept but by the test.
struct Replica {
    app: Arc<App>,
    clock: Clock,
}

impl Replica {
    /// `folder` holds the root key: replicas share it.
    async fn start(database: &Database, folder: &std::path::Path) -> Self {
        let mut config = quick_config(folder, &[]);
        config.database = database.clone();
        let clock = Clock::fixed(Timestamp::from_seconds(NOW));
        let app = Arc::new(App::build(config, clock.clone()).await.unwrap());
        if signing_keys::stored(&app).await.unwrap().is_empty() {
            signing_keys::import(&app, key_pem()).await.unwrap();
        }
        signing_keys::load_or_create(&app).await.unwrap();
        Self { app, clock }
    }

    /// Writes entries, each in a unit of its own.
    async fn append(&self, count: usize) {
        for _ in 0..count {
            let row = full_row(self.clock.now());
            self.app.db.write(row, |tx, row| Box::pin(tx.append_audit(row))).await.unwrap();
        }
    }

    async fn verify(&self) -> Verified {
        let keys = audit_log::keys(&self.app).unwrap().unwrap();
        audit_log::verify(&self.app, &keys, None).await.unwrap()
    }
}

/// An entry with something in every column.
fn full_row(at: Timestamp) -> AuditRow {
    let text = |text: &str| Some(text.to_owned());
    AuditRow {
        user_id: text("a user"),
        session_id: text("a session"),
        client_id: text("a client"),
        kid: text("a key"),
        reason: text("a reason"),
        address: text("192.0.2.1"),
        user_agent: text("an agent"),
        request_id: text("a request"),
        detail: text("{}"),
        ..audit::row(&Event::RegistrationThrottled, Actor::Anybody, &Caller::default(), at)
    }
}

/// All entries, oldest first.
async fn entries(app: &App) -> Vec<StoredAudit> {
    let filter = AuditFilter { since: Timestamp::from_seconds(i64::MIN), user_id: None, event: None };
    audit_log::newest(app, &filter, 100_000).await.unwrap()
}

/// Those with one name.
async fn entries_of(app: &App, event: &str) -> Vec<AuditRow> {
    entries(app).await.into_iter().map(|entry| entry.row).filter(|row| row.event == event).collect()
}
