//! What one process among several knows about itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use signet_guard::Timestamp;
use tokio::sync::MutexGuard;

/// A server at work on the database, perhaps one of several.
pub struct Replica {
    id: String,
    root_key_ids: ArcSwap<Vec<String>>,
    is_clock_right: AtomicBool,
    has_active_root_key: AtomicBool,
    complaints: Mutex<BTreeMap<&'static str, (String, Option<Timestamp>)>>,
    weighed_root_keys: Mutex<Vec<String>>,
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
            complaints: Mutex::default(),
            weighed_root_keys: Mutex::default(),
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

    /// How a task went, if that is news: what is wrong every second is said once. `None`: all is well.
    pub fn news(&self, task: &'static str, complaint: Option<&str>) -> Option<News> {
        self.news_at(task, complaint, None)
    }

    /// The same for what an operator has to mend: it is news again when it was told an hour ago.
    pub fn news_every_hour(
        &self,
        task: &'static str,
        complaint: Option<&str>,
        now: Timestamp,
    ) -> Option<News> {
        self.news_at(task, complaint, Some(now))
    }

    fn news_at(&self, task: &'static str, complaint: Option<&str>, now: Option<Timestamp>) -> Option<News> {
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        match complaint {
            Some(text)
                if complaints
                    .get(task)
                    .is_some_and(|(before, told)| before == text && is_fresh(*told, now)) =>
            {
                None
            }
            Some(text) => {
                complaints.insert(task, (text.to_owned(), now));
                Some(News::Wrong)
            }
            None => complaints.remove(task).map(|_| News::RightAgain),
        }
    }

    /// What is wrong with a task, as it was told last.
    pub fn complaint(&self, task: &'static str) -> Option<String> {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).get(task).map(|(text, _)| text.clone())
    }

    /// Whether it was not asked yet what needs other root keys than these.
    pub fn must_weigh_root_keys(&self, ids: &[String]) -> bool {
        *self.weighed_root_keys.lock().unwrap_or_else(PoisonError::into_inner) != ids
    }

    /// It was asked.
    pub fn weighed_root_keys(&self, ids: Vec<String>) {
        *self.weighed_root_keys.lock().unwrap_or_else(PoisonError::into_inner) = ids;
    }
}

/// Whether what was told then need not be told again now. A clock may have been set back meanwhile.
fn is_fresh(told: Option<Timestamp>, now: Option<Timestamp>) -> bool {
    const HOUR: u64 = 3_600;
    told.zip(now).is_none_or(|(told, now)| told.as_seconds().abs_diff(now.as_seconds()) < HOUR)
}

/// What is to be said of a task that works again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It fails, or fails for another reason.
    Wrong,
    /// It works, and did not before.
    RightAgain,
}

impl Default for Replica {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_again_and_again_is_said_once() {
        let replica = Replica::new();
        assert_eq!(replica.news("one", None), None);
        assert_eq!(replica.news("one", Some("no")), Some(News::Wrong));
        assert_eq!(replica.news("one", Some("no")), None);
        assert_eq!(replica.news("another", Some("no")), Some(News::Wrong));
        assert_eq!(replica.news("one", Some("never")), Some(News::Wrong));
        assert_eq!(replica.complaint("one").as_deref(), Some("never"));
        assert_eq!(replica.news("one", None), Some(News::RightAgain));
        assert_eq!(replica.complaint("one"), None);
        assert_eq!(replica.news("one", None), None);
    }

    #[test]
    fn what_an_operator_has_to_mend_is_said_every_hour() {
        let replica = Replica::new();
        let news = |second: i64, complaint: Option<&str>| {
            replica.news_every_hour("one", complaint, Timestamp::from_seconds(second))
        };
        assert_eq!(news(0, Some("no")), Some(News::Wrong));
        assert_eq!(news(3_599, Some("no")), None);
        assert_eq!(news(3_600, Some("no")), Some(News::Wrong));
        assert_eq!(news(3_610, Some("never")), Some(News::Wrong), "another kind");
        assert_eq!(news(7_209, Some("never")), None);
        assert_eq!(news(3_610 - 3_600, Some("never")), Some(News::Wrong), "the clock was set back");
        assert_eq!(news(20, None), Some(News::RightAgain));
        assert_eq!(news(30, None), None);
        assert_eq!(news(40, Some("never")), Some(News::Wrong));
    }
}
