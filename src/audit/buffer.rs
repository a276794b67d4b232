//! What no unit of work carries: refusals, which change nothing. They wait here for the next flush, so that a flood of them
//! costs the requests a short lock and the database one unit a second.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use signet_guard::Timestamp;

use crate::store::AuditRow;

/// Entries that may wait. Each is below a kilobyte; equal ones are one.
pub const MOST: usize = 512;

/// Entries that wait to be written, bounded in number whatever comes.
#[derive(Debug, Default)]
pub struct Buffer(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    /// By what makes two entries alike.
    entries: HashMap<AuditRow, Waiting>,
    dropped: i64,
    is_failing: bool,
}

#[derive(Debug)]
struct Waiting {
    /// Its place among the others.
    order: usize,
    /// The first of those that are alike, as it came.
    first: AuditRow,
    count: i64,
}

/// Entries taken from the buffer to be written.
#[derive(Debug, Default)]
pub struct Batch {
    /// In the order in which the first of each came.
    pub rows: Vec<AuditRow>,
    /// How many found no room.
    pub dropped: i64,
}

impl Buffer {
    /// Adds an entry, or counts it where one like it waits or where there is no room.
    pub fn push(&self, row: AuditRow) {
        self.held().add(row);
    }

    /// Takes all that waits.
    pub fn take(&self) -> Batch {
        let mut held = self.held();
        let dropped = std::mem::take(&mut held.dropped);
        let mut waiting: Vec<_> = std::mem::take(&mut held.entries).into_values().collect();
        drop(held);
        waiting.sort_unstable_by_key(|waiting| waiting.order);
        let rows =
            waiting.into_iter().map(|waiting| AuditRow { count: waiting.count, ..waiting.first }).collect();
        Batch { rows, dropped }
    }

    /// Puts back what could not be written, before what came meanwhile. `true`: it is the first time in a row.
    pub fn put_back(&self, batch: Batch) -> bool {
        let mut held = self.held();
        let newer = std::mem::take(&mut held.entries);
        held.dropped = held.dropped.saturating_add(batch.dropped);
        let mut newer: Vec<_> = newer.into_values().collect();
        newer.sort_unstable_by_key(|waiting| waiting.order);
        let newer = newer.into_iter().map(|waiting| AuditRow { count: waiting.count, ..waiting.first });
        for row in batch.rows.into_iter().chain(newer) {
            held.add(row);
        }
        !std::mem::replace(&mut held.is_failing, true)
    }

    /// Notes that a batch was written. `true`: the one before could not be.
    pub fn written(&self) -> bool {
        std::mem::replace(&mut self.held().is_failing, false)
    }

    /// A thread that panicked between two lines here has left nothing half-done.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn add(&mut self, row: AuditRow) {
        let order = self.entries.len();
        if let Some(waiting) = self.entries.get_mut(&alike(&row)) {
            waiting.count = waiting.count.saturating_add(row.count);
        } else if order < MOST {
            self.entries.insert(alike(&row), Waiting { order, count: row.count, first: row });
        } else {
            self.dropped = self.dropped.saturating_add(row.count);
        }
    }
}

/// What makes two entries alike: all but when, how many, and what each caller may choose anew for every request.
fn alike(row: &AuditRow) -> AuditRow {
    let at = Timestamp::from_seconds(0);
    AuditRow { at, count: 0, request_id: None, user_agent: None, ..row.clone() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn row(at: i64, address: &str, request: &str) -> AuditRow {
        AuditRow {
            at: Timestamp::from_seconds(at),
            event: "login.fail".to_owned(),
            actor: "anybody".to_owned(),
            user_id: None,
            session_id: None,
            client_id: None,
            kid: None,
            reason: Some("unknown-user".to_owned()),
            count: 1,
            address: Some(address.to_owned()),
            user_agent: Some(format!("agent of {request}")),
            request_id: Some(request.to_owned()),
            detail: None,
        }
    }

    fn said(batch: &Batch) -> Vec<(i64, &str, &str, i64)> {
        let said = |row: &'_ AuditRow| (row.at.as_seconds(), row.count);
        let rows = batch.rows.iter();
        rows.map(|row| {
            let (at, count) = said(row);
            (at, row.address.as_deref().unwrap(), row.request_id.as_deref().unwrap(), count)
        })
        .collect()
    }

    #[test]
    fn equal_entries_become_one_with_their_number_and_the_order_stays() {
        let buffer = Buffer::default();
        for (at, address, request) in [(1, "a", "r1"), (2, "b", "r2"), (3, "a", "r3"), (4, "a", "r4")] {
            buffer.push(row(at, address, request));
        }
        let batch = buffer.take();
        assert_eq!(said(&batch), [(1, "a", "r1", 3), (2, "b", "r2", 1)]);
        assert_eq!((batch.dropped, buffer.take().rows.len()), (0, 0));
    }

    #[test]
    fn a_flood_is_bounded_and_what_found_no_room_is_counted() {
        let buffer = Arc::new(Buffer::default());
        let floods: Vec<_> = (0..4)
            .map(|thread| {
                let buffer = buffer.clone();
                std::thread::spawn(move || {
                    for n in 0..5_000 {
                        buffer.push(row(n, &format!("{thread}-{n}"), "r"));
                    }
                })
            })
            .collect();
        for flood in floods {
            flood.join().unwrap();
        }
        let batch = buffer.take();
        assert_eq!(batch.rows.len(), MOST);
        let told: i64 = batch.rows.iter().map(|row| row.count).sum();
        assert_eq!(told + batch.dropped, 20_000, "every one is told of, at least as a number");
    }

    #[test]
    fn what_could_not_be_written_comes_first_again() {
        let buffer = Buffer::default();
        buffer.push(row(1, "a", "r1"));
        buffer.push(row(2, "b", "r2"));
        let batch = buffer.take();
        buffer.push(row(3, "c", "r3"));
        buffer.push(row(4, "b", "r4"));
        assert!(buffer.put_back(batch), "it fails for the first time");
        assert!(!buffer.put_back(buffer.take()), "and again");
        assert_eq!(said(&buffer.take()), [(1, "a", "r1", 1), (2, "b", "r2", 2), (3, "c", "r3", 1)]);
        assert!(buffer.written() && !buffer.written());
    }
}
