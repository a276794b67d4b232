//! First-party sign-in: a password for an access token.

use std::net::IpAddr;
use std::time::Duration;

use signet_guard::Scope;

use crate::account::{Email, User, UserId};
use crate::app::App;
use crate::audit::{self, Actor, Event, SignInRefusal, ThrottleReason};
use crate::caller::Caller;
use crate::config::Passwords;
use crate::flow::access_token::{self, FIRST_PARTY_CLIENT, Issue, Issued};
use crate::flow::audit_log;
use crate::flow::device::{DeviceId, DeviceProof, PROOF_LIFE, PresentedDevice};
use crate::flow::grants;
use crate::flow::throttle::{self, Charged, Limit, Throttled};
use crate::grant::{Given, Grant, SessionId};
use crate::jose::{RefreshToken, SignError};
use crate::password::{HashError, Password, PhcString, Place, Verdict};
use crate::store::{SignInCandidate, StoreError, Tx};
use crate::throttle::{Counter, Rule, Subject};

/// One try to sign in.
pub struct SignIn {
    /// The sign-in name.
    pub email: Email,
    /// The password as typed.
    pub password: Password,
    /// What the token shall allow; everything a first-party token may allow when absent.
    pub scope: Option<Scope>,
    /// Where it comes from.
    pub caller: Caller,
    /// The proof that this device has signed in before, if it sent one.
    pub device: Option<PresentedDevice>,
}

/// What a successful sign-in gets.
pub struct SignedIn {
    /// The token.
    pub issued: Issued,
    /// What the next one is had for.
    pub refresh_token: RefreshToken,
    /// The grant that both rest on.
    pub grant: Grant,
    /// The proof that this device has signed in, dated now.
    pub device: DeviceProof,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Unknown, wrong or disabled: the caller learns no more than this.
    #[error("the e-mail address or the password is wrong")]
    Refused,
    /// More was asked for than a first-party token may allow.
    #[error("the scope is not offered")]
    InvalidScope,
    /// Too many tries: this one was not looked at.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// The password could not be checked now.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The token could not be signed now.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Checks a password, writes a grant and issues its first tokens.
///
/// An unknown address costs the same hash as a wrong password, and is counted like one. The try is counted before the
/// hash, so that of many at once no more are looked at than are allowed, and taken back when we are to blame. The one
/// write after the check succeeds only if the account is still enabled and its credentials are still those that were
/// checked, so that no sign-in outlives a disable or a new password.
///
/// # Errors
/// See [`SignInError`].
pub async fn sign_in(app: &App, attempt: SignIn) -> Result<SignedIn, SignInError> {
    let SignIn { email, password, scope, caller, device } = attempt;
    let scope = granted_scope(app, scope)?;
    // Over HTTP there always is one; whoever has none shares a counter.
    let address = caller.address.unwrap_or(IpAddr::from([0; 4]));
    let keys = app.keyring.refresh_keys().ok_or(SignError::NoActiveKey)?;
    // Nobody can have such a password, so its length alone refuses it, whoever the account is. Not the limit in force:
    // that is for new passwords, and may have been higher before.
    if password.exceeds(Passwords::LONGEST) {
        return Err(refused(app, &caller, None, SignInRefusal::WrongPassword));
    }
    // In a storm most end here, and cost the database nothing. Whether a device is known is not known yet.
    drop(place(app, device.is_some())?);
    let Found { candidate, device, limits } = find(app, &email, address, device).await?;
    let user = candidate.as_ref().map(|candidate| candidate.user.id.clone());
    let throttled = |throttled: Throttled| {
        let event = Event::SignInThrottled { user: user.as_ref(), reason: throttled.reason };
        audit_log::refused(app, &event, &caller);
        throttled
    };
    throttle::check(&limits, app.clock.now()).map_err(throttled)?;
    // Before anything is counted: whoever finds the queue full has not tried.
    let place = place(app, device.is_some())?;
    let limits = limits.into_iter().map(|(limit, _)| limit).collect();
    let locked = user
        .as_ref()
        .map(|user| audit::row(&Event::AccountLocked(user), Actor::Anybody, &caller, app.clock.now()));
    let charged = throttle::charge_noting(app, limits, locked).await?.map_err(throttled)?;
    if let Some(user) = user.as_ref().filter(|_| charged.locked_account(app.clock.now())) {
        audit::record(&Event::AccountLocked(user));
    }

    let given = |user: UserId| Given {
        user,
        client_id: FIRST_PARTY_CLIENT.to_owned(),
        scope: scope.clone(),
        root_key_id: keys.active_root().to_string(),
        caller: caller.clone(),
    };
    let checked = match verify(app, &caller, place, candidate, password).await {
        // Before the grant is written: a session that nobody gets a token of is none.
        Ok(proven) => match app.keyring.reserve_signature() {
            Ok(signature) => {
                let recorded = record(app, &caller, proven, given, charged.clone()).await;
                recorded.map(|recorded| (signature, recorded))
            }
            Err(error) => Err(error.into()),
        },
        Err(error) => Err(error),
    };
    let (signature, Recorded { user, grant, surplus }) = match checked {
        Ok(recorded) => recorded,
        Err(error) => {
            if !matches!(error, SignInError::Refused) {
                throttle::give_back(app, charged).await;
            }
            return Err(error);
        }
    };
    audit::record(&Event::SignedIn(&user.id, &grant.session));
    grants::surplus_ended(&user.id, &surplus).iter().for_each(audit::record);
    let now = grant.created_at;
    let issued =
        access_token::issue(app, signature, Issue { user: &user, grant: &grant, scope, now }).await?;
    let refresh_token = keys.mint(&grant, grant.generation).ok_or(SignError::NoActiveKey)?;
    let id = device.unwrap_or_else(DeviceId::random);
    let keys = app.keyring.device_keys().ok_or(SignError::NoActiveKey)?;
    let device = DeviceProof::issue(&keys, &user, &id, now).ok_or(SignError::NoActiveKey)?;
    Ok(SignedIn { issued, refresh_token, grant, device })
}

/// A place in the queue for a hash. Some are kept for known devices.
fn place(app: &App, is_known: bool) -> Result<Place, HashError> {
    if is_known { app.hasher.reserve_kept() } else { app.hasher.reserve() }
}

/// What is known before the password is looked at.
struct Found {
    candidate: Option<SignInCandidate>,
    /// The device, when it is known and has not used up its tries.
    device: Option<DeviceId>,
    /// What the try counts against, in the order in which the rows are held.
    limits: Vec<(Limit, Option<Counter>)>,
}

/// Reads the account and the counters, and tells known devices from strangers.
async fn find(
    app: &App,
    email: &Email,
    address: IpAddr,
    device: Option<PresentedDevice>,
) -> Result<Found, StoreError> {
    let settings = &app.config.throttle;
    let from = Subject::sign_in_address(address);
    let strangers = Subject::strangers(email);
    // Whether it is one is known only with the account; its counter is read beforehand, with the others.
    let claimed =
        device.map_or_else(|| from.clone(), |device| Subject::device(device.claimed_id().as_bytes()));
    let question = (email.clone(), [from, strangers, claimed]);
    let (candidate, [from, strangers, claimed], counts) = app
        .db
        .read(question, |tx, (email, subjects)| {
            Box::pin(async move {
                let counts = tx.throttles(subjects.each_ref()).await?;
                Ok((tx.sign_in_candidate(email).await?, subjects.clone(), counts))
            })
        })
        .await?;
    let now = app.clock.now();
    let user = candidate.as_ref().map(|candidate| &candidate.user);
    let keys = app.keyring.device_keys();
    let known = device.zip(keys).and_then(|(device, keys)| device.verify(&keys, user, now));

    let rule = Rule::device(settings, PROOF_LIFE);
    let is_locked = counts[2].is_some_and(|it| rule.check(&it, now).is_err_and(|refused| refused.is_locked));
    let limit = |subject, rule, reason| Limit { subject, rule, reason };
    if let Some(device) = known.filter(|_| !is_locked) {
        // Nor does it count against the address: a stranger behind the same one must not keep the owner out.
        let limits = vec![(limit(claimed, rule, ThrottleReason::Device), counts[2])];
        return Ok(Found { candidate, device: Some(device), limits });
    }
    let limits = vec![
        (limit(from, Rule::sign_in_address(settings), ThrottleReason::Address), counts[0]),
        (limit(strangers, Rule::strangers(settings), ThrottleReason::Account), counts[1]),
    ];
    Ok(Found { candidate, device: None, limits })
}

/// An account whose password was right at the time it was read.
struct Proven {
    user: User,
    rehashed: Option<Rehashed>,
}

/// The same password hashed with today's parameters.
struct Rehashed {
    old: String,
    new: PhcString,
}

async fn verify(
    app: &App,
    caller: &Caller,
    place: Place,
    candidate: Option<SignInCandidate>,
    password: Password,
) -> Result<Proven, SignInError> {
    let stored = candidate.as_ref().and_then(|candidate| candidate.password.clone());
    let again = password.share();
    let verdict = place.verify(password, stored.as_deref()).await?;
    let Some(SignInCandidate { user, .. }) = candidate else {
        return Err(refused(app, caller, None, SignInRefusal::UnknownUser));
    };
    let outdated = match verdict {
        Verdict::Match { outdated } => outdated,
        Verdict::Mismatch => return Err(refused(app, caller, Some(&user.id), SignInRefusal::WrongPassword)),
        Verdict::Corrupt => {
            audit_log::refused(app, &Event::CredentialCorrupt(&user.id), caller);
            return Err(refused(app, caller, Some(&user.id), SignInRefusal::WrongPassword));
        }
    };
    if user.disabled_at.is_some() {
        return Err(refused(app, caller, Some(&user.id), SignInRefusal::Disabled));
    }
    let rehashed = match stored {
        Some(old) if outdated => rehash(app, old, again).await?,
        _ => None,
    };
    Ok(Proven { user, rehashed })
}

/// A full queue is no reason to turn a right password away: the next sign-in tries again.
async fn rehash(app: &App, old: String, password: Password) -> Result<Option<Rehashed>, HashError> {
    match app.hasher.hash(password).await {
        Ok(new) => Ok(Some(Rehashed { old, new })),
        Err(HashError::Busy { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the one write of a sign-in left.
struct Recorded {
    user: User,
    grant: Grant,
    /// The sessions that had to go for the new one.
    surplus: Vec<SessionId>,
}

/// Writes that the sign-in took place, and the grant.
async fn record(
    app: &App,
    caller: &Caller,
    proven: Proven,
    given: impl FnOnce(UserId) -> Given,
    charged: Charged,
) -> Result<Recorded, SignInError> {
    let Proven { user, rehashed } = proven;
    let record = Record {
        email: user.email.clone(),
        credential_version: user.credential_version,
        grant: Grant::new(given(user.id.clone()), &app.config.tokens, app.clock.now()),
        access_token_life: app.config.tokens.access_token_life,
        rehashed,
        charged,
    };
    let recorded = app.db.write(record, |tx, it| Box::pin(async move { it.commit(tx).await })).await?;
    recorded.ok_or_else(|| refused(app, caller, Some(&user.id), SignInRefusal::Superseded))
}

/// The one write of a sign-in.
struct Record {
    email: Email,
    credential_version: i64,
    grant: Grant,
    access_token_life: Duration,
    rehashed: Option<Rehashed>,
    charged: Charged,
}

impl Record {
    /// The account as it is now and its grant, if the sign-in stands. Read again, because its roles may have changed since
    /// the password was read, and held by the update before, so that they cannot change until this unit ends.
    async fn commit(&self, tx: &mut Tx) -> Result<Option<Recorded>, StoreError> {
        let Grant { user: id, session, created_at: now, last_caller: caller, .. } = &self.grant;
        if !tx.record_sign_in(id, &self.email, self.credential_version, *now).await? {
            return Ok(None);
        }
        if let Some(Rehashed { old, new }) = &self.rehashed {
            // Someone else may have replaced it in between; theirs is as good.
            tx.replace_outdated_password(id, old, new.as_str()).await?;
        }
        throttle::succeed(tx, &self.charged).await?;
        let Some(user) = tx.user(id).await? else { return Ok(None) };
        let grant = Grant { serial: tx.insert_grant(&self.grant).await?, ..self.grant.clone() };
        tx.append_audit(&audit::row(&Event::SignedIn(id, session), Actor::User, caller, *now)).await?;
        let surplus = grants::end_surplus(tx, &grant, self.access_token_life).await?;
        Ok(Some(Recorded { user, grant, surplus }))
    }
}

/// All that a first-party token may allow, or the part of it that was asked for.
fn granted_scope(app: &App, asked: Option<Scope>) -> Result<Scope, SignInError> {
    let offered = grants::offered_scope(app);
    match asked {
        None => Ok(offered),
        Some(asked) if asked.iter().all(|token| offered.contains(token.as_str())) => Ok(asked),
        Some(_) => Err(SignInError::InvalidScope),
    }
}

fn refused(app: &App, caller: &Caller, user: Option<&UserId>, reason: SignInRefusal) -> SignInError {
    audit_log::refused(app, &Event::SignInRefused { user, reason }, caller);
    SignInError::Refused
}
