//! Known devices: a proof that somebody signed in to this account from here before.
//!
//! It opens nothing. Whoever presents it still needs the password; but their tries are counted apart, so that strangers
//! who guess at an account cannot keep its owner out. Nothing is stored: the proof is a MAC under a key derived from the
//! root key, over the account, the device's id, the time, and the account's credential version, so that a new password
//! voids it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use signet_guard::Timestamp;

use crate::account::User;
use crate::jose::{Mac, MacKeys, TAG_BYTES};

/// How long a proof counts after the sign-in it was given at.
pub const PROOF_LIFE: Duration = Duration::from_secs(180 * 86_400);

/// Lets a secret scanner, and a person, see what it is.
const PREFIX: &str = "sgd_";

/// `1 | root key fingerprint (4) | device id (16) | issued at, seconds (8) | tag (32)`.
const VERSION: u8 = 1;
const ID_BYTES: usize = 16;
const BYTES: usize = 1 + 4 + ID_BYTES + 8 + TAG_BYTES;

/// Characters of [`BYTES`] in base64url.
const ENCODED: usize = (BYTES * 8).div_ceil(6);

/// A device, by a random number that it got at its first sign-in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DeviceId([u8; ID_BYTES]);

impl DeviceId {
    /// A new device.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A device proof as presented: well-formed, and not believed yet.
#[derive(Clone, Copy)]
pub struct PresentedDevice {
    id: DeviceId,
    issued_at: Timestamp,
    mac: Mac,
}

impl PresentedDevice {
    /// Reads a proof. Anything that is none is simply no proof: whoever sends it is a stranger, which is no fault.
    pub fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX).filter(|encoded| encoded.len() == ENCODED)?;
        let bytes: [u8; BYTES] = URL_SAFE_NO_PAD.decode(encoded).ok()?.try_into().ok()?;
        let (version, rest) = bytes.split_first()?;
        let (root, rest) = rest.split_first_chunk()?;
        let (id, rest) = rest.split_first_chunk()?;
        let (issued_at, tag) = rest.split_first_chunk()?;
        (*version == VERSION).then_some(Self {
            id: DeviceId(*id),
            issued_at: Timestamp::from_seconds(i64::from_be_bytes(*issued_at)),
            mac: Mac { root: *root, tag: tag.try_into().ok()? },
        })
    }

    /// Which device it says it is.
    pub fn claimed_id(&self) -> &DeviceId {
        &self.id
    }

    /// The device, if the proof is ours, for this account as it is now, and not too old. The tag is checked whether there
    /// is an account or not.
    pub fn verify(&self, keys: &MacKeys, user: Option<&User>, now: Timestamp) -> Option<DeviceId> {
        let (user, version) = user.map_or(("", 0), |user| (user.id.as_str(), user.credential_version));
        let is_ours =
            authenticated(user, &self.id, self.issued_at, version, |parts| keys.verify(parts, &self.mac));
        // Nobody is given a proof for no account.
        (is_ours && !user.is_empty() && now < self.issued_at.plus(PROOF_LIFE)).then_some(self.id)
    }
}

/// A proof for a device that has just signed in. It holds no secret of the account, but is its holder's alone: it is not
/// printed.
pub struct DeviceProof(String);

impl DeviceProof {
    /// A proof dated now. `None`: there is no key to make one with.
    pub fn issue(keys: &MacKeys, user: &User, id: &DeviceId, now: Timestamp) -> Option<Self> {
        let version = user.credential_version;
        let mac = authenticated(user.id.as_str(), id, now, version, |parts| keys.authenticate(parts))?;
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&mac.root);
        bytes.extend_from_slice(&id.0);
        bytes.extend_from_slice(&now.as_seconds().to_be_bytes());
        bytes.extend_from_slice(&mac.tag);
        Some(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// As it travels: 86 characters that need no escaping in JSON, in a cookie or in a URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for DeviceProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceProof(***)")
    }
}

/// What the tag covers.
fn authenticated<T>(
    user: &str,
    id: &DeviceId,
    issued_at: Timestamp,
    credential_version: i64,
    run: impl FnOnce(&[&[u8]]) -> T,
) -> T {
    run(&[
        &[VERSION],
        user.as_bytes(),
        &id.0,
        &issued_at.as_seconds().to_be_bytes(),
        &credential_version.to_be_bytes(),
    ])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::account::{Email, UserId};
    use crate::config::{RootKeySource, RootKeyValue};
    use crate::jose::RootKeys;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    fn keys() -> MacKeys {
        let line = RootKeyValue::new("1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".to_owned());
        MacKeys::derive(&RootKeys::load(&RootKeySource::Value(line)).unwrap().unwrap(), "test").unwrap()
    }

    fn user() -> User {
        User {
            id: UserId::random(),
            email: Email::parse("ann@example.com").unwrap(),
            name: None,
            roles: Vec::new(),
            credential_version: 3,
            created_at: NOW,
            last_sign_in: None,
            disabled_at: None,
        }
    }

    #[test]
    fn a_proof_holds_for_its_account_its_password_and_its_time() {
        let (keys, ann, id) = (keys(), user(), DeviceId::random());
        let proof = DeviceProof::issue(&keys, &ann, &id, NOW).unwrap();
        assert_eq!(proof.as_str().len(), 86);
        let presented = PresentedDevice::parse(proof.as_str()).unwrap();
        let holds = |user: Option<&User>, now| presented.verify(&keys, user, now) == Some(id);
        let last = Timestamp::from_seconds(NOW.as_seconds() + 180 * 86_400 - 1);
        assert!(holds(Some(&ann), NOW) && holds(Some(&ann), last));
        assert!(!holds(Some(&ann), Timestamp::from_seconds(last.as_seconds() + 1)));
        assert!(!holds(Some(&user()), NOW), "another account");
        assert!(!holds(Some(&User { credential_version: 4, ..ann }), NOW), "another password");
        assert!(!holds(None, NOW));
    }

    #[test]
    fn no_changed_character_and_no_other_length_is_overlooked() {
        let (keys, ann) = (keys(), user());
        let proof = DeviceProof::issue(&keys, &ann, &DeviceId::random(), NOW).unwrap();
        let is_known = |text: &str| {
            PresentedDevice::parse(text).and_then(|p| p.verify(&keys, Some(&ann), NOW)).is_some()
        };
        assert!(is_known(proof.as_str()));
        for at in 0..proof.as_str().len() {
            for other in ["A", "B", "_", "=", "é", "\0", ""] {
                let changed = format!("{}{other}{}", &proof.as_str()[..at], &proof.as_str()[at + 1..]);
                assert!(changed == proof.as_str() || !is_known(&changed), "{at} {other:?}");
            }
            assert!(!is_known(&proof.as_str()[..at]), "{at} characters");
        }
        for text in [format!("{}A", proof.as_str()), format!(" {}", proof.as_str()), String::new()] {
            assert!(!is_known(&text));
        }
        assert_eq!(format!("{proof:?}"), "DeviceProof(***)");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_is_no_proof(text: String) {
            let _ = PresentedDevice::parse(&text);
            let _ = PresentedDevice::parse(&format!("sgd_{text}"));
        }
    }
}
