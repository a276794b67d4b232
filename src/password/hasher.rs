//! Hashing and comparing, in a bounded pool of niced threads that keep their memory while busy.

use std::sync::Arc;
use std::time::Duration;

use argon2::Params;
use argon2::password_hash::phc::{Output, Salt};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use signet_argon2id::{Argon2id, Inputs, Kernel, KernelUnavailable};
use zeroize::Zeroizing;

use super::memory::Blocks;
use super::phc::{OUTPUT_BYTES, SALT_BYTES, Stored, work};
use super::{Password, PhcString};
use crate::config::{HashCost, Passwords};
use crate::cpu_pool::{self, CpuPool, Full, Late, Lost, PoolSettings};

/// By how much hashing yields to the rest of the process: other routes keep their latency while sign-ins queue.
const NICE: i32 = 10;

/// The longest wait for a turn. The queue holds about a second's work of a machine that does nothing else; on one that
/// does, whoever has waited this long has mostly given up.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What comparing a password with a stored hash came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The password is the right one.
    Match {
        /// Whether the stored hash has other parameters than the configured ones: hash again and replace it.
        outdated: bool,
    },
    /// It is not, or there was no hash to compare with.
    Mismatch,
    /// What is stored is no Argon2id hash within our limits. It took as long as a mismatch; tell the caller nothing
    /// else, and the log that a credential is corrupt.
    Corrupt,
}

/// Why nothing was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// As many callers as allowed are waiting, or this one has waited too long.
    #[error("too many passwords are being hashed; try again in {} s", retry_after.as_secs())]
    Busy {
        /// When the present queue should be worked off: whole seconds, at least one.
        retry_after: Duration,
    },
    /// The hashing threads have stopped.
    #[error("the hashing threads have stopped")]
    Stopped,
    /// The memory for the hash could not be had.
    #[error("there is not enough memory to hash a password")]
    OutOfMemory,
    /// The crypto libraries refused to work: no random bytes, or parameters that were checked before.
    #[error("the crypto libraries refused to hash")]
    Engine,
}

impl From<Full> for HashError {
    fn from(full: Full) -> Self {
        Self::Busy { retry_after: full.retry_after }
    }
}

impl From<Late> for HashError {
    fn from(_: Late) -> Self {
        Self::Busy { retry_after: LONGEST_WAIT }
    }
}

impl From<Lost> for HashError {
    fn from(_: Lost) -> Self {
        Self::Stopped
    }
}

/// Why hashing cannot start.
#[derive(Debug, thiserror::Error)]
pub enum HasherError {
    /// The configured cost is none Argon2 knows.
    #[error("passwords.cost: {0}")]
    Cost(argon2::Error),
    /// The configured kernel needs another machine.
    #[error("passwords.kernel: {0}")]
    Kernel(#[from] KernelUnavailable),
    /// The hash that stands in for unknown users could not be made or does not parse: they would be told apart.
    #[error("the hash that stands in for unknown users could not be made from passwords.cost")]
    Dummy,
    /// The operating system refused a thread.
    #[error("the hashing threads could not be started: {0}")]
    Threads(#[source] std::io::Error),
}

/// Hashes passwords and compares them with stored hashes. Cloning shares the threads.
#[derive(Clone)]
pub struct Hasher {
    pool: Arc<CpuPool<Blocks>>,
    /// Places of the queue that strangers leave.
    kept: usize,
    method: Method,
    dummy: Arc<str>,
}

/// How a password is hashed.
#[derive(Debug, Clone, Copy)]
struct Method {
    cost: HashCost,
    kernel: Kernel,
}

impl Hasher {
    /// Starts the threads and makes the dummy hash, which takes as long as one sign-in.
    ///
    /// # Errors
    /// When the configured cost is impossible, or the operating system refuses memory or a thread.
    pub fn start(settings: &Passwords) -> Result<Self, HasherError> {
        let cost = settings.cost;
        Params::new(cost.memory_kib, cost.iterations, cost.parallelism, Some(OUTPUT_BYTES))
            .map_err(HasherError::Cost)?;
        let method = Method { cost, kernel: settings.kernel };
        method.check()?;
        let dummy = make_dummy(&method)?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = if settings.threads == 0 { cores } else { settings.threads };
        let queue = threads.saturating_mul(settings.queue_per_thread);
        let pool = CpuPool::start(
            &PoolSettings {
                name: "hash",
                threads,
                queue,
                nice: NICE,
                idle_after: Some(settings.idle_memory_after),
            },
            Blocks::default,
        )
        .map_err(HasherError::Threads)?;
        Ok(Self { pool: Arc::new(pool), kept: queue / 4, method, dummy: dummy.into_string().into() })
    }

    /// Takes a place in the queue, for whoever has something to do before the password may be looked at: when there is
    /// none, nothing needs to be undone. A quarter of the queue is left to [`Hasher::reserve_kept`].
    ///
    /// # Errors
    /// [`HashError::Busy`].
    pub fn reserve(&self) -> Result<Place, HashError> {
        Ok(self.place(self.pool.reserve_leaving(self.kept)?))
    }

    /// The same for a caller whom a flood of others must not keep out.
    ///
    /// # Errors
    /// [`HashError::Busy`].
    pub fn reserve_kept(&self) -> Result<Place, HashError> {
        Ok(self.place(self.pool.reserve()?))
    }

    fn place(&self, place: cpu_pool::Place<Blocks>) -> Place {
        Place { place, method: self.method, dummy: Arc::clone(&self.dummy) }
    }

    /// As [`Place::hash`], with the place taken now.
    ///
    /// # Errors
    /// [`HashError`]: the queue is full, or the machine gave no memory.
    pub async fn hash(&self, password: Password) -> Result<PhcString, HashError> {
        self.reserve()?.hash(password).await
    }

    /// As [`Place::verify`], with the place taken now.
    ///
    /// # Errors
    /// [`HashError`]: the queue is full, or the machine gave no memory.
    pub async fn verify(&self, password: Password, stored: Option<&str>) -> Result<Verdict, HashError> {
        self.reserve()?.verify(password, stored).await
    }
}

/// A place in the queue of the hashing threads. Dropping it gives it back.
#[derive(Debug)]
#[must_use = "a place that is dropped is given back"]
pub struct Place {
    place: cpu_pool::Place<Blocks>,
    method: Method,
    dummy: Arc<str>,
}

impl Place {
    /// Hashes a password with the configured cost and a new random salt.
    ///
    /// # Errors
    /// [`HashError`]: the turn did not come in time, the machine gave no memory, or the service stops.
    pub async fn hash(self, password: Password) -> Result<PhcString, HashError> {
        let method = self.method;
        let hashed = self.place.submit(move |blocks| hash(&password, &method, blocks));
        hashed.begun_within(LONGEST_WAIT).await??
    }

    /// Compares a password with a stored hash. Without one (no such user, no password set) the dummy hash is compared
    /// and the answer is [`Verdict::Mismatch`].
    ///
    /// The time does not tell which it was: a missing or corrupt hash takes as long as one of the configured cost. One
    /// of an older, cheaper cost is made up to the same amount of memory filled. Two gaps remain until the owner's next
    /// sign-in replaces the hash: less memory filled more often is a little faster (the portable kernel: 0.91 of the time for
    /// m=12288 t=3 and 0.84 for m=4096 t=3, against m=19456 t=2), and a *costlier* stored hash takes longer by the
    /// difference.
    ///
    /// # Errors
    /// [`HashError`]: the turn did not come in time, the machine gave no memory, or the service stops.
    pub async fn verify(self, password: Password, stored: Option<&str>) -> Result<Verdict, HashError> {
        let method = self.method;
        let cost = method.cost;
        // Parsed by the caller's thread: it is bounded and takes a microsecond.
        let candidate = match stored {
            Some(text) => Stored::parse(text, &cost).map_err(|_| Verdict::Corrupt),
            None => Err(Verdict::Mismatch),
        };
        match candidate {
            Ok(stored) => {
                let verdict = self.place.submit(move |blocks| verify(&password, &stored, &method, blocks));
                verdict.begun_within(LONGEST_WAIT).await??
            }
            Err(verdict) => {
                // It parsed when it was made; the error is only for the type's sake.
                let dummy = Stored::parse(&self.dummy, &cost).map_err(|_| HashError::Engine)?;
                let verified = self
                    .place
                    .submit(move |blocks| verify(&password, &dummy, &method, blocks).map(|_| verdict));
                verified.begun_within(LONGEST_WAIT).await??
            }
        }
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher")
            .field("pool", &self.pool)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

fn make_dummy(method: &Method) -> Result<PhcString, HasherError> {
    let mut random = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut *random).map_err(|_| HasherError::Dummy)?;
    let password = Password::new(random.iter().map(|&byte| char::from(byte)).collect::<String>());
    let dummy = hash(&password, method, &mut Blocks::default()).map_err(|_| HasherError::Dummy)?;
    match Stored::parse(dummy.as_str(), &method.cost) {
        Ok(stored) if !stored.is_outdated(&method.cost) => Ok(dummy),
        _ => Err(HasherError::Dummy),
    }
}

fn hash(password: &Password, method: &Method, blocks: &mut Blocks) -> Result<PhcString, HashError> {
    let cost = &method.cost;
    let mut salt = [0; SALT_BYTES];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| HashError::Engine)?;
    let params = Params::new(cost.memory_kib, cost.iterations, cost.parallelism, Some(OUTPUT_BYTES))
        .map_err(|_| HashError::Engine)?;
    let mut output = [0; OUTPUT_BYTES];
    method.compute(&params, password, &salt, &mut output, blocks)?;
    blocks.clear(method.kept());
    let stored = Stored {
        params,
        salt: Salt::new(&salt).map_err(|_| HashError::Engine)?,
        output: Output::new(&output).map_err(|_| HashError::Engine)?,
    };
    stored.print().map_err(|_| HashError::Engine)
}

fn verify(
    password: &Password,
    stored: &Stored,
    method: &Method,
    blocks: &mut Blocks,
) -> Result<Verdict, HashError> {
    let mut output = Zeroizing::new([0; Output::MAX_LENGTH]);
    let output = output.get_mut(..stored.output.len()).ok_or(HashError::Engine)?;
    method.compute(&stored.params, password, stored.salt.as_ref(), output, blocks)?;
    make_up(password, stored, method, blocks)?;
    blocks.clear(method.kept());
    Ok(match verify_slices_are_equal(output, stored.output.as_bytes()) {
        Ok(()) => Verdict::Match { outdated: stored.is_outdated(&method.cost) },
        Err(_) => Verdict::Mismatch,
    })
}

/// Does the work by which a stored hash is cheaper than the configured cost, so that its owner cannot be told from an
/// unknown user by the time. Done on a match too: a disabled account is refused only after it.
fn make_up(
    password: &Password,
    stored: &Stored,
    method: &Method,
    blocks: &mut Blocks,
) -> Result<(), HashError> {
    for params in missing_rounds(&stored.params, &method.cost).into_iter().flatten() {
        method.compute(
            &params,
            password,
            &[0; SALT_BYTES],
            &mut *Zeroizing::new([0; OUTPUT_BYTES]),
            blocks,
        )?;
    }
    Ok(())
}

/// The configured cost less the stored one: whole passes over the configured memory, then one over what is left. Less
/// than Argon2's minimum is left undone: no clock sees a thousandth of a hash.
fn missing_rounds(stored: &Params, cost: &HashCost) -> [Option<Params>; 2] {
    let missing =
        work(cost.memory_kib, cost.iterations).saturating_sub(work(stored.m_cost(), stored.t_cost()));
    let memory = u64::from(cost.memory_kib);
    [(memory, missing / memory), (missing % memory, 1)].map(|(memory, iterations)| {
        let (memory, iterations) = (u32::try_from(memory).ok()?, u32::try_from(iterations).ok()?);
        Params::new(memory, iterations, 1, Some(OUTPUT_BYTES)).ok()
    })
}

impl Method {
    fn check(&self) -> Result<(), HasherError> {
        let HashCost { memory_kib, iterations, parallelism } = self.cost;
        let params = signet_argon2id::Params::new(memory_kib, iterations, parallelism);
        Argon2id::with_kernel(params.map_err(|_| HasherError::Dummy)?, self.kernel)?;
        Ok(())
    }

    /// The blocks that a thread keeps.
    fn kept(&self) -> usize {
        usize::try_from(self.cost.memory_kib).unwrap_or(usize::MAX)
    }

    fn compute(
        &self,
        params: &Params,
        password: &Password,
        salt: &[u8],
        output: &mut [u8],
        blocks: &mut Blocks,
    ) -> Result<(), HashError> {
        let params = signet_argon2id::Params::new(params.m_cost(), params.t_cost(), params.p_cost());
        let params = params.map_err(|_| HashError::Engine)?;
        let argon2id = Argon2id::with_kernel(params, self.kernel).map_err(|_| HashError::Engine)?;
        let memory = blocks.at_least(params.block_count()).map_err(|_| HashError::OutOfMemory)?;
        let inputs = Inputs::new(password.as_str().as_bytes(), salt);
        argon2id.hash_into(&inputs, memory, output).map_err(|_| HashError::Engine)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
