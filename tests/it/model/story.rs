//! What happens in a story: made by chance, and made shorter when it fails.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{HOUR, SERVERS, Seconds, USERS};

/// The longest story.
const LONGEST: usize = 40;

/// Somebody does something. Whatever does not exist by then is another that does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed {
    /// Presents a token: so many before the newest of that grant.
    Refresh { grant: usize, older: usize },
    /// Ends a session with such a token.
    Logout { grant: usize, older: usize },
    /// The operator stops an account.
    Disable { user: usize },
}

/// A step of a story.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A sign-in at a server.
    SignIn { user: usize, server: usize },
    /// Deeds at one moment, each at a server.
    AtOnce(Vec<(Deed, usize)>),
    /// The last deeds again, one after the other: their answers were lost.
    Again,
    /// The operator lets an account sign in again, or does what changes nothing.
    Enable { user: usize },
    /// Time passes; or clocks are set back.
    Clocks { by: Seconds },
    /// The clock of the second server is so far ahead of the first's.
    Skew { ahead: Seconds },
    /// A server removes what is over.
    Sweep { server: usize },
    /// A server ends without a word, and another starts in its place.
    Restart { server: usize },
}

/// Stories begin with a sign-in: without one there is little to tell.
pub(super) fn story() -> impl Strategy<Value = Vec<Step>> {
    (sign_in(), vec(step(), 1..LONGEST)).prop_map(|(first, mut steps)| {
        steps.insert(0, first);
        steps
    })
}

fn sign_in() -> impl Strategy<Value = Step> {
    (0..USERS, 0..SERVERS).prop_map(|(user, server)| Step::SignIn { user, server })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => sign_in(),
        12 => vec((deed(), 0..SERVERS), 1).prop_map(Step::AtOnce),
        8 => vec((deed(), 0..SERVERS), 2).prop_map(Step::AtOnce),
        3 => Just(Step::Again),
        1 => (0..USERS).prop_map(|user| Step::Enable { user }),
        14 => clocks().prop_map(|by| Step::Clocks { by }),
        1 => (-5..=5i64).prop_map(|ahead| Step::Skew { ahead }),
        2 => (0..SERVERS).prop_map(|server| Step::Sweep { server }),
        1 => (0..SERVERS).prop_map(|server| Step::Restart { server }),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    let older = || prop_oneof![8 => Just(0usize), 4 => Just(1), 1 => Just(2), 1 => Just(usize::MAX)];
    prop_oneof![
        24 => (0..4usize, older()).prop_map(|(grant, older)| Deed::Refresh { grant, older }),
        2 => (0..4usize, older()).prop_map(|(grant, older)| Deed::Logout { grant, older }),
        1 => (0..USERS).prop_map(|user| Deed::Disable { user }),
    ]
}

/// Around every edge of the rules, and across it.
fn clocks() -> impl Strategy<Value = Seconds> {
    prop_oneof![
        6 => prop::sample::select(vec![1, 10, 29, 30, 31, 61]),
        2 => prop::sample::select(vec![HOUR - 1, HOUR, 2 * HOUR - 31, 2 * HOUR - 1, 2 * HOUR, 2 * HOUR + 1]),
        2 => prop::sample::select(vec![-1, -29, -31, -60, -HOUR, -2 * HOUR]),
        1 => 0..5 * HOUR,
    ]
}
