//! `[throttle]`: how often strangers may guess.

use std::time::Duration;

use super::parse::{duration, integer, quote, show_duration};
use super::reader::Reader;

/// `[throttle]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Throttle {
    /// Sign-ins in a row that may fail before the next must wait.
    pub free_tries: u32,
    /// The longest wait between two tries.
    pub longest_delay: Duration,
    /// Sign-ins in a row that may fail before only known devices get in. NIST SP 800-63B-4 §3.2.2 allows at most 100.
    pub account_limit: u32,
    /// Failed sign-ins at once from one address.
    pub address_sign_ins: u32,
    /// Registrations at once from one address.
    pub address_registrations: u32,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            free_tries: 5,
            longest_delay: Duration::from_secs(900),
            account_limit: 100,
            address_sign_ins: 30,
            address_registrations: 20,
        }
    }
}

impl Throttle {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let default = Self::default();
        let delay = Duration::from_secs(60)..=Duration::from_secs(86_400);
        Self {
            free_tries: reader.take("throttle.free_tries", integer(1..=10)).unwrap_or(default.free_tries),
            longest_delay: reader
                .take("throttle.longest_delay", duration(delay))
                .unwrap_or(default.longest_delay),
            account_limit: reader
                .take("throttle.account_limit", integer(10..=100))
                .unwrap_or(default.account_limit),
            address_sign_ins: reader
                .take("throttle.address_sign_ins", integer(1..=1_000_000))
                .unwrap_or(default.address_sign_ins),
            address_registrations: reader
                .take("throttle.address_registrations", integer(1..=1_000_000))
                .unwrap_or(default.address_registrations),
        }
    }

    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        vec![
            ("throttle.free_tries", self.free_tries.to_string()),
            ("throttle.longest_delay", quote(&show_duration(self.longest_delay))),
            ("throttle.account_limit", self.account_limit.to_string()),
            ("throttle.address_sign_ins", self.address_sign_ins.to_string()),
            ("throttle.address_registrations", self.address_registrations.to_string()),
        ]
    }
}
