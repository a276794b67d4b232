//! Counting tries: who is counted against what, in one durable unit before anything costly or telling happens.

use std::time::Duration;

use signet_guard::Timestamp;

use crate::app::App;
use crate::audit::ThrottleReason;
use crate::store::{AuditRow, StoreError, Tx};
use crate::throttle::{Counter, Refused, Rule, Subject};

/// One thing that a try counts against.
#[derive(Clone)]
pub(super) struct Limit {
    /// What is counted.
    pub(super) subject: Subject,
    /// How.
    pub(super) rule: Rule,
    /// What the log calls it.
    pub(super) reason: ThrottleReason,
}

/// A try must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many tries; try again in {} s", retry_after.as_secs())]
pub struct Throttled {
    /// How long, in whole seconds; never zero.
    pub retry_after: Duration,
    /// For the log alone: the caller is not told what was counted.
    pub(super) reason: ThrottleReason,
}

/// A try that was counted, and how the counters stood with it.
#[derive(Clone)]
pub(super) struct Charged(Vec<(Limit, Counter)>);

impl Charged {
    /// Whether this try was the last that strangers had at the account. Of many at once, one is.
    pub(super) fn locked_account(&self, now: Timestamp) -> bool {
        self.0.iter().any(|(limit, counter)| {
            limit.reason == ThrottleReason::Account
                && limit.rule.check(counter, now).is_err_and(|refused| refused.is_locked)
        })
    }
}

/// What the counters say before anything is written: a flood of refused tries costs the database a read each.
///
/// # Errors
/// [`Throttled`].
pub(super) fn check(limits: &[(Limit, Option<Counter>)], now: Timestamp) -> Result<(), Throttled> {
    let counters = limits.iter().map(|(limit, counter)| (limit, counter.unwrap_or(Counter::none(now))));
    longest_wait(
        counters.filter_map(|(limit, counter)| Some((limit, limit.rule.check(&counter, now).err()?))),
    )
}

/// Counts a try against all limits, or against none when one of them refuses. Of many at once each sees what the one
/// before left.
pub(super) async fn charge(app: &App, limits: Vec<Limit>) -> Result<Result<Charged, Throttled>, StoreError> {
    charge_noting(app, limits, None).await
}

/// The same, and writes this entry of the audit log in its unit when the try was the last that strangers had.
pub(super) async fn charge_noting(
    app: &App,
    limits: Vec<Limit>,
    locked: Option<AuditRow>,
) -> Result<Result<Charged, Throttled>, StoreError> {
    // One new row in eight sweeps more than eight out, so that the table shrinks again after a flood.
    let may_sweep = rand::random_ratio(1, 8);
    app.db
        .write((limits, app.clock.now(), may_sweep, locked), |tx, (limits, now, may_sweep, locked)| {
            Box::pin(async move {
                let charged = charge_in(tx, limits, *now, *may_sweep).await?;
                if let (Ok(charged), Some(entry)) = (&charged, locked)
                    && charged.locked_account(*now)
                {
                    tx.append_audit(entry).await?;
                }
                Ok(charged)
            })
        })
        .await
}

async fn charge_in(
    tx: &mut Tx,
    limits: &[Limit],
    now: Timestamp,
    may_sweep: bool,
) -> Result<Result<Charged, Throttled>, StoreError> {
    let subjects: Vec<_> = limits.iter().map(|limit| &limit.subject).collect();
    let counters = tx.hold_throttles(&subjects, now).await?;
    let (mut charged, mut refused) = (Vec::new(), Vec::new());
    for (limit, counter) in limits.iter().zip(&counters) {
        match limit.rule.charge(counter, now) {
            Ok(counter) => charged.push((limit.clone(), counter)),
            Err(wait) => refused.push((limit, wait)),
        }
    }
    if let Err(throttled) = longest_wait(refused.into_iter()) {
        return Ok(Err(throttled));
    }
    let rows: Vec<_> = charged.iter().map(|(limit, counter)| (&limit.subject, counter)).collect();
    tx.put_throttles(&rows).await?;
    if may_sweep && counters.iter().any(|counter| counter.tries == 0) {
        tx.sweep_throttles(now).await?;
    }
    Ok(Ok(Charged(charged)))
}

fn longest_wait<'a>(refused: impl Iterator<Item = (&'a Limit, Refused)>) -> Result<(), Throttled> {
    let throttled = |(limit, refused): (&Limit, Refused)| Throttled {
        retry_after: refused.retry_after,
        reason: if refused.is_locked { ThrottleReason::Locked } else { limit.reason },
    };
    refused.map(throttled).max_by_key(|throttled| throttled.retry_after).map_or(Ok(()), Err)
}

/// The part of a successful sign-in's unit: what counts failures in a row begins anew, an address gets its try back.
pub(super) async fn succeed(tx: &mut Tx, charged: &Charged) -> Result<(), StoreError> {
    for (limit, _) in &charged.0 {
        match limit.rule {
            Rule::Backoff { .. } => tx.delete_throttle(&limit.subject).await.map(drop)?,
            Rule::Bucket { refill, .. } => tx.refill_throttle(&limit.subject, refill).await?,
        }
    }
    Ok(())
}

/// Takes a try back that ended for a reason of ours. If that fails too, the try stays counted: the caller has lost one
/// of several.
pub(super) async fn give_back(app: &App, charged: Charged) {
    let outcome = app
        .db
        .write((charged, app.clock.now()), |tx, (charged, now)| {
            Box::pin(async move {
                for (limit, counter) in &charged.0 {
                    take_back(tx, limit, counter, *now).await?;
                }
                Ok(())
            })
        })
        .await;
    if let Err(error) = outcome {
        tracing::warn!(error = %error, "a try could not be given back");
    }
}

async fn take_back(tx: &mut Tx, limit: &Limit, charged: &Counter, now: Timestamp) -> Result<(), StoreError> {
    if let Rule::Bucket { refill, .. } = limit.rule {
        return tx.refill_throttle(&limit.subject, refill).await;
    }
    let Some(counter) = tx.hold_existing_throttle(&limit.subject).await? else { return Ok(()) };
    match counter.less_one(charged, now) {
        Some(left) => tx.put_throttles(&[(&limit.subject, &left)]).await,
        None => tx.delete_throttle(&limit.subject).await.map(drop),
    }
}
