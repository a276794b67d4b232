//! What no unit of work carries: refusals, which change nothing. They wait here for the next flush, so that a flood of them
//! costs the requests a short lock and the database one unit a second.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use signet_guard::Timestamp;

use crate::store::AuditRow;

/// Entries that may wait. Each is below a kilobyte; equal ones are one.
pub const MOST: usize = 512;

/// Entries a second that a flood may make in the long run, about a gigabyte and a half a day: it must not fill the disk.
const PER_SECOND: u32 = 32;

/// Entries that wait to be written, bounded in number whatever comes.
#[derive(Debug, Default)]
pub struct Buffer(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    /// By what makes two entries alike.
    entries: HashMap<AuditRow, Waiting>,
    dropped: i64,
    is_failing: bool,
    /// Until then what was written last counts as enough.
    rests_until: Option<Instant>,
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

    /// Notes that a batch of so many was written. `true`: the one before could not be.
    pub fn written(&self, rows: usize, now: Instant) -> bool {
        let mut held = self.held();
        let rest = Duration::from_secs(1) * u32::try_from(rows).unwrap_or(u32::MAX) / PER_SECOND;
        held.rests_until = now.checked_add(rest);
        std::mem::replace(&mut held.is_failing, false)
    }

    /// Whether so much was written last that what waits should wait on, where more of it becomes one.
    pub fn rests(&self, now: Instant) -> bool {
        self.held().rests_until.is_some_and(|until| now < until)
    }

    /// A thread that panicked between two lines here has left nothing half-done.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn add(&mut self, row: AuditRow) {
        let order = self.entries.len();
        match self.entries.entry(alike(&row)) {
            Entry::Occupied(mut waiting) => {
                let count = &mut waiting.get_mut().count;
                *count = count.saturating_add(row.count);
            }
            Entry::Vacant(place) if order < MOST => {
                place.insert(Waiting { order, count: row.count, first: row });
            }
            Entry::Vacant(_) => self.dropped = self.dropped.saturating_add(row.count),
        }
    }
}

/// What makes two entries alike: all but when, how many, and what each caller may choose anew for every request.
fn alike(row: &AuditRow) -> AuditRow {
    let at = Timestamp::from_seconds(0);
    let address = row.address.as_deref().map(network);
    AuditRow { at, count: 0, request_id: None, user_agent: None, address, ..row.clone() }
}

/// Of IPv6 the /64, as for the throttle: within it a caller has more addresses than there is room for entries.
fn network(address: &str) -> String {
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).to_string(),
        Ok(address) => address.to_string(),
        Err(_) => address.to_owned(),
    }
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
        assert!(buffer.written(3, Instant::now()) && !buffer.written(0, Instant::now()));
    }

    #[test]
    fn whoever_changes_addresses_within_a_network_fills_no_room() {
        let buffer = Buffer::default();
        for host in 1..=1_000 {
            buffer.push(row(host, &format!("2001:db8::{host:x}"), "r"));
            buffer.push(row(host, &format!("::ffff:192.0.2.{}", host % 2), "r"));
        }
        let batch = buffer.take();
        let expected = [
            (1, "2001:db8::1", "r", 1_000),
            (1, "::ffff:192.0.2.1", "r", 500),
            (2, "::ffff:192.0.2.0", "r", 500),
        ];
        assert_eq!((said(&batch), batch.dropped), (expected.to_vec(), 0));
    }

    #[test]
    fn a_flood_writes_no_more_in_the_long_run_than_the_disk_bears() {
        let (buffer, begun) = (Buffer::default(), Instant::now());
        let mut written = 0;
        // A day of floods that never end, a turn a second.
        for second in 0..86_400 {
            let now = begun + Duration::from_secs(second);
            if buffer.rests(now) {
                continue;
            }
            written += MOST;
            buffer.written(MOST, now);
        }
        assert_eq!(written, 86_400 * 32);
        // What is few is written at every turn.
        let now = begun + Duration::from_secs(100_000);
        buffer.written(32, now);
        assert!(!buffer.rests(now + Duration::from_secs(1)));
    }
}
