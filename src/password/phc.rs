//! Stored hashes as PHC strings, and the limits within which one is ever computed.
//!
//! Argon2 obeys the parameters written in the stored string: a row with m = 16 GiB would abort the process, one with
//! m = 8 KiB would accept a hash of no worth. So a stored string is parsed here, against limits of our own, before
//! anything is computed.

use std::fmt;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Params, Version};

use crate::config::HashCost;

/// The longest PHC string looked at, in bytes; ours have about 97.
const MAX_PHC_BYTES: usize = 512;

/// Bytes of a new salt (RFC 9106 §3.1 recommends 16).
pub(super) const SALT_BYTES: usize = 16;

/// Bytes of a new output.
pub(super) const OUTPUT_BYTES: usize = 32;

/// The least memory of a hash that anything ever shipped as a default, in KiB. Less is a forgery, not an old hash,
/// unless the configuration itself is so cheap that this is more than a quarter of it.
const LEAST_MEMORY_KIB: u32 = 1024;

/// The most memory a stored hash may ask for unless the configuration itself asks for more, in KiB (256 MiB).
const MOST_MEMORY_KIB: u32 = 256 * 1024;

/// The most work a stored hash may ask for unless the configuration itself asks for more, in KiB filled: 1 GiB, about
/// 0.7 s on the machine this was measured on.
const MOST_WORK_KIB: u64 = 1024 * 1024;

/// The most lanes a stored hash may have; they are computed one after the other.
const MOST_LANES: u32 = 16;

/// A password hash as stored: `$argon2id$v=19$m=19456,t=2,p=1$SALT$OUTPUT`.
#[derive(Clone, PartialEq, Eq)]
pub struct PhcString(String);

impl PhcString {
    /// The text to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text to store, owned.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// A hash can be guessed at, so it must not reach a log.
impl fmt::Debug for PhcString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhcString(***)")
    }
}

/// A stored hash that is safe to compute.
pub(super) struct Stored {
    pub(super) params: Params,
    pub(super) salt: Salt,
    pub(super) output: Output,
}

/// The stored string is none of ours: unreadable, another algorithm, or a cost beyond the limits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

impl Stored {
    /// Parses a stored string within the limits that `cost`, the configured one, sets.
    pub(super) fn parse(text: &str, cost: &HashCost) -> Result<Self, Unreadable> {
        if text.len() > MAX_PHC_BYTES || !text.is_ascii() {
            return Err(Unreadable);
        }
        let parsed = PasswordHash::new(text).map_err(|_| Unreadable)?;
        let of_ours = parsed.algorithm.as_str() == Algorithm::Argon2id.as_str()
            && parsed.version == Some(Version::V0x13.into());
        if !of_ours {
            return Err(Unreadable);
        }
        let PasswordHash { params, salt: Some(salt), hash: Some(output), .. } = parsed else {
            return Err(Unreadable);
        };
        let params = parse_cost(&params, cost, output.len())?;
        let lengths_fit = (8..=48).contains(&salt.len()) && (16..=64).contains(&output.len());
        if lengths_fit { Ok(Self { params, salt, output }) } else { Err(Unreadable) }
    }

    /// Whether it differs from what would be stored today.
    pub(super) fn is_outdated(&self, cost: &HashCost) -> bool {
        let present = (cost.memory_kib, cost.iterations, cost.parallelism);
        (self.params.m_cost(), self.params.t_cost(), self.params.p_cost()) != present
            || self.salt.len() < SALT_BYTES
            || self.output.len() != OUTPUT_BYTES
    }

    /// The PHC string.
    pub(super) fn print(self) -> Result<PhcString, argon2::password_hash::Error> {
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&self.params)?,
            salt: Some(self.salt),
            hash: Some(self.output),
        };
        Ok(PhcString(hash.to_string()))
    }
}

/// Exactly `m`, `t` and `p`: a key id or associated data would ask for a secret we do not have.
fn parse_cost(params: &ParamsString, cost: &HashCost, output: usize) -> Result<Params, Unreadable> {
    if params.iter().count() != 3 {
        return Err(Unreadable);
    }
    let number = |name: &str| params.get_decimal(name).ok_or(Unreadable);
    let (memory, iterations, lanes) = (number("m")?, number("t")?, number("p")?);
    let least_memory = LEAST_MEMORY_KIB.min(cost.memory_kib / 4);
    let most_memory = MOST_MEMORY_KIB.max(cost.memory_kib);
    let most_work = MOST_WORK_KIB.max(work(cost.memory_kib, cost.iterations));
    let safe = (least_memory..=most_memory).contains(&memory)
        && work(memory, iterations) <= most_work
        && lanes <= MOST_LANES.max(cost.parallelism);
    if !safe {
        return Err(Unreadable);
    }
    Params::new(memory, iterations, lanes, Some(output)).map_err(|_| Unreadable)
}

/// What a hash costs in time, in KiB filled.
pub(super) fn work(memory_kib: u32, iterations: u32) -> u64 {
    u64::from(memory_kib) * u64::from(iterations)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COST: HashCost = HashCost { memory_kib: 19456, iterations: 2, parallelism: 1 };
    const TAIL: &str = "$c2FsdHNhbHRzYWx0c2FsdA$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

    fn stored(cost: &str) -> String {
        format!("$argon2id$v=19${cost}{TAIL}")
    }

    #[test]
    fn costs_within_the_limits_are_read() {
        for cost in
            ["m=19456,t=2,p=1", "m=1024,t=1,p=1", "m=65536,t=3,p=4", "m=262144,t=4,p=1", "m=131072,t=4,p=8"]
        {
            let text = stored(cost);
            let parsed = Stored::parse(&text, &COST).unwrap_or_else(|_| panic!("{text}"));
            assert_eq!(parsed.is_outdated(&COST), cost != "m=19456,t=2,p=1");
            assert_eq!(parsed.print().unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_costlier_configuration_widens_the_limits() {
        let text = stored("m=1048576,t=16,p=4");
        assert_eq!(Stored::parse(&text, &COST).err(), Some(Unreadable));
        let cost = HashCost { memory_kib: 1 << 20, iterations: 16, parallelism: 4 };
        assert!(Stored::parse(&text, &cost).is_ok());
        let cheap = HashCost { memory_kib: 64, iterations: 1, parallelism: 1 };
        assert!(Stored::parse(&stored("m=64,t=1,p=1"), &cheap).is_ok());
        assert_eq!(Stored::parse(&stored("m=15,t=1,p=1"), &cheap).err(), Some(Unreadable));
    }

    #[test]
    fn a_short_salt_or_another_output_length_is_outdated() {
        let cost = "$argon2id$v=19$m=19456,t=2,p=1";
        for tail in [
            "$c2FsdHNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$c2FsdHNhbHRzYWx0c2FsdA$CTFhFdXPJO1aFaMaO6Mm5Q",
        ] {
            assert!(Stored::parse(&format!("{cost}{tail}"), &COST).unwrap().is_outdated(&COST), "{tail}");
        }
    }

    proptest! {
        #[test]
        fn no_string_makes_the_parser_panic(text in "\\PC{0,600}") {
            let _ = Stored::parse(&text, &COST);
        }

        #[test]
        fn no_field_makes_the_parser_panic_or_pass_the_limits(
            name in "argon2(id|i|d)?", version in "(v=[0-9]{1,12}|[a-z=]{0,4})", cost in "[mtpk=,0-9]{0,40}",
            salt in "[A-Za-z0-9+/=$.-]{0,80}", output in "[A-Za-z0-9+/=$]{0,100}",
        ) {
            if let Ok(read) = Stored::parse(&format!("${name}${version}${cost}${salt}${output}"), &COST) {
                prop_assert!(read.params.m_cost() <= MOST_MEMORY_KIB);
                prop_assert!(work(read.params.m_cost(), read.params.t_cost()) <= MOST_WORK_KIB);
            }
        }

        #[test]
        fn what_is_within_the_limits_is_read_and_prints_as_it_was(
            memory in 1024_u32..=MOST_MEMORY_KIB, iterations in 1_u32..=4, lanes in 1_u32..=MOST_LANES,
            salt in prop::collection::vec(any::<u8>(), 8..=48), output in prop::collection::vec(any::<u8>(), 16..=64),
        ) {
            use base64::Engine as _;
            use base64::engine::general_purpose::STANDARD_NO_PAD as B64;
            let (salt_text, output_text) = (B64.encode(&salt), B64.encode(&output));
            let text = format!("$argon2id$v=19$m={memory},t={iterations},p={lanes}${salt_text}${output_text}");
            let read = Stored::parse(&text, &COST).unwrap();
            prop_assert_eq!((read.salt.as_ref(), read.output.as_bytes()), (&*salt, &*output));
            let cost = HashCost { memory_kib: memory, iterations, parallelism: lanes };
            prop_assert_eq!(read.is_outdated(&cost), salt.len() < SALT_BYTES || output.len() != OUTPUT_BYTES);
            prop_assert_eq!(read.print().unwrap().into_string(), text);
        }
    }
}
