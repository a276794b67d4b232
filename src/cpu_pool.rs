//! A bounded pool of named operating-system threads for work that keeps a core busy: hashing and signing.
//!
//! An async worker that computes cannot answer anybody else, and the runtime's own blocking pool has no bound: sixty
//! sign-ins at once would take gigabytes and stall every other route for seconds. Here the number of threads, the
//! number of waiting jobs and the priority are fixed, each thread keeps a state of its own from job to job, and a job
//! whose caller has gone is never run.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// How a pool is built.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// What its threads are called in `top` and in a debugger; at most 15 bytes show.
    pub name: &'static str,
    /// How many threads; at least one is started.
    pub threads: usize,
    /// How many jobs may wait, beyond those being run; at least one.
    pub queue: usize,
    /// By how much the threads yield to the rest of the process (0 to 19). Linux only; elsewhere nothing happens.
    pub nice: i32,
    /// After how long without a job a thread is told to give up what it holds. `None`: never.
    pub idle_after: Option<Duration>,
}

/// What a thread of the pool keeps from job to job.
pub trait ThreadState: 'static {
    /// Called once after the idle time without a job: give back what is costly to hold.
    fn rest(&mut self) {}
}

/// A thread that keeps nothing.
impl ThreadState for () {}

/// The queue is full of callers who are still waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full; try again in {} s", retry_after.as_secs())]
pub struct Full {
    /// When the present queue should be worked off: whole seconds, at least one.
    pub retry_after: Duration,
}

/// A place in the queue that is kept for a job to come. Dropping it gives it back.
#[must_use = "a place that is dropped is given back"]
pub struct Place<S: ThreadState> {
    shared: Arc<Shared<S>>,
    is_used: bool,
}

impl<S: ThreadState> Place<S> {
    /// Puts the job into the queue.
    pub fn submit<T, J>(mut self, job: J) -> Pending<T>
    where
        T: Send + 'static,
        J: FnOnce(&mut S) -> T + Send + 'static,
    {
        let (answer, pending) = oneshot::channel();
        let has_begun = Arc::new(AtomicBool::new(false));
        let task = Box::new(Submitted { job, answer, has_begun: Arc::clone(&has_begun) });
        self.is_used = true;
        let mut queue = self.shared.lock();
        queue.reserved -= 1;
        // Nobody would ever run it; dropped, it tells its caller so.
        if !queue.stopped {
            queue.jobs.push_back(task);
        }
        drop(queue);
        self.shared.wake.notify_one();
        Pending { answer: pending, has_begun }
    }
}

impl<S: ThreadState> Drop for Place<S> {
    fn drop(&mut self) {
        if !self.is_used {
            self.shared.lock().reserved -= 1;
        }
    }
}

impl<S: ThreadState> fmt::Debug for Place<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

/// The job never answered: it panicked, or the pool was dropped before its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the job was lost")]
pub struct Lost;

/// The job's turn did not come in time, and it will not be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the job waited too long for its turn")]
pub struct Late;

/// The answer of a submitted job. Dropping it before the job starts takes the job out of the queue.
#[derive(Debug)]
#[must_use = "a job whose answer is dropped is never run"]
pub struct Pending<T> {
    answer: oneshot::Receiver<T>,
    has_begun: Arc<AtomicBool>,
}

impl<T> Pending<T> {
    /// The answer, if the job's turn comes within so much time. The queue bounds how many wait, not how long: on a
    /// machine that is busy with other things, threads that yield may hardly run. A job that has begun is waited for.
    ///
    /// # Errors
    /// [`Late`].
    pub async fn begun_within(mut self, longest: Duration) -> Result<Result<T, Lost>, Late> {
        match tokio::time::timeout(longest, &mut self).await {
            Ok(answer) => Ok(answer),
            Err(_elapsed) if self.has_begun.load(Ordering::Relaxed) => Ok(self.await),
            Err(_elapsed) => Err(Late),
        }
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, Lost>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(context).map(|answer| answer.map_err(|_| Lost))
    }
}

/// The pool. Dropping it drops the waiting jobs and ends each thread after the job it is running; it does not wait
/// for them.
pub struct CpuPool<S: ThreadState> {
    shared: Arc<Shared<S>>,
}

impl<S: ThreadState> CpuPool<S> {
    /// Starts the threads. `make` builds the state of each, on that thread, and builds it anew after a panic.
    ///
    /// # Errors
    /// When the operating system refuses a thread.
    pub fn start(
        settings: &PoolSettings,
        make: impl Fn() -> S + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let threads = settings.threads.max(1);
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue { jobs: VecDeque::new(), reserved: 0, stopped: false }),
            wake: Condvar::new(),
            bound: settings.queue.max(1),
            threads,
            job_micros: AtomicU64::new(0),
        });
        // Built first: if a thread cannot be started, dropping it ends those that were.
        let pool = Self { shared: Arc::clone(&shared) };
        let make = Arc::new(make);
        for number in 0..threads {
            let (shared, make) = (Arc::clone(&shared), Arc::clone(&make));
            let (nice, idle_after) = (settings.nice, settings.idle_after);
            std::thread::Builder::new().name(format!("{}-{number}", settings.name)).spawn(move || {
                yield_to_others(nice);
                shared.run(&*make, idle_after);
            })?;
        }
        Ok(pool)
    }

    /// Puts a job into the queue.
    ///
    /// # Errors
    /// [`Full`] when as many callers as allowed are waiting; those that hung up do not count.
    pub fn submit<T, J>(&self, job: J) -> Result<Pending<T>, Full>
    where
        T: Send + 'static,
        J: FnOnce(&mut S) -> T + Send + 'static,
    {
        Ok(self.reserve()?.submit(job))
    }

    /// Takes a place in the queue for a job that is not ready yet. It counts as waiting from now on.
    ///
    /// # Errors
    /// As [`CpuPool::submit`].
    pub fn reserve(&self) -> Result<Place<S>, Full> {
        self.reserve_leaving(0)
    }

    /// The same, if so many places are left after it.
    ///
    /// # Errors
    /// As [`CpuPool::submit`].
    pub fn reserve_leaving(&self, left: usize) -> Result<Place<S>, Full> {
        let bound = self.shared.bound.saturating_sub(left);
        let mut abandoned = VecDeque::new();
        let mut queue = self.shared.lock();
        if queue.waiting() >= bound {
            let waiting;
            (abandoned, waiting) =
                std::mem::take(&mut queue.jobs).into_iter().partition(|task: &Task<S>| task.is_abandoned());
            queue.jobs = waiting;
        }
        let waiting = queue.waiting();
        let has_room = waiting < bound;
        if has_room {
            queue.reserved += 1;
        }
        drop(queue);
        // What the abandoned jobs held is wiped and freed outside the lock.
        drop(abandoned);
        if has_room {
            Ok(Place { shared: Arc::clone(&self.shared), is_used: false })
        } else {
            Err(Full { retry_after: self.shared.wait_for(waiting) })
        }
    }
}

impl<S: ThreadState> fmt::Debug for CpuPool<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CpuPool").field("threads", &self.shared.threads).finish_non_exhaustive()
    }
}

impl<S: ThreadState> Drop for CpuPool<S> {
    fn drop(&mut self) {
        let dropped = {
            let mut queue = self.shared.lock();
            queue.stopped = true;
            std::mem::take(&mut queue.jobs)
        };
        drop(dropped);
        self.shared.wake.notify_all();
    }
}

type Task<S> = Box<dyn Run<S> + Send>;

/// A job with its types erased, so that one queue holds jobs of every answer.
trait Run<S> {
    fn is_abandoned(&self) -> bool;
    fn run(self: Box<Self>, state: &mut S);
}

struct Submitted<J, T> {
    job: J,
    answer: oneshot::Sender<T>,
    has_begun: Arc<AtomicBool>,
}

impl<S, T, J: FnOnce(&mut S) -> T> Run<S> for Submitted<J, T> {
    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn run(self: Box<Self>, state: &mut S) {
        let Self { job, answer, has_begun } = *self;
        has_begun.store(true, Ordering::Relaxed);
        // The caller may have gone meanwhile; then nobody wants the answer.
        let _ = answer.send(job(state));
    }
}

struct Queue<S> {
    jobs: VecDeque<Task<S>>,
    /// Places kept for jobs to come.
    reserved: usize,
    stopped: bool,
}

impl<S> Queue<S> {
    fn waiting(&self) -> usize {
        self.jobs.len() + self.reserved
    }
}

struct Shared<S> {
    queue: Mutex<Queue<S>>,
    wake: Condvar,
    bound: usize,
    threads: usize,
    /// A moving average of what a job takes.
    job_micros: AtomicU64,
}

enum Turn<S> {
    Work(Task<S>),
    Rest,
    Stop,
}

impl<S: ThreadState> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, Queue<S>> {
        // No job runs under the lock, so a poisoned queue is still whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, make: &dyn Fn() -> S, idle_after: Option<Duration>) {
        let mut state = make();
        let mut rested = true;
        loop {
            match self.next(idle_after.filter(|_| !rested)) {
                Turn::Stop => return,
                Turn::Rest => {
                    state.rest();
                    rested = true;
                }
                Turn::Work(task) if task.is_abandoned() => {}
                Turn::Work(task) => {
                    rested = false;
                    let started = Instant::now();
                    // After a panic the state is thrown away, so nothing half-changed is seen again.
                    if catch_unwind(AssertUnwindSafe(|| task.run(&mut state))).is_err() {
                        tracing::error!("a job of the pool panicked");
                        state = make();
                    }
                    self.note(started.elapsed());
                }
            }
        }
    }

    fn next(&self, idle_after: Option<Duration>) -> Turn<S> {
        let idle_at = idle_after.map(|span| Instant::now() + span);
        let mut queue = self.lock();
        loop {
            if queue.stopped {
                return Turn::Stop;
            }
            if let Some(task) = queue.jobs.pop_front() {
                return Turn::Work(task);
            }
            queue = match idle_at {
                None => self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let Some(left) = at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
                    else {
                        return Turn::Rest;
                    };
                    self.wake.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn note(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let before = self.job_micros.load(Ordering::Relaxed);
        // Two threads may overwrite each other: it is an estimate.
        let mean = if before == 0 { took } else { (before.saturating_mul(7).saturating_add(took)) / 8 };
        self.job_micros.store(mean, Ordering::Relaxed);
    }

    fn wait_for(&self, waiting: usize) -> Duration {
        let rounds = u64::try_from(waiting.div_ceil(self.threads)).unwrap_or(u64::MAX);
        let micros = rounds.saturating_mul(self.job_micros.load(Ordering::Relaxed));
        Duration::from_secs(micros.div_ceil(1_000_000).clamp(1, 60))
    }
}

/// Linux schedules threads, so the nice level of one thread can be raised alone; POSIX knows only the process's.
#[cfg(target_os = "linux")]
fn yield_to_others(nice: i32) {
    if nice == 0 {
        return;
    }
    let thread = Some(rustix::thread::gettid());
    let raised = rustix::process::getpriority_process(thread)
        .and_then(|present| rustix::process::setpriority_process(thread, (present + nice).min(19)));
    if let Err(error) = raised {
        tracing::warn!(%error, "the priority of a pool thread could not be lowered");
    }
}

#[cfg(not(target_os = "linux"))]
fn yield_to_others(_nice: i32) {}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
