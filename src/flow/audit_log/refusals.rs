//! Refusals, and retries that were accepted: they change nothing, so no unit of work carries their entries.

use std::time::Instant;

use crate::app::App;
use crate::audit::{self, Actor, Batch, Event};
use crate::caller::Caller;

/// Notes a refusal: in the log now, in the audit log within a second or so. Costs the request no trip to the database.
pub fn refused(app: &App, event: &Event<'_>, caller: &Caller) {
    audit::record(event);
    app.audit_buffer.push(audit::row(event, Actor::Anybody, caller, app.clock.now()));
}

/// The turn of every second: [`flush`], but not while a flood goes on that has written its share.
pub async fn flush_in_turn(app: &App) {
    if !app.audit_buffer.rests(Instant::now()) {
        flush(app).await;
    }
}

/// Writes what waits, in one unit. What cannot be written waits for the next turn. Should the database go away during
/// the commit, entries may be written twice, but none is lost.
pub async fn flush(app: &App) {
    let Batch { rows, dropped } = app.audit_buffer.take();
    if rows.is_empty() && dropped == 0 {
        return;
    }
    let mut written = rows.clone();
    let event = Event::EntriesDropped(dropped);
    if dropped > 0 {
        written.push(audit::row(&event, Actor::Signet, &Caller::default(), app.clock.now()));
    }
    let count = written.len();
    match app.db.write(written, |tx, rows| Box::pin(async move { tx.append_audits(rows).await })).await {
        Ok(()) => {
            if app.audit_buffer.written(count, Instant::now()) {
                tracing::info!("entries of the audit log are written again");
            }
            if dropped > 0 {
                audit::record(&event);
            }
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map(tracing::field::display);
            if app.audit_buffer.put_back(Batch { rows, dropped }) {
                tracing::warn!(error = %error, cause, "entries of the audit log cannot be written, and wait");
            }
        }
    }
}

/// The last turn of a service that ends: what cannot be written now is told of, because it is nowhere but in the log.
pub async fn flush_last(app: &App) {
    flush(app).await;
    let Batch { rows, dropped } = app.audit_buffer.take();
    let lost = rows.iter().fold(dropped, |lost, row| lost.saturating_add(row.count));
    if lost > 0 {
        tracing::error!(count = lost, "refusals could not be written to the audit log before the end");
    }
}
