//! What callers of the pool rely on.

use std::sync::mpsc;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

fn settings(threads: usize, queue: usize) -> PoolSettings {
    PoolSettings { name: "test", threads, queue, nice: 0, idle_after: None }
}

/// Occupies the only thread until the returned sender is used or dropped.
fn block(pool: &CpuPool<()>) -> (mpsc::Sender<()>, Pending<()>) {
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let pending = pool
        .submit(move |()| {
            started.send(()).unwrap();
            let _ = released.recv();
        })
        .unwrap();
    has_started.recv_timeout(PATIENCE).unwrap();
    (release, pending)
}

#[tokio::test]
async fn answers_come_back_to_their_callers() {
    let pool = CpuPool::<()>::start(&settings(2, 100), || ()).unwrap();
    let pending: Vec<_> = (0..50).map(|n| pool.submit(move |()| n * n).unwrap()).collect();
    for (n, answer) in pending.into_iter().enumerate() {
        assert_eq!(answer.await.unwrap(), n * n);
    }
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_when_to_come_back() {
    let pool = CpuPool::<()>::start(&settings(1, 2), || ()).unwrap();
    let (release, running) = block(&pool);
    let waiting = [pool.submit(|()| 1).unwrap(), pool.submit(|()| 2).unwrap()];
    let refused = pool.submit(|()| 3).unwrap_err();
    assert!(refused.retry_after >= Duration::from_secs(1));
    assert_eq!(refused.retry_after.subsec_nanos(), 0);
    release.send(()).unwrap();
    running.await.unwrap();
    for (answer, wanted) in waiting.into_iter().zip([1, 2]) {
        assert_eq!(answer.await.unwrap(), wanted);
    }
}

#[tokio::test]
async fn a_place_counts_as_waiting_until_it_is_used_or_given_back() {
    let pool = CpuPool::<()>::start(&settings(1, 2), || ()).unwrap();
    let (release, running) = block(&pool);
    let (kept, returned) = (pool.reserve().unwrap(), pool.reserve().unwrap());
    assert!(pool.reserve().is_err() && pool.submit(|()| ()).is_err());
    drop(returned);
    let waiting = pool.submit(|()| 1).unwrap();
    assert!(pool.reserve().is_err());
    let used = kept.submit(|()| 2);
    assert!(pool.reserve().is_err(), "a place that was used is a job that waits");
    release.send(()).unwrap();
    running.await.unwrap();
    assert_eq!((waiting.await.unwrap(), used.await.unwrap()), (1, 2));
    let place = pool.reserve().unwrap();
    drop(pool);
    assert_eq!(place.submit(|()| 3).await, Err(Lost), "the pool has gone");
}

#[tokio::test]
async fn a_caller_that_hangs_up_frees_its_place_and_is_never_served() {
    let pool = CpuPool::<()>::start(&settings(1, 2), || ()).unwrap();
    let (release, running) = block(&pool);
    let (ran, runs) = mpsc::channel();
    let kept = pool.submit(|()| ()).unwrap();
    drop(pool.submit(move |()| ran.send(()).unwrap()).unwrap());
    let last = pool.submit(|()| ()).unwrap();
    assert!(pool.submit(|()| ()).is_err());
    release.send(()).unwrap();
    for answer in [running, kept, last] {
        answer.await.unwrap();
    }
    assert!(runs.try_recv().is_err(), "the abandoned job ran");
}

#[tokio::test]
async fn a_panicking_job_is_lost_and_its_thread_lives_with_a_new_state() {
    struct Count(u32);
    impl ThreadState for Count {}
    let pool = CpuPool::start(&settings(1, 4), || Count(0)).unwrap();
    let lost = pool.submit(|count: &mut Count| {
        count.0 = 7;
        panic!("as the test wants it")
    });
    assert_eq!(lost.unwrap().await.map(|()| 0), Err(Lost));
    assert_eq!(pool.submit(|count: &mut Count| count.0).unwrap().await.unwrap(), 0);
}

#[test]
fn an_idle_thread_rests_once_and_works_again() {
    struct Rests(mpsc::Sender<()>);
    impl ThreadState for Rests {
        fn rest(&mut self) {
            self.0.send(()).unwrap();
        }
    }
    let (rest, rests) = mpsc::channel();
    let rest = Mutex::new(rest);
    let settings = PoolSettings { idle_after: Some(Duration::from_millis(5)), ..settings(1, 4) };
    let pool = CpuPool::start(&settings, move || Rests(rest.lock().unwrap().clone())).unwrap();
    for _ in 0..5 {
        assert!(rests.try_recv().is_err(), "rested without having worked");
        pool.submit(|_| ()).unwrap().answer.blocking_recv().unwrap();
        rests.recv_timeout(PATIENCE).unwrap();
    }
}

#[tokio::test]
async fn a_job_whose_turn_does_not_come_is_not_run_and_one_that_has_begun_is_waited_for() {
    let pool = CpuPool::<()>::start(&settings(1, 4), || ()).unwrap();
    let (begin, begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let running = pool
        .submit(move |()| {
            begin.send(()).unwrap();
            released.recv().is_ok()
        })
        .unwrap();
    begun.recv_timeout(PATIENCE).unwrap();
    let (run, runs) = mpsc::channel();
    let late = pool.submit(move |()| run.send(())).unwrap();
    assert_eq!(late.begun_within(Duration::from_millis(1)).await.unwrap_err(), Late);
    let waited_for = tokio::spawn(running.begun_within(Duration::ZERO));
    while !waited_for.is_finished() && release.send(()).is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(waited_for.await.unwrap(), Ok(Ok(true)));
    // The thread has passed the late job by now.
    pool.submit(|()| ()).unwrap().await.unwrap();
    assert!(runs.try_recv().is_err(), "it was run");
}

#[tokio::test]
async fn dropping_the_pool_loses_what_waits_and_ends_its_threads() {
    struct Farewell(mpsc::Sender<()>);
    impl ThreadState for Farewell {}
    impl Drop for Farewell {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (ended, ends) = mpsc::channel();
    let ended = Mutex::new(ended);
    let pool = CpuPool::start(&settings(1, 4), move || Farewell(ended.lock().unwrap().clone())).unwrap();
    let (release, released) = mpsc::channel::<()>();
    let running = pool.submit(move |_| released.recv().is_ok()).unwrap();
    let waiting = pool.submit(|_| ()).unwrap();
    drop(pool);
    // The job may or may not have begun before the drop; either way nobody hangs.
    let _ = release.send(());
    let _ = running.await;
    assert_eq!(waiting.await, Err(Lost));
    ends.recv_timeout(PATIENCE).unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn only_the_pool_s_threads_become_nice() {
    let own = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
    let before = own();
    let pool = CpuPool::<()>::start(&PoolSettings { nice: 10, ..settings(1, 4) }, || ()).unwrap();
    assert_eq!(pool.submit(move |()| own()).unwrap().await.unwrap(), (before + 10).min(19));
    assert_eq!(own(), before);
}
