//! Group commit on SQLite: the units of concurrent requests share one transaction, and so one sync of the disk
//! (docs/adr/0007).

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use sqlx::SqlitePool;
use tokio::time::Instant;

use super::error::StoreError;
use super::tx::{Hold, Tx};
use super::write_queue::{Leadership, Waiting};

/// How many units may share a commit.
const LARGEST_BATCH: usize = 64;

/// No unit joins a batch that was begun longer ago: those who are in it wait, and so does every other process.
const LONGEST_BATCH: Duration = Duration::from_millis(20);

/// A unit that takes longer than this does not keep those waiting that are in its batch already.
const LONGEST_UNIT: Duration = Duration::from_millis(500);

/// How long to leave the file to others when the lock was refused. Short, because another process that is busy leaves it
/// free for moments only.
const PAUSE: Duration = Duration::from_millis(1);

/// Carries out units until none is left.
pub(super) async fn lead(mut leadership: Leadership, writer: SqlitePool, longest_unit: Duration) {
    let mut held = None;
    while !leadership.ends() {
        let late = pin!(leadership.keep_telling_the_late());
        let batch = pin!(one_batch(&leadership, &writer, held.take(), longest_unit.min(LONGEST_UNIT)));
        if let Either::Right((tx, _)) = select(late, batch).await {
            held = tx;
        }
    }
}

/// Runs what is waiting in one transaction. Answers the connection if it can be used again.
async fn one_batch(
    leadership: &Leadership,
    writer: &SqlitePool,
    held: Option<Tx>,
    longest_unit: Duration,
) -> Option<Tx> {
    let mut tx = match begin(writer, held).await {
        Ok(tx) => tx,
        Err(StoreError::Busy(_)) => {
            // Nobody is told before its time is up.
            tokio::time::sleep(PAUSE).await;
            return None;
        }
        Err(error) => {
            if let Some(first) = leadership.next() {
                first.unit.failed(error);
            }
            return None;
        }
    };
    let (batch, outcome) = run_units(&mut tx, leadership, longest_unit).await;
    match outcome {
        Ok(()) => commit(tx, batch).await,
        Err(error) => {
            let is_clean = tx.roll_back().await;
            give_up(leadership, batch, error);
            is_clean.then_some(tx)
        }
    }
}

/// Begins a transaction; on a new connection when the one at hand does not even do that.
async fn begin(writer: &SqlitePool, held: Option<Tx>) -> Result<Tx, StoreError> {
    let mut tx = match held {
        Some(tx) => tx,
        None => Tx::new(Hold::Sqlite(writer.acquire().await?)),
    };
    match tx.begin().await {
        Err(error) if !matches!(error, StoreError::Busy(_)) => drop(tx),
        outcome => return outcome.map(|()| tx),
    }
    let mut tx = Tx::new(Hold::Sqlite(writer.acquire().await?));
    tx.begin().await?;
    Ok(tx)
}

/// Runs units one after the other, until one fails, nobody waits or the batch is full.
async fn run_units(
    tx: &mut Tx,
    leadership: &Leadership,
    longest_unit: Duration,
) -> (Vec<Waiting>, Result<(), StoreError>) {
    let begun = Instant::now();
    let mut batch: Vec<Waiting> = Vec::new();
    while let Some(waiting) = leadership.next() {
        let is_first = batch.is_empty();
        batch.push(waiting);
        let Some(waiting) = batch.last_mut() else { break };
        let is_alone = waiting.is_alone;
        let unit = waiting.unit.run(tx);
        let outcome = if is_first {
            unit.await
        } else {
            // Whoever came before has had its statements run, and waits for nothing but the commit.
            tokio::time::timeout(longest_unit, unit).await.unwrap_or(Err(StoreError::turn_did_not_come()))
        };
        // Not even when the unit says that all is well: SQLite may have rolled back by itself.
        let outcome = if tx.has_failed() { outcome.and(Err(StoreError::FailureIgnored)) } else { outcome };
        if outcome.is_err() {
            return (batch, outcome);
        }
        let is_full = batch.len() >= LARGEST_BATCH || begun.elapsed() >= LONGEST_BATCH;
        if is_alone || is_full || leadership.next_is_alone() {
            break;
        }
    }
    (batch, Ok(()))
}

/// Nobody is answered before all of it is durable.
async fn commit(mut tx: Tx, batch: Vec<Waiting>) -> Option<Tx> {
    match tx.commit().await {
        Ok(()) => {
            batch.into_iter().for_each(|waiting| waiting.unit.committed());
            Some(tx)
        }
        Err(error) => {
            batch.into_iter().for_each(|waiting| waiting.unit.failed(error.of_commit()));
            None
        }
    }
}

/// A unit failed. Which of the others had a part in that is not known, so each is run again without company.
fn give_up(leadership: &Leadership, mut batch: Vec<Waiting>, error: StoreError) {
    if batch.len() > 1 {
        leadership.put_back(batch);
    } else if let Some(waiting) = batch.pop() {
        waiting.unit.failed(error);
    }
}
