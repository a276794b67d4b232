//! What a grant must do, in plain arithmetic: written from the rules, not from the code that it is held against.

/// Seconds.
pub(super) type Seconds = i64;

/// The settings that matter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) grace: Seconds,
    pub(super) idle_life: Seconds,
    pub(super) life: Seconds,
}

/// One grant. Its refresh tokens are numbered in the order in which they were issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    user: usize,
    newest: usize,
    newest_since: Seconds,
    idle_until: Seconds,
    ends: Seconds,
    revoked: bool,
    /// A deadline was passed once. Its row may have been swept, and then it does not come back with a clock set back.
    overdue: bool,
}

/// Everything there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) grants: Vec<Grant>,
    disabled: [bool; super::USERS],
}

/// Something somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Presents the refresh token of that number to be exchanged.
    Refresh { grant: usize, token: usize },
    /// Presents it to end the session.
    Logout { grant: usize, token: usize },
    /// The operator stops an account.
    Disable { user: usize },
}

/// What must come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The refresh token of that number, be it an old one or a new.
    Token(usize),
    /// No token.
    Refused,
    /// Done, and nothing to tell.
    Done,
}

impl Reference {
    pub(super) fn is_disabled(&self, user: usize) -> bool {
        self.disabled[user]
    }

    pub(super) fn enable(&mut self, user: usize) {
        self.disabled[user] = false;
    }

    /// A sign-in: a new grant, whose first token has the number 0.
    pub(super) fn sign_in(&mut self, rules: Rules, user: usize, now: Seconds) {
        let ends = now + rules.life;
        let idle_until = ends.min(now + rules.idle_life);
        let grant =
            Grant { user, newest: 0, newest_since: now, idle_until, ends, revoked: false, overdue: false };
        self.grants.push(grant);
    }

    /// It is so late somewhere.
    pub(super) fn at_time(&mut self, now: Seconds) {
        for grant in &mut self.grants {
            grant.overdue |= now >= grant.idle_until;
        }
    }

    /// What comes of an act, and what it leaves behind.
    pub(super) fn act(&mut self, rules: Rules, act: Act, now: Seconds) -> Outcome {
        match act {
            Act::Refresh { grant, token } => self.grants[grant].refresh(rules, token, now),
            Act::Logout { grant, .. } => {
                self.grants[grant].revoked = true;
                Outcome::Done
            }
            Act::Disable { user } => {
                self.disabled[user] = true;
                for grant in self.grants.iter_mut().filter(|grant| grant.user == user) {
                    grant.revoked = true;
                }
                Outcome::Done
            }
        }
    }
}

impl Grant {
    pub(super) fn is_revoked(&self) -> bool {
        self.revoked
    }

    /// Whether it may be gone for good, and with it every trace.
    pub(super) fn may_be_swept(&self) -> bool {
        self.overdue
    }

    /// It is gone for good.
    pub(super) fn sweep(&mut self) {
        self.revoked = true;
    }

    fn refresh(&mut self, rules: Rules, token: usize, now: Seconds) -> Outcome {
        // Once it was too late it stays too late, whatever the clock says next.
        self.revoked |= now >= self.ends || now >= self.idle_until;
        if self.revoked {
            return Outcome::Refused;
        }
        // A clock that went back makes nothing older.
        let within_grace = (now - self.newest_since).max(0) < rules.grace;
        match self.newest - token {
            0 if !within_grace => {
                self.newest += 1;
                self.overdue = false;
                self.newest_since = now;
                self.idle_until = self.ends.min(now + rules.idle_life);
                Outcome::Token(self.newest)
            }
            0 | 1 if within_grace => Outcome::Token(self.newest),
            _ => {
                self.revoked = true;
                Outcome::Refused
            }
        }
    }
}
