//! What one process among several knows about itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::MutexGuard;

/// A server at work on the database, perhaps one of several.
pub struct Replica {
    id: String,
    root_key_ids: ArcSwap<Vec<String>>,
    is_clock_right: AtomicBool,
    has_active_root_key: AtomicBool,
    complaint: Mutex<Option<String>>,
    report: tokio::sync::Mutex<()>,
}

impl Replica {
    /// This process, which holds nothing yet.
    pub fn new() -> Self {
        Self {
            id: format!("{:016x}", rand::random::<u64>()),
            root_key_ids: ArcSwap::default(),
            is_clock_right: AtomicBool::new(true),
            has_active_root_key: AtomicBool::new(true),
            complaint: Mutex::new(None),
            report: tokio::sync::Mutex::new(()),
        }
    }

    /// Its random name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The ids of the root keys in use here, the active one first.
    pub fn root_key_ids(&self) -> Arc<Vec<String>> {
        self.root_key_ids.load_full()
    }

    /// The root keys in use here are these now, the active one first.
    pub fn set_root_key_ids(&self, ids: Vec<String>) {
        self.root_key_ids.store(Arc::new(ids));
    }

    /// Held from the look at what is in use here until the database has been told: an older report must not be the last
    /// one, and whoever finds nothing to tell must find it told.
    pub async fn hold_report(&self) -> MutexGuard<'_, ()> {
        self.report.lock().await
    }

    /// Whether the clocks of this process and the database agree well enough to serve.
    pub fn is_clock_right(&self) -> bool {
        self.is_clock_right.load(Ordering::Relaxed)
    }

    /// Notes whether they do. Answers whether that is news.
    pub fn set_clock_right(&self, is_right: bool) -> bool {
        self.is_clock_right.swap(is_right, Ordering::Relaxed) != is_right
    }

    /// Whether the root key that all replicas make new secrets under is here.
    pub fn has_active_root_key(&self) -> bool {
        self.has_active_root_key.load(Ordering::Relaxed)
    }

    /// Notes whether it is.
    pub fn set_has_active_root_key(&self, has: bool) {
        self.has_active_root_key.store(has, Ordering::Relaxed);
    }

    /// Whether this complaint differs from the last one: what is wrong every second is said once. `None`: all is well.
    pub fn is_news(&self, complaint: Option<&str>) -> bool {
        let mut last = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = last.as_deref() != complaint;
        *last = complaint.map(str::to_owned);
        is_news && complaint.is_some()
    }
}

impl Default for Replica {
    fn default() -> Self {
        Self::new()
    }
}
