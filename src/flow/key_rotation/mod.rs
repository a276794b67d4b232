//! Signing keys take turns, on every replica at once.
//!
//! Each replica looks once a second whether the keys have changed, puts them to use, and carries out what the plan says
//! is due ([`crate::rotation`]). Several may plan at once: a change is made only while the keys are as they were when it
//! was planned, so one wins and the others look again.

mod change;
mod command;

pub use command::{KeyCommandError, Rotated, Withdrawn, rotate, withdraw};

pub(super) use change::{Act, Who, make};

use std::time::{Duration, Instant};

use signet_guard::Algorithm;

use super::signing_keys::{self, SigningKeysError, Stored};
use super::{clock_check, restore, root_keys, status};
use crate::app::App;
use crate::config::Config;
use crate::jose::PrivateKey;
use crate::replica::News;
use crate::rotation::{self, Known, Outlook, Policy, Step};

/// What the log and readiness call this work.
pub(super) const TASK: &str = "key rotation";

/// More steps than one turn can have.
const STEPS: usize = 16;

/// What the operator wants of the keys.
pub fn policy(config: &Config) -> Policy {
    Policy {
        algorithms: algorithms(config),
        rotate_every: config.keys.rotate_every,
        publish_ahead: config.keys.publish_ahead,
        max_age: whole_seconds(config.tokens.jwks_max_age),
        longest_life: whole_seconds(config.tokens.access_token_life.max(status::LIFE)),
    }
}

/// What keys there must be: always one that every verifier understands.
fn algorithms(config: &Config) -> Vec<Algorithm> {
    let mut algorithms = vec![Algorithm::Rs256, config.tokens.signing_algorithm];
    algorithms.dedup();
    algorithms
}

/// Times are kept in whole seconds, and none may come out shorter.
fn whole_seconds(span: Duration) -> Duration {
    Duration::from_secs(span.as_secs() + u64::from(span.subsec_nanos() > 0))
}

/// How the keys do, as far as this process knows.
pub fn outlook(app: &App) -> Outlook {
    let known = app.known_keys.load_full();
    known.map_or_else(Outlook::default, |known| {
        rotation::outlook(app.clock.now(), &known.keys, &policy(&app.config))
    })
}

/// Puts changed keys to use, then does what is due. What goes wrong is said once.
pub async fn run_once(app: &App) {
    let followed = follow(app).await;
    let complaint = followed.as_ref().err().map(ToString::to_string);
    match app.replica.news("signing keys", complaint.as_deref()) {
        Some(News::Wrong) => tracing::error!(error = complaint, "signing_keys.not_followed"),
        Some(News::RightAgain) => tracing::info!("signing_keys.followed_again"),
        None => {}
    }
    if followed.is_err() {
        return;
    }
    let complaint = match turn(app).await {
        Err(error) => Some(error.to_string()),
        Ok(()) => complaint_of(outlook(app)),
    };
    match app.replica.news(TASK, complaint.as_deref()) {
        Some(News::Wrong) => tracing::error!(error = complaint, "key_rotation.overdue"),
        Some(News::RightAgain) => tracing::info!("key_rotation.on_time_again"),
        None => {}
    }
}

fn complaint_of(outlook: Outlook) -> Option<String> {
    let overdue = outlook.overdue.map(|kid| format!("signing key {kid} should have been replaced by now"));
    let misdated = outlook.misdated.map(|kid| {
        format!(
            "signing key {kid} is dated in the future and will be replaced too late: if the clock is right now, let another \
             sign (`signet keys rotate --now`); if it does not sign, take it away (`signet keys withdraw {kid}`)"
        )
    });
    overdue.or(misdated)
}

/// Puts the keys of the database to use if they have changed, and notes that they are known.
///
/// # Errors
/// When they cannot be read or opened. Those that were there stay in use, for a while.
pub async fn follow(app: &App) -> Result<(), SigningKeysError> {
    let mut is_back = false;
    loop {
        let work = app.key_work.lock().await;
        let Some(known) = app.known_keys.load_full() else { return Ok(()) };
        let asked = Instant::now();
        let version = app.db.read((), |tx, ()| Box::pin(tx.keyring())).await?.version;
        if version == known.version {
            app.keyring.note_read(asked);
            return Ok(());
        }
        // The version never goes back, but with an older backup: what it has forgotten must be made up for first.
        if version < known.version && !is_back {
            is_back = true;
            drop(work);
            restore::run_once(app).await;
            continue;
        }
        let stored = signing_keys::fit(app, signing_keys::read(app).await?).await?;
        let roots = root_keys::read(app).await?;
        let lives = signing_keys::install(app, &roots, &stored)?;
        drop(work);
        if retired(&lives) != retired(&known) {
            restore::remember(app).await;
        }
        return Ok(());
    }
}

fn retired(known: &Known) -> usize {
    known.keys.iter().filter(|key| key.status == rotation::KeyStatus::Retired).count()
}

/// Does what is due, a step at a time.
async fn turn(app: &App) -> Result<(), SigningKeysError> {
    for _ in 0..STEPS {
        let Some(known) = app.known_keys.load_full() else { return Ok(()) };
        let steps = rotation::due(app.clock.now(), &known.keys, &policy(&app.config));
        // Another replica was quicker.
        if !steps.iter().any(|step| matches!(step, Step::Publish(_))) {
            app.key_maker.forget();
        }
        let Some(step) = steps.into_iter().next() else { return Ok(()) };
        // What is done by a wrong clock is done too early for every verifier. It may have gone wrong a moment ago.
        clock_check::compare(app).await;
        if !app.replica.is_clock_right() {
            return Ok(());
        }
        if !carry_out(app, &known, step).await? {
            return Ok(());
        }
        follow(app).await?;
    }
    Ok(())
}

/// `false`: it takes longer than this turn.
async fn carry_out(app: &App, known: &Known, step: Step) -> Result<bool, SigningKeysError> {
    let act = match step {
        Step::Publish(algorithm) => return publish(app, known, algorithm).await,
        Step::Activate(kid) => Act::Activate(kid, policy(&app.config).longest_life),
        Step::Stop(kid) => Act::Stop(kid),
        Step::Retire(kid) => Act::Retire(kid),
    };
    make(app, known.version, Who::Signet, vec![act]).await?;
    Ok(true)
}

/// Publishes a key that stands by, once it is made.
async fn publish(app: &App, known: &Known, algorithm: Algorithm) -> Result<bool, SigningKeysError> {
    let Some(key) = app.key_maker.take(algorithm, app.config.keys.rsa_bits)? else { return Ok(false) };
    let done = publish_made(app, known, &key).await;
    // To make one may take seconds of a core.
    if !matches!(done, Ok(true)) {
        app.key_maker.put_back(key);
    }
    done.map(|_| true)
}

/// Whether it is in the database now. `false`: somebody has changed the keys since, and nothing was done.
async fn publish_made(app: &App, known: &Known, key: &PrivateKey) -> Result<bool, SigningKeysError> {
    let stored = signing_keys::read(app).await?;
    // By a turn that was told otherwise.
    if stored.rows.iter().any(|row| row.kid == key.public_jwk().kid()) {
        return Ok(true);
    }
    if stored.keyring.version != known.version {
        return Ok(false);
    }
    let (row, announced) = signing_keys::standby(app, &stored, key).await?;
    let acts = vec![Act::Announce(announced), Act::Create(row)];
    Ok(make(app, known.version, Who::Signet, acts).await?)
}

/// The key that would sign if the active one of its algorithm were taken away.
pub(super) fn next_in_line(stored: &Stored, algorithm: Algorithm) -> Option<&crate::store::SigningKeyRow> {
    let pending = stored
        .rows
        .iter()
        .filter(|row| row.algorithm == algorithm && row.status == rotation::KeyStatus::Pending);
    pending.min_by_key(|row| (row.ready_at, row.created_at, row.kid.clone()))
}
