//! Removing what is over. Nothing waits for it: whoever reads a row looks at the times in it.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use signet_guard::Timestamp;

use crate::app::{App, Walk};
use crate::replica::News;
use crate::store::{GRANTS_AT_ONCE, StoreError};

/// How long one turn may take. What is left over is the next one's.
const TURN: Duration = Duration::from_secs(1);

/// In how many turns the walk through all grants comes round: about an hour's.
const TURNS_PER_ROUND: i64 = 360;

/// How often the bits of revoked grants are cleared: whoever follows the lists fetches them again each time.
const CLEAR_EVERY: Duration = Duration::from_secs(60);

/// What one turn removed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Counters of tries to sign in that had expired.
    pub throttles: u64,
    /// Revoked grants, and with them their status bits.
    pub revoked: u64,
    /// Grants whose idle or absolute time was over.
    pub expired: u64,
}

/// One turn.
pub async fn run_once(app: &App) {
    let outcome = turn(app).await;
    let complaint = outcome.as_ref().err().map(ToString::to_string);
    match app.replica.news("sweep", complaint.as_deref()) {
        Some(News::Wrong) => tracing::warn!(error = complaint, "what is over is not removed"),
        Some(News::RightAgain) => tracing::info!("what is over is removed again"),
        None => {}
    }
    if let Ok(swept) = outcome
        && swept != Swept::default()
    {
        tracing::debug!(?swept, "removed what was over");
    }
}

/// The same, telling what came of it.
///
/// # Errors
/// When the database fails. What was removed until then stays removed.
pub async fn turn(app: &App) -> Result<Swept, StoreError> {
    let (now, until) = (app.clock.now(), Instant::now() + TURN);
    Ok(Swept {
        throttles: throttles(app, now, until).await?,
        revoked: revoked(app, now, until).await?,
        expired: expired(app, now, until).await?,
    })
}

async fn throttles(app: &App, now: Timestamp, until: Instant) -> Result<u64, StoreError> {
    let mut removed = 0;
    while Instant::now() < until {
        let few = app.db.write(now, |tx, now| Box::pin(tx.sweep_throttles(*now))).await?;
        if few == 0 {
            break;
        }
        removed += few;
    }
    Ok(removed)
}

async fn revoked(app: &App, now: Timestamp, until: Instant) -> Result<u64, StoreError> {
    let is_due = |at: Timestamp| now < at || now >= at.plus(CLEAR_EVERY);
    if !walk(app, |walk| walk.cleared_at.is_none_or(is_due)) {
        return Ok(0);
    }
    let mut removed = 0;
    while Instant::now() < until {
        let few = app.db.write(now, |tx, now| Box::pin(tx.delete_revoked_grants(*now))).await?;
        if few == 0 {
            walk(app, |walk| walk.cleared_at = Some(now));
            break;
        }
        removed += few as u64;
    }
    Ok(removed)
}

/// The next stretch of the walk through all grants: so long that it comes round in an hour however many there are.
async fn expired(app: &App, now: Timestamp, until: Instant) -> Result<u64, StoreError> {
    let (mut removed, mut rows) = (0, 0);
    let wanted = walk(app, |walk| walk.rows) / TURNS_PER_ROUND + GRANTS_AT_ONCE;
    while rows < wanted && Instant::now() < until {
        let after = walk(app, |walk| walk.after);
        let look =
            app.db.read((after, now), |tx, (after, now)| Box::pin(tx.look_for_expired_grants(*after, *now)));
        let Some(stretch) = look.await? else {
            walk(app, Walk::begin_anew);
            break;
        };
        if stretch.expired > 0 {
            let unit = (after, stretch.last, now);
            let delete = app.db.write(unit, |tx, (after, last, now)| {
                Box::pin(tx.delete_expired_grants(*after, *last, *now))
            });
            removed += delete.await?;
        }
        walk(app, |walk| walk.come_to(stretch.last, stretch.rows));
        rows += stretch.rows;
    }
    Ok(removed)
}

fn walk<T>(app: &App, step: impl FnOnce(&mut Walk) -> T) -> T {
    step(&mut app.walk.lock().unwrap_or_else(PoisonError::into_inner))
}
