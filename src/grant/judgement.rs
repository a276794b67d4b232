//! What a genuine refresh token is worth now: arithmetic over its grant, without a clock or a database.

use std::time::Duration;

use signet_guard::Timestamp;

use super::Grant;

/// What to do with a refresh token that was made here for this grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It is the one that counts, and younger than the grace: it stays, and an access token is issued.
    Current,
    /// It is the one that counts: its successor takes its place.
    Rotate,
    /// It was replaced within the grace: a racer, or somebody whose answer was lost. It gets the same successor.
    Retry,
    /// It was replaced before that: two hold tokens of one grant, and nobody can say who is the thief. Both lose it.
    Replay,
    /// Its generation has not been issued yet: the database was set back. No reason to revoke anything.
    FromFuture,
    /// The grant has reached one of its deadlines.
    Expired,
    /// The grant was revoked.
    Revoked,
}

/// Judges a refresh token of `generation`.
///
/// Only a request that would otherwise be good may revoke: for a grant that has ended no token is a replay, however old.
/// A clock that was set back makes negative ages, which count as none: nobody is called a thief for it. A grace of zero
/// rotates at each use and forgives no retry. A grace that was lengthened after the last rotation ends where the access
/// tokens of this generation must end ([`Grant::tokens_until`]), so that there is always one to issue.
pub fn judge(grant: &Grant, generation: u64, now: Timestamp, grace: Duration) -> Judgement {
    if grant.revoked_at.is_some() {
        return Judgement::Revoked;
    }
    if now >= grant.idle_until || now >= grant.expires_at {
        return Judgement::Expired;
    }
    let in_grace = !grace.is_zero() && now < grant.rotated_at.plus(grace) && now < grant.tokens_until();
    match (generation.checked_sub(grant.generation), grant.generation.checked_sub(generation)) {
        (Some(0), _) if in_grace => Judgement::Current,
        (Some(0), _) => Judgement::Rotate,
        (Some(_), _) => Judgement::FromFuture,
        (_, Some(1)) if in_grace => Judgement::Retry,
        _ => Judgement::Replay,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
