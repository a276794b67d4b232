//! CPU time, which a busy neighbour moves less than wall time, and priorities.

use std::time::Duration;

use rustix::process::{getpriority_process, setpriority_process};
use rustix::thread::gettid;
use rustix::time::{ClockId, clock_gettime};

fn read(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// What this thread has used.
pub fn thread() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// What all threads of this process but the calling one have used.
pub fn others() -> Duration {
    read(ClockId::ProcessCPUTime).saturating_sub(thread())
}

/// Changes the nice level of this thread by so much. Up needs no right; down may be refused, and is then left.
pub fn nice(by: i32) -> bool {
    let thread = Some(gettid());
    let present = getpriority_process(thread).unwrap_or(0);
    setpriority_process(thread, (present + by).clamp(-20, 19)).is_ok()
}
