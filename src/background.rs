//! Work that no request asks for: each task of the table, again and again, beside the requests.
//!
//! Nothing is right only because a task ran: whoever reads looks at the times in the row. A task that fails tries again
//! at its next turn.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::App;
use crate::flow::{audit_log, clock_check, key_rotation, restore, root_keys, status, sweep};

type Run = for<'a> fn(&'a App) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// One line of the table.
pub struct Task {
    /// What a log calls it.
    pub name: &'static str,
    /// The time between the end of one turn and the beginning of the next, by the machine's clock.
    pub every: Duration,
    /// One turn. It says by itself what went wrong.
    pub run: Run,
}

/// Every task there is. Each runs on every replica at once, and bears it.
pub const TASKS: &[Task] = &[
    Task { name: "root keys", every: Duration::from_secs(1), run: |app| Box::pin(root_keys::run_once(app)) },
    Task {
        name: "key rotation",
        every: Duration::from_secs(1),
        run: |app| Box::pin(key_rotation::run_once(app)),
    },
    Task { name: "epoch", every: restore::EPOCH, run: |app| Box::pin(restore::run_once(app)) },
    Task { name: "clock", every: clock_check::EVERY, run: |app| Box::pin(clock_check::compare(app)) },
    // One look at one row, so that a revocation on one replica is seen by all within a moment.
    Task { name: "status", every: Duration::from_millis(200), run: |app| Box::pin(status::run_once(app)) },
    Task { name: "sweep", every: Duration::from_secs(10), run: |app| Box::pin(sweep::run_once(app)) },
    Task {
        name: "audit.flush",
        every: Duration::from_secs(1),
        run: |app| Box::pin(audit_log::flush_in_turn(app)),
    },
    Task { name: "audit.seal", every: Duration::from_secs(10), run: |app| Box::pin(audit_log::seal(app)) },
    // As often as seals are made, and as many at once: what came quickly goes as quickly.
    Task { name: "audit.sweep", every: Duration::from_secs(10), run: |app| Box::pin(audit_log::sweep(app)) },
];

/// The tasks at work. Dropping it ends them at their next wait.
pub struct Background {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Background {
    /// Starts every task. Must be called on the main runtime.
    pub fn start(app: &Arc<App>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for task in TASKS {
            tasks.spawn(repeat(task, app.clone(), stopped.clone()));
        }
        Self { tasks, stop }
    }

    /// Lets each task finish its turn, and starts no other.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(error = %error, "a background task died");
            }
        }
    }
}

async fn repeat(task: &'static Task, app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    loop {
        (task.run)(&app).await;
        tokio::select! {
            () = tokio::time::sleep(task.every) => {}
            // The sender is gone when `Background` was dropped.
            _ = stopped.wait_for(|stop| *stop) => {
                tracing::debug!(task = task.name, "stopped");
                return;
            }
        }
    }
}
