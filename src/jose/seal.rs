//! Secrets at rest: AES-256-GCM under a key derived from a root key, bound to the place they are kept in.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

use super::RootKey;

/// The envelope's version: `1 | root key fingerprint (4) | nonce (12) | ciphertext | tag (16)`.
const VERSION: u8 = 1;

/// Bytes before the ciphertext.
const HEAD: usize = 1 + 4 + NONCE_LEN;

/// The place a sealed secret is kept in. A secret does not open in any other, so rows cannot be swapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealContext<'a> {
    /// The table.
    pub table: &'a str,
    /// The row's primary key.
    pub row: &'a str,
    /// The column.
    pub column: &'a str,
}

impl SealContext<'_> {
    /// The associated data: every part behind its length, so that no two places read alike, after the head of the
    /// envelope.
    fn bind(&self, head: &[u8]) -> Vec<u8> {
        let mut bound = head.to_vec();
        for part in [self.table, self.row, self.column] {
            bound.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bound.extend_from_slice(part.as_bytes());
        }
        bound
    }
}

/// Why a secret was not sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Too short, or of a version this program does not know.
    #[error("the sealed value is no envelope that this version of Signet knows")]
    Envelope,
    /// Sealed under another root key.
    #[error("the value is sealed under another root key")]
    OtherRootKey,
    /// It was changed, or belongs in another row.
    #[error("the sealed value was changed, or belongs in another row")]
    Tampered,
    /// The crypto library refused to work.
    #[error("the crypto library refused to seal")]
    Engine,
}

impl RootKey {
    /// Seals a secret for one place.
    ///
    /// # Errors
    /// [`SealError::Engine`].
    pub fn seal(&self, context: &SealContext<'_>, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        let head = self.seal_head();
        let mut body = Zeroizing::new(plaintext.to_vec());
        let (nonce, tag) = self
            .seal_key()?
            .seal_in_place_separate_tag(Aad::from(context.bind(&head)), &mut body)
            .map_err(|_| SealError::Engine)?;
        Ok([&head[..], nonce.as_ref(), &body, tag.as_ref()].concat())
    }

    /// Opens what was sealed for the same place under the same root key.
    ///
    /// # Errors
    /// [`SealError`]. A changed value, a swapped row and another key of the same fingerprint are all
    /// [`SealError::Tampered`]: they cannot be told apart.
    pub fn open(&self, context: &SealContext<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let head = self.seal_head();
        let (found, rest) = sealed.split_at_checked(HEAD).ok_or(SealError::Envelope)?;
        if found[0] != VERSION {
            return Err(SealError::Envelope);
        }
        if found[..head.len()] != head {
            return Err(SealError::OtherRootKey);
        }
        let nonce =
            Nonce::try_assume_unique_for_key(&found[head.len()..]).map_err(|_| SealError::Envelope)?;
        let mut body = Zeroizing::new(rest.to_vec());
        let length = self
            .seal_key()?
            .open_in_place(nonce, Aad::from(context.bind(&head)), &mut body)
            .map_err(|_| SealError::Tampered)?
            .len();
        body.truncate(length);
        Ok(body)
    }

    fn seal_head(&self) -> [u8; 5] {
        let [a, b, c, d] = self.id().fingerprint();
        [VERSION, a, b, c, d]
    }

    fn seal_key(&self) -> Result<RandomizedNonceKey, SealError> {
        let mut key = Zeroizing::new([0; 32]);
        self.derive(b"seal", &mut *key).map_err(|_| SealError::Engine)?;
        RandomizedNonceKey::new(&AES_256_GCM, &*key).map_err(|_| SealError::Engine)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::config::{RootKeySource, RootKeyValue};
    use crate::jose::RootKeys;

    const CONTEXT: SealContext<'_> = SealContext { table: "signing_keys", row: "kid-1", column: "sealed" };

    fn root(line: &str) -> RootKeys {
        let value = RootKeyValue::new(line.to_owned());
        RootKeys::load(&RootKeySource::Value(value)).unwrap().unwrap()
    }

    fn one() -> RootKeys {
        root("1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")
    }

    #[test]
    fn what_was_sealed_opens_and_no_two_seals_are_alike() {
        let keys = one();
        for secret in [&b""[..], b"x", &[7; 1700]] {
            let sealed = keys.active().seal(&CONTEXT, secret).unwrap();
            assert_eq!(sealed.len(), secret.len() + 33);
            assert_ne!(sealed, keys.active().seal(&CONTEXT, secret).unwrap());
            assert_eq!(*keys.active().open(&CONTEXT, &sealed).unwrap(), secret);
        }
    }

    #[test]
    fn a132_the_envelope_shows_nothing_of_the_secret() {
        let secret = b"canary canary canary";
        let sealed = one().active().seal(&CONTEXT, secret).unwrap();
        assert!(!sealed.windows(6).any(|window| secret.windows(6).any(|part| part == window)));
    }

    #[test]
    fn another_place_does_not_open_it() {
        let keys = one();
        let sealed = keys.active().seal(&CONTEXT, b"secret").unwrap();
        for other in [
            SealContext { table: "other", ..CONTEXT },
            SealContext { row: "kid-2", ..CONTEXT },
            SealContext { column: "other", ..CONTEXT },
            SealContext { table: "signing_keysk", row: "id-1", ..CONTEXT },
            SealContext { table: "signing_key", row: "skid-1", ..CONTEXT },
            SealContext { table: "", row: "", column: "signing_keyskid-1sealed" },
        ] {
            assert_eq!(keys.active().open(&other, &sealed).unwrap_err(), SealError::Tampered, "{other:?}");
        }
    }

    #[test]
    fn a134_another_root_key_does_not_open_it() {
        let keys = one();
        let sealed = keys.active().seal(&CONTEXT, b"secret").unwrap();
        let other = root("1:IAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
        assert_eq!(other.active().open(&CONTEXT, &sealed).unwrap_err(), SealError::OtherRootKey);
        // Even when the envelope claims to be of this key.
        let mut forged = sealed;
        forged[1..5].copy_from_slice(&other.active().id().fingerprint());
        assert_eq!(other.active().open(&CONTEXT, &forged).unwrap_err(), SealError::Tampered);
        // The number is a name only: the same key under another number opens what it sealed.
        let renumbered = root("9:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
        let sealed = keys.active().seal(&CONTEXT, b"secret").unwrap();
        assert_eq!(*renumbered.active().open(&CONTEXT, &sealed).unwrap(), b"secret");
    }

    #[test]
    fn no_flipped_bit_and_no_cut_is_overlooked() {
        let keys = one();
        let sealed = keys.active().seal(&CONTEXT, b"secret").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(keys.active().open(&CONTEXT, &flipped).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(keys.active().open(&CONTEXT, &sealed[..length]).is_err(), "{length} bytes");
        }
        assert!(keys.active().open(&CONTEXT, &[&sealed[..], b"x"].concat()).is_err());
    }
}
