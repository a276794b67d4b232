//! The certificate in use, and the watch over its files.

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use signet_guard::Clock;
use tokio::time::MissedTickBehavior;

use super::{Certificate, TlsError};
use crate::config::TlsFiles;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// The certificate in use. Whoever renews it replaces its files, and handshakes from then on have the new one;
/// connections that are open notice nothing.
#[derive(Debug)]
pub(in crate::server) struct Certificates(ArcSwap<Certificate>);

impl Certificates {
    /// Reads the files now and again when they change, for as long as somebody holds the answer. Must be called within
    /// a runtime.
    ///
    /// # Errors
    /// When the certificate or its key is not right now. Later on that is told in the log, and the old pair stays.
    pub(in crate::server) fn watch(files: TlsFiles, clock: Clock) -> Result<Arc<Self>, TlsError> {
        // Before they are read, so that a change meanwhile is seen as one.
        let loaded = State::of(&files);
        let certificates = Arc::new(Self(ArcSwap::from_pointee(Certificate::load(&files)?)));
        tokio::spawn(look_again(Arc::downgrade(&certificates), files, clock, loaded));
        Ok(certificates)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().key.clone())
    }
}

/// What tells one state of the two files from another without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State([Option<(SystemTime, u64, u64)>; 2]);

impl State {
    fn of(files: &TlsFiles) -> Self {
        Self([&files.certificate, &files.key].map(|path| {
            let found = std::fs::metadata(path).ok()?;
            #[cfg(unix)]
            let inode = std::os::unix::fs::MetadataExt::ino(&found);
            #[cfg(not(unix))]
            let inode = 0;
            Some((found.modified().ok()?, found.len(), inode))
        }))
    }
}

async fn look_again(held: Weak<Certificates>, files: TlsFiles, clock: Clock, loaded: State) {
    let (mut in_use, mut last_seen) = (loaded.clone(), loaded);
    let (mut complaint, mut warned_of_age) = (String::new(), false);
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if held.strong_count() == 0 {
            return;
        }
        let of = files.clone();
        let Ok(seen) = tokio::task::spawn_blocking(move || State::of(&of)).await else { return };
        // Two looks alike: whoever replaces two files, or writes one in pieces, is done. What fails is tried again
        // even if the files stay as they are, because a mode, an owner or a lack of open files may be to blame; it is
        // complained of once.
        if seen == last_seen && seen != in_use {
            let of = files.clone();
            let Ok(outcome) = tokio::task::spawn_blocking(move || Certificate::load(&of)).await else {
                return;
            };
            let Some(certificates) = held.upgrade() else { return };
            match outcome {
                Ok(certificate) => {
                    certificates.0.store(Arc::new(certificate));
                    in_use = seen.clone();
                    complaint.clear();
                    warned_of_age = false;
                    tracing::info!("the TLS certificate was replaced");
                }
                Err(error) => {
                    let told = error.to_string();
                    if told != complaint {
                        tracing::error!(%error, "the TLS certificate was not replaced, the old one stays");
                        complaint = told;
                    }
                }
            }
        }
        last_seen = seen;
        if !warned_of_age
            && let Some(warning) = held.upgrade().and_then(|held| held.0.load().warning(clock.now()))
        {
            tracing::warn!("{warning}");
            warned_of_age = true;
        }
    }
}
