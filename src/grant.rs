//! A grant: user U gave client C scope S at time T. Refresh tokens, sessions and revocation hang on it.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use signet_guard::{Scope, Timestamp};
use zeroize::Zeroizing;

use crate::account::UserId;
use crate::caller::Caller;
use crate::config::Tokens;

mod judgement;

pub use judgement::{Judgement, judge};

/// How long a status bit is kept beyond the last moment at which a token of its grant can be alive: a verifier's clock may
/// be behind, and a guard may be told to allow for that.
const BIT_MARGIN: Duration = Duration::from_secs(120);

/// How many grants share one status list.
const PER_LIST: i64 = 65_536;

/// A grant's own name: 128 random bits. It is in its refresh tokens and in no other token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct GrantId([u8; 16]);

impl GrantId {
    /// A new one.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// One that was stored, or that a token names.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// It names a credential: kept out of logs, which have the session id instead.
impl fmt::Debug for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GrantId(***)")
    }
}

/// The public name of a grant: `sid` in its access tokens, and what a person sees among their sessions. 128 random
/// bits in base64url; nothing can be done with it without a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionId(String);

impl SessionId {
    const LENGTH: usize = 22;

    /// A new one.
    pub fn random() -> Self {
        Self(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()))
    }

    /// One that was stored, or that somebody sent. `None`: it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let is_ours = text.len() == Self::LENGTH && URL_SAFE_NO_PAD.decode(text).is_ok();
        is_ours.then(|| Self(text.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 256 random bits of one grant, without which none of its refresh tokens can be made. Wiped when dropped.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// A new one.
    pub fn random() -> Self {
        Self(Zeroizing::new(rand::random()))
    }

    /// One that was stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The secret itself.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(***)")
    }
}

/// The number of a grant in the status lists: list and index within it (draft-ietf-oauth-status-list).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Serial(i64);

impl Serial {
    /// The last index of a list.
    pub const LAST_INDEX: u64 = PER_LIST.unsigned_abs() - 1;

    /// The number the database gave.
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The first one of a list.
    pub const fn first_of(list: i64) -> Self {
        Self(list.saturating_mul(PER_LIST))
    }

    /// The list it is in.
    pub const fn list(self) -> i64 {
        self.0.div_euclid(PER_LIST)
    }

    /// Its entry in that list.
    pub const fn index(self) -> u64 {
        self.0.rem_euclid(PER_LIST).unsigned_abs()
    }
}

/// A grant as it is stored.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Its place in the status lists.
    pub serial: Serial,
    /// Its name in refresh tokens.
    pub id: GrantId,
    /// Its public name.
    pub session: SessionId,
    /// Who gave it.
    pub user: UserId,
    /// To which client.
    pub client_id: String,
    /// What it allows at most.
    pub scope: Scope,
    /// What its refresh tokens are derived from, together with the root key.
    pub seed: Seed,
    /// The root key of its birth, `1-9f3a0c12`; its tokens are derived under that one for as long as it lives.
    pub root_key_id: String,
    /// How often its refresh token was rotated: the generation of the one that counts.
    pub generation: u64,
    /// When that one was first issued.
    pub rotated_at: Timestamp,
    /// When it was given.
    pub created_at: Timestamp,
    /// When the person proved who they are.
    pub authenticated_at: Timestamp,
    /// It ends here unless it is used before.
    pub idle_until: Timestamp,
    /// It ends here whatever happens.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Until here its status bit may be needed: no access token of it lives longer.
    pub bit_until: Timestamp,
    /// From where it was used last.
    pub last_caller: Caller,
}

/// What a person gave.
pub struct Given {
    /// Who gave it.
    pub user: UserId,
    /// To which client.
    pub client_id: String,
    /// What it allows at most.
    pub scope: Scope,
    /// The root key that is active now.
    pub root_key_id: String,
    /// From where.
    pub caller: Caller,
}

impl Grant {
    /// A grant that was given just now. The database gives its serial when it is written.
    pub fn new(given: Given, lives: &Tokens, now: Timestamp) -> Self {
        let expires_at = now.plus(lives.refresh_life);
        Self {
            serial: Serial::from_number(0),
            id: GrantId::random(),
            session: SessionId::random(),
            user: given.user,
            client_id: given.client_id,
            scope: given.scope,
            seed: Seed::random(),
            root_key_id: given.root_key_id,
            generation: 0,
            rotated_at: now,
            created_at: now,
            authenticated_at: now,
            idle_until: now.plus(lives.refresh_idle_life).min(expires_at),
            expires_at,
            revoked_at: None,
            bit_until: bit_until(lives, now),
            last_caller: given.caller,
        }
    }

    /// The grant after its token was replaced. The last deadline never moves; nor does the bit's end come nearer, should
    /// the clock have been set back: tokens that were issued before live on.
    pub fn rotated(&self, lives: &Tokens, caller: Caller, now: Timestamp) -> Self {
        Self {
            generation: self.generation.saturating_add(1),
            rotated_at: now,
            idle_until: now.plus(lives.refresh_idle_life).min(self.expires_at),
            bit_until: bit_until(lives, now).max(self.bit_until),
            last_caller: caller,
            ..self.clone()
        }
    }

    /// Until when an access token of it may live at most: not beyond the grant itself, and not beyond what its status bit
    /// is kept for. The settings may have changed since that was written.
    pub fn tokens_until(&self) -> Timestamp {
        self.bit_until.minus(BIT_MARGIN).min(self.expires_at)
    }
}

/// Within the grace, tokens are still issued under this generation; the last of them lives this long.
fn bit_until(lives: &Tokens, now: Timestamp) -> Timestamp {
    now.plus(lives.refresh_grace).plus(lives.access_token_life).plus(BIT_MARGIN)
}

/// Why a grant was revoked. The word is stored and logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// Its holder logged out.
    Logout,
    /// One of its older refresh tokens came again.
    Replay,
    /// A refresh token of it came after one of its deadlines.
    Expired,
    /// The person ended it from another session.
    EndedByUser,
    /// The operator ended it.
    EndedByOperator,
    /// The password or the sign-in name changed.
    CredentialChanged,
    /// The account was disabled.
    AccountDisabled,
    /// The account was deleted.
    AccountDeleted,
    /// More sessions than an account may have; this one was unused the longest.
    TooManySessions,
    /// The database was restored from a backup.
    Restored,
}

impl Revocation {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Replay => "replay",
            Self::Expired => "expired",
            Self::EndedByUser => "ended-by-user",
            Self::EndedByOperator => "ended-by-operator",
            Self::CredentialChanged => "credential-changed",
            Self::AccountDisabled => "account-disabled",
            Self::AccountDeleted => "account-deleted",
            Self::TooManySessions => "too-many-sessions",
            Self::Restored => "restored",
        }
    }
}
