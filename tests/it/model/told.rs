//! What one story has come to, as far as it was told.

use std::collections::HashMap;

use super::reference::{Act, Reference, Seconds};
use super::story::Deed;

/// The accounts are those of the world; the grants are numbered as they were given.
pub(super) struct Told {
    /// Every state that explains what was answered: of two deeds at one moment either may have come first, and what that
    /// changed may show much later.
    pub(super) possible: Vec<Reference>,
    /// Of each grant: its public name, and its refresh tokens in the order in which they were seen first.
    pub(super) seen: Vec<(String, Vec<String>)>,
    pub(super) now: Seconds,
    pub(super) ahead: Seconds,
    pub(super) last: Vec<(Act, usize)>,
    /// What a token was exchanged for. Of each there is one successor, whoever asks and however often.
    pub(super) successors: HashMap<String, String>,
}

impl Told {
    pub(super) fn at(now: Seconds) -> Self {
        Self {
            possible: vec![Reference::default()],
            seen: Vec::new(),
            now,
            ahead: 0,
            last: Vec::new(),
            successors: HashMap::new(),
        }
    }

    pub(super) fn in_each(&mut self, change: impl Fn(&mut Reference)) {
        self.possible.iter_mut().for_each(change);
    }

    pub(super) fn now_at(&self, server: usize) -> Seconds {
        if server == 0 { self.now } else { self.now + self.ahead }
    }

    /// The deed with what exists. `None`: there is no grant yet.
    pub(super) fn act(&self, deed: Deed) -> Option<Act> {
        let grants = self.seen.len();
        let chosen = |grant: usize, older: usize| {
            let grant = grant.checked_rem(grants)?;
            Some((grant, (self.seen[grant].1.len() - 1).saturating_sub(older)))
        };
        Some(match deed {
            Deed::Refresh { grant, older } => {
                let (grant, token) = chosen(grant, older)?;
                Act::Refresh { grant, token }
            }
            Deed::Logout { grant, older } => {
                let (grant, token) = chosen(grant, older)?;
                Act::Logout { grant, token }
            }
            Deed::Disable { user } => Act::Disable { user },
        })
    }
}
