//! The keys in use: one that signs, and the set that is published.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use signet_guard::{AccessTokenClaims, KeySet, SharedKeys};

use super::{
    AuditKeys, MacKeys, PublishError, PublishedKeys, RefreshKeys, SignError, SigningKey, StatusListToken,
};
use crate::cpu_pool::{CpuPool, Full, Lost, Place, PoolSettings};
use crate::rotation::{PUBLISHED_UNREAD, SIGNED_UNREAD};

/// How many signatures may wait for each thread: at most a second's worth.
const QUEUE_PER_THREAD: usize = 1024;

/// The keys of one process. Empty until keys are installed; until then nothing is signed and the published set has no
/// key.
pub struct Keyring {
    active: Arc<ArcSwapOption<SigningKey>>,
    published: ArcSwap<PublishedKeys>,
    shared: SharedKeys,
    device_keys: ArcSwapOption<MacKeys>,
    audit_keys: ArcSwapOption<AuditKeys>,
    refresh_keys: ArcSwapOption<RefreshKeys>,
    /// When it was last known that these are the keys of the database.
    read_at: ArcSwap<Instant>,
    /// Signs beside the request threads: a signature keeps a core busy for most of a millisecond.
    pool: CpuPool<()>,
}

impl Keyring {
    /// An empty keyring with one signing thread per core.
    ///
    /// # Errors
    /// When the operating system refuses a thread.
    pub fn start() -> std::io::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let settings = PoolSettings {
            name: "sign",
            threads,
            queue: threads * QUEUE_PER_THREAD,
            nice: 0,
            idle_after: None,
        };
        let empty = PublishedKeys::new(None, Vec::new()).map_err(std::io::Error::other)?;
        Ok(Self {
            active: Arc::default(),
            published: ArcSwap::from_pointee(empty),
            shared: SharedKeys::new(KeySet::default()),
            device_keys: ArcSwapOption::empty(),
            audit_keys: ArcSwapOption::empty(),
            refresh_keys: ArcSwapOption::empty(),
            read_at: ArcSwap::from_pointee(Instant::now()),
            pool: CpuPool::start(&settings, || ())?,
        })
    }

    /// Replaces the keys in use. Whatever signs from now on is already published.
    ///
    /// # Errors
    /// When the active key is not among the published ones; nothing is replaced then.
    pub fn install(&self, active: Option<SigningKey>, published: PublishedKeys) -> Result<(), PublishError> {
        let key_set = published.key_set()?;
        if active.as_ref().is_some_and(|key| !key_set.contains(key.kid())) {
            return Err(PublishError);
        }
        self.published.store(Arc::new(published));
        self.shared.replace(key_set);
        self.active.store(active.map(Arc::new));
        Ok(())
    }

    /// Notes that the keys in use here were those of the database at that moment. A key that was withdrawn since must not
    /// go on signing here for long.
    pub fn note_read(&self, at: Instant) {
        self.read_at.store(Arc::new(at));
    }

    /// Whether it is known well enough, at `now`, that these keys still sign.
    pub fn may_sign(&self, now: Instant) -> bool {
        is_within(**self.read_at.load(), now, SIGNED_UNREAD)
    }

    /// The key that signs, if there is one and it is known well enough that it still does.
    fn signer(&self) -> Result<Signer, SignError> {
        let signer = Signer(Arc::clone(&self.active));
        signer.key()?;
        if self.may_sign(Instant::now()) { Ok(signer) } else { Err(SignError::KeysUnread) }
    }

    /// Replaces the keys that prove which device has signed in before.
    pub fn install_device_keys(&self, keys: MacKeys) {
        self.device_keys.store(Some(Arc::new(keys)));
    }

    /// The keys that prove which device has signed in before; `None` until they are installed.
    pub fn device_keys(&self) -> Option<Arc<MacKeys>> {
        self.device_keys.load_full()
    }

    /// Replaces the keys of the audit log.
    pub fn install_audit_keys(&self, keys: AuditKeys) {
        self.audit_keys.store(Some(Arc::new(keys)));
    }

    /// The keys of the audit log; `None` until they are installed.
    pub fn audit_keys(&self) -> Option<Arc<AuditKeys>> {
        self.audit_keys.load_full()
    }

    /// Replaces the keys that refresh tokens are derived with.
    pub fn install_refresh_keys(&self, keys: RefreshKeys) {
        self.refresh_keys.store(Some(Arc::new(keys)));
    }

    /// The keys that refresh tokens are derived with; `None` until they are installed.
    pub fn refresh_keys(&self) -> Option<Arc<RefreshKeys>> {
        self.refresh_keys.load_full()
    }

    /// The published set for others. `None`: for so long could the keys not be read that it may be wrong.
    pub fn published_at(&self, now: Instant) -> Option<Arc<PublishedKeys>> {
        is_within(**self.read_at.load(), now, PUBLISHED_UNREAD).then(|| self.published())
    }

    /// The published set.
    pub fn published(&self) -> Arc<PublishedKeys> {
        self.published.load_full()
    }

    /// The published set for a guard in this process; it follows every [`Keyring::install`].
    pub fn shared_keys(&self) -> SharedKeys {
        self.shared.clone()
    }

    /// The name of the key that signs.
    pub fn active_kid(&self) -> Option<String> {
        self.active.load().as_ref().map(|key| key.kid().to_owned())
    }

    /// Takes a place in the queue for one access token that is not ready yet, if there is a key to sign it: to be taken
    /// before anything is written for which the caller must get that token.
    ///
    /// # Errors
    /// When there is no active key, the keys have not been read for long, or the queue is full.
    pub fn reserve_signature(&self) -> Result<Signature, SignError> {
        let signer = self.signer()?;
        Ok(Signature { signer, place: self.pool.reserve()? })
    }

    /// Compresses and signs a status list, on a thread of its own. Answers the name of the key that signed, too: it may
    /// have become another one a moment ago.
    ///
    /// # Errors
    /// [`SignError`].
    pub async fn sign_status_list(&self, list: StatusListToken) -> Result<(String, String), SignError> {
        let signer = self.signer()?;
        let job = move |(): &mut ()| {
            let key = signer.key()?;
            Ok((key.kid().to_owned(), key.sign_status_list(&list)?))
        };
        self.pool.submit(job)?.await?
    }
}

/// Whichever key signs when its turn has come: one that was withdrawn while others were served signs nothing more.
struct Signer(Arc<ArcSwapOption<SigningKey>>);

impl Signer {
    fn key(&self) -> Result<Arc<SigningKey>, SignError> {
        self.0.load_full().ok_or(SignError::NoActiveKey)
    }
}

fn is_within(since: Instant, now: Instant, span: Duration) -> bool {
    now.saturating_duration_since(since) < span
}

/// A signature that will be made when the claims are known. Dropping it gives its place back.
#[must_use = "a place that is dropped is given back"]
pub struct Signature {
    signer: Signer,
    place: Place<()>,
}

impl Signature {
    /// Signs an access token, on a thread of its own.
    ///
    /// # Errors
    /// [`SignError`].
    pub async fn sign(self, claims: AccessTokenClaims) -> Result<String, SignError> {
        let Self { signer, place } = self;
        place.submit(move |()| signer.key()?.sign(&claims)).await?
    }
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signature").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("active", &self.active_kid()).finish_non_exhaustive()
    }
}

impl From<Full> for SignError {
    fn from(full: Full) -> Self {
        Self::Busy { retry_after: full.retry_after }
    }
}

impl From<Lost> for SignError {
    fn from(_: Lost) -> Self {
        Self::Stopped
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use signet_guard::{Audience, Clock, KeySource, Scope, Timestamp, Verifier};

    use super::*;
    use crate::jose::test_keys;

    const NOW: i64 = 2_000_000_000;

    fn claims() -> AccessTokenClaims {
        AccessTokenClaims {
            iss: "http://127.0.0.1:8080".to_owned(),
            sub: "subject".to_owned(),
            aud: Audience::One("api".to_owned()),
            exp: Timestamp::from_seconds(NOW + 600),
            nbf: None,
            iat: Timestamp::from_seconds(NOW),
            jti: "jti".to_owned(),
            client_id: "signet".to_owned(),
            scope: Scope::default(),
            auth_time: None,
            roles: Vec::new(),
            sid: None,
            status: None,
            own: serde_json::Map::new(),
        }
    }

    fn install(keyring: &Keyring, number: usize) {
        let jwk = test_keys::key(number).public_jwk();
        let key = SigningKey::from_pkcs8_der(jwk.kid(), test_keys::pkcs8(number)).unwrap();
        let published = PublishedKeys::new(Some(jwk.kid()), vec![jwk.clone()]).unwrap();
        keyring.install(Some(key), published).unwrap();
    }

    fn verifier(keyring: &Keyring) -> Verifier {
        Verifier::builder("http://127.0.0.1:8080", "api", KeySource::shared(keyring.shared_keys()))
            .clock(Clock::fixed(Timestamp::from_seconds(NOW)))
            .build()
            .unwrap()
    }

    #[tokio::test]
    async fn a141_keys_that_were_not_read_for_long_stop_signing_and_later_leave_the_set() {
        let keyring = Keyring::start().unwrap();
        install(&keyring, 0);
        let read = Instant::now();
        keyring.note_read(read);
        let after = |span: Duration| read + span;
        let moment = Duration::from_millis(1);
        assert!(keyring.may_sign(after(SIGNED_UNREAD - moment)) && !keyring.may_sign(after(SIGNED_UNREAD)));
        assert!(keyring.published_at(after(PUBLISHED_UNREAD - moment)).is_some());
        assert!(keyring.published_at(after(PUBLISHED_UNREAD)).is_none());
        assert!(keyring.reserve_signature().is_ok());
        keyring.note_read(read.checked_sub(SIGNED_UNREAD).unwrap());
        assert_eq!(keyring.reserve_signature().err(), Some(SignError::KeysUnread));
    }

    #[tokio::test]
    async fn an_empty_keyring_signs_nothing_and_publishes_an_empty_set() {
        let keyring = Keyring::start().unwrap();
        assert_eq!(keyring.reserve_signature().err(), Some(SignError::NoActiveKey));
        assert_eq!(&*keyring.published().bytes, br#"{"keys":[]}"#);
        assert_eq!(keyring.active_kid(), None);
    }

    #[tokio::test]
    async fn what_it_signs_the_guard_accepts_with_the_shared_keys_until_the_key_is_gone() {
        let keyring = Keyring::start().unwrap();
        let verifier = verifier(&keyring);
        install(&keyring, 0);
        assert_eq!(keyring.active_kid().unwrap(), test_keys::key(0).public_jwk().kid());
        let token = keyring.reserve_signature().unwrap().sign(claims()).await.unwrap();
        assert_eq!(*verifier.verify(&token).await.unwrap(), claims());
        install(&keyring, 1);
        assert!(verifier.verify(&token).await.is_err());
        let token = keyring.reserve_signature().unwrap().sign(claims()).await.unwrap();
        assert!(verifier.verify(&token).await.is_ok());
    }

    #[tokio::test]
    async fn a078_what_was_asked_for_before_a_key_was_withdrawn_is_not_signed_with_it() {
        let keyring = Keyring::start().unwrap();
        let verifier = verifier(&keyring);
        install(&keyring, 0);
        let before = keyring.reserve_signature().unwrap();
        install(&keyring, 1);
        assert!(verifier.verify(&before.sign(claims()).await.unwrap()).await.is_ok());
        let before = keyring.reserve_signature().unwrap();
        keyring.install(None, PublishedKeys::new(None, Vec::new()).unwrap()).unwrap();
        assert_eq!(before.sign(claims()).await, Err(SignError::NoActiveKey));
    }

    #[tokio::test]
    async fn a_key_that_is_not_published_is_not_installed() {
        let keyring = Keyring::start().unwrap();
        install(&keyring, 0);
        let jwk = test_keys::key(1).public_jwk();
        let key = SigningKey::from_pkcs8_der(jwk.kid(), test_keys::pkcs8(1)).unwrap();
        let without = PublishedKeys::new(None, vec![test_keys::key(0).public_jwk()]).unwrap();
        assert_eq!(keyring.install(Some(key), without), Err(PublishError));
        assert_eq!(keyring.active_kid().unwrap(), test_keys::key(0).public_jwk().kid());
    }

    #[test]
    fn while_keys_change_every_token_verifies_with_what_was_published_when_it_was_signed() {
        let keyring = Arc::new(Keyring::start().unwrap());
        let both = || vec![test_keys::key(0).public_jwk(), test_keys::key(1).public_jwk()];
        let change = |number: usize| {
            let kid = test_keys::key(number).public_jwk().kid().to_owned();
            let key = SigningKey::from_pkcs8_der(&kid, test_keys::pkcs8(number)).unwrap();
            keyring.install(Some(key), PublishedKeys::new(Some(&kid), both()).unwrap()).unwrap();
        };
        change(0);
        let verifier = verifier(&keyring);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let signer = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(async {
                    let mut signed = 0;
                    while !done.load(Ordering::Relaxed) || signed == 0 {
                        let token = keyring.reserve_signature().unwrap().sign(claims()).await.unwrap();
                        verifier.verify(&token).await.unwrap();
                        signed += 1;
                    }
                });
            });
            for round in 0..20 {
                change(round % 2);
            }
            done.store(true, Ordering::Relaxed);
            signer.join().unwrap();
        });
    }
}
