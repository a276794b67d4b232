//! Status list tokens as they were signed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use signet_guard::Timestamp;
use tokio::sync::OnceCell;

/// Which token of a list is meant. Whoever has the same key makes the same bytes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edition {
    /// The list.
    pub list: i64,
    /// The version of the list.
    pub version: i64,
    /// From when it counts.
    pub issued_at: Timestamp,
    /// The key that signs.
    pub kid: String,
}

impl Edition {
    /// Its entity tag (RFC 9110 §8.8.3).
    pub fn etag(&self) -> String {
        format!("\"{}-{}-{}\"", self.version, self.issued_at.as_seconds(), self.kid)
    }
}

/// A token and its entity tag.
#[derive(Debug, Clone)]
pub struct SignedList {
    /// The token.
    pub token: Arc<str>,
    /// Its entity tag.
    pub etag: Arc<str>,
}

/// A place for a token: whoever comes first makes it, the others wait for that one.
pub type Slot = Arc<OnceCell<SignedList>>;

/// One token for each list at most: an edition takes the place of the one before, and a new time or key clears all.
#[derive(Default)]
pub struct SignedLists(Mutex<Slots>);

#[derive(Default)]
struct Slots {
    of: Option<(Timestamp, String)>,
    lists: HashMap<i64, (i64, Slot)>,
}

impl SignedLists {
    /// The place of an edition.
    pub fn slot(&self, edition: &Edition) -> Slot {
        // Nothing under the lock can panic half-way.
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = (edition.issued_at, edition.kid.clone());
        if slots.of.as_ref() != Some(&of) {
            *slots = Slots { of: Some(of), lists: HashMap::new() };
        }
        let entry = slots.lists.entry(edition.list).or_insert_with(|| (edition.version, Slot::default()));
        if entry.0 != edition.version {
            *entry = (edition.version, Slot::default());
        }
        entry.1.clone()
    }

    /// How many tokens are kept.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lists.len()
    }

    pub(super) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Slots::default();
    }
}
