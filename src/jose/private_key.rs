//! Private keys outside of signing: made, imported, exported.

use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, RsaPrivateKey};
use zeroize::Zeroizing;

use super::{PublicJwk, SigningKey};

/// The sizes made, in bits.
const SIZES: [u32; 3] = [2048, 3072, 4096];

/// The smallest size imported, in bits (RFC 7518 §3.3).
const LEAST_BITS: usize = 2048;

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// Not one of 2048, 3072 and 4096.
    #[error("RSA keys of {0} bits are not made; choose 2048, 3072 or 4096")]
    Size(u32),
    /// The `rsa` crate failed.
    #[error("no RSA key could be made: {0}")]
    Rsa(rsa::Error),
    /// The thread that was to make it did not start, or died.
    #[error("the thread that makes keys did not start, or died")]
    Interrupted,
}

/// Why a key is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Not the one PEM block expected, or what is in it is broken.
    #[error("not an RSA private key of 2048 to 4096 bits in PKCS#8 PEM (`-----BEGIN PRIVATE KEY-----`)")]
    Malformed,
    /// PKCS#1.
    #[error(
        "a PKCS#1 key (`BEGIN RSA PRIVATE KEY`); convert it: openssl pkcs8 -topk8 -nocrypt -in KEY.pem -out KEY.pk8.pem"
    )]
    Pkcs1,
    /// Protected by a pass phrase.
    #[error("an encrypted key; decrypt it: openssl pkcs8 -in KEY.pem -out KEY.pk8.pem")]
    Encrypted,
    /// A public key or a certificate.
    #[error("a public key or a certificate; the private key is needed to sign")]
    Public,
    /// Fewer than 2048 bits.
    #[error("an RSA key of {bits} bits; at least 2048 are needed")]
    TooSmall {
        /// Its size.
        bits: usize,
    },
    /// A public exponent below 65537, even, or of more than 32 bits.
    #[error("an RSA key whose public exponent is even, below 65537 or longer than 32 bits; make a new key")]
    Exponent,
    /// Its parts do not belong together: what it signs does not verify.
    #[error("an RSA key whose parts do not belong together; export it again from where it came")]
    Unsound,
}

/// An RSA private key. Wiped when dropped; it never signs: [`SigningKey`] does.
pub struct PrivateKey(RsaPrivateKey);

impl PrivateKey {
    /// Makes an RSA key of 2048, 3072 or 4096 bits. Takes from a third of a second to several; not for a thread that
    /// serves requests.
    ///
    /// # Errors
    /// Another size, or a failure of the generator.
    pub fn generate_rsa(bits: u32) -> Result<Self, GenerateError> {
        let size = usize::try_from(bits).map_err(|_| GenerateError::Size(bits))?;
        if !SIZES.contains(&bits) {
            return Err(GenerateError::Size(bits));
        }
        RsaPrivateKey::new(&mut rsa::rand_core::OsRng, size).map(Self).map_err(GenerateError::Rsa)
    }

    /// Imports an RSA key in PKCS#8 PEM, and signs with it once to see that it is whole.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn from_pkcs8_pem(text: &str) -> Result<Self, ImportError> {
        const BEGIN: &str = "-----BEGIN ";
        let mut blocks = text.match_indices(BEGIN).map(|(at, _)| &text[at..]);
        // `openssl pkcs12` writes lines of its own above the key.
        let (Some(block), None) = (blocks.next(), blocks.next()) else {
            return Err(ImportError::Malformed);
        };
        let label = block[BEGIN.len()..].split("-----").next().unwrap_or_default();
        match label {
            "PRIVATE KEY" => {}
            "RSA PRIVATE KEY" => return Err(ImportError::Pkcs1),
            "ENCRYPTED PRIVATE KEY" => return Err(ImportError::Encrypted),
            "PUBLIC KEY" | "RSA PUBLIC KEY" | "CERTIFICATE" => return Err(ImportError::Public),
            _ => return Err(ImportError::Malformed),
        }
        RsaPrivateKey::from_pkcs8_pem(block.trim_end())
            .map_err(|_| ImportError::Malformed)
            .and_then(Self::checked)
    }

    /// Imports an RSA key in PKCS#8 DER, under the same conditions.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, ImportError> {
        RsaPrivateKey::from_pkcs8_der(der).map_err(|_| ImportError::Malformed).and_then(Self::checked)
    }

    fn checked(key: RsaPrivateKey) -> Result<Self, ImportError> {
        let bits = key.n().bits();
        if bits < LEAST_BITS {
            return Err(ImportError::TooSmall { bits });
        }
        let exponent = key.e();
        let odd = exponent % 2_u8 == BigUint::from(1_u8);
        if !odd || *exponent < BigUint::from(65537_u32) || exponent.bits() > 32 {
            return Err(ImportError::Exponent);
        }
        let key = Self(key);
        // `rsa` checks that the parts fit, not that the factors are prime; a signature that verifies shows both.
        let sound = SigningKey::trial(&key);
        if sound { Ok(key) } else { Err(ImportError::Unsound) }
    }

    /// The key in PKCS#8 DER, to be sealed.
    ///
    /// # Errors
    /// When the key cannot be encoded, which no key made or imported here does.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, ImportError> {
        self.0.to_pkcs8_der().map(|der| der.to_bytes()).map_err(|_| ImportError::Malformed)
    }

    /// The public key, named by its thumbprint.
    pub fn public_jwk(&self) -> PublicJwk {
        PublicJwk::from_components(&self.0.n().to_bytes_be(), &self.0.e().to_bytes_be())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use rsa::pkcs1::EncodeRsaPrivateKey;
    use rsa::pkcs8::{EncodePublicKey, LineEnding};
    use rsa::rand_core::OsRng;

    use super::*;
    use crate::jose::test_keys;

    fn pem(key: &RsaPrivateKey) -> Zeroizing<String> {
        key.to_pkcs8_pem(LineEnding::LF).unwrap()
    }

    fn refused(text: &str) -> ImportError {
        PrivateKey::from_pkcs8_pem(text).err().unwrap()
    }

    #[test]
    fn a_key_survives_export_and_import_in_every_dress() {
        let key = test_keys::key(0);
        let kid = key.public_jwk().kid().to_owned();
        let text = pem(&key.0);
        for dressed in [
            text.to_string(),
            text.replace('\n', "\r\n"),
            format!("Bag Attributes\n    friendlyName: key\n{}\n\n", *text),
        ] {
            assert_eq!(PrivateKey::from_pkcs8_pem(&dressed).unwrap().public_jwk().kid(), kid);
        }
        let der = key.to_pkcs8_der().unwrap();
        assert_eq!(PrivateKey::from_pkcs8_der(&der).unwrap().public_jwk().kid(), kid);
    }

    #[test]
    fn only_three_sizes_are_made() {
        for bits in [0, 512, 1024, 2047, 2056, 8192] {
            assert!(matches!(PrivateKey::generate_rsa(bits), Err(GenerateError::Size(size)) if size == bits));
        }
    }

    #[test]
    fn weak_keys_are_refused() {
        let small = RsaPrivateKey::new(&mut OsRng, 1024).unwrap();
        assert_eq!(refused(&pem(&small)), ImportError::TooSmall { bits: 1024 });
        let three = RsaPrivateKey::new_with_exp(&mut OsRng, 2048, &BigUint::from(3_u8)).unwrap();
        assert_eq!(refused(&pem(&three)), ImportError::Exponent);
    }

    #[test]
    fn an_even_exponent_is_refused() {
        let mut der = test_keys::pkcs8(0).to_vec();
        let exponent = [2, 3, 1, 0, 1];
        let at = der.windows(5).position(|window| window == exponent).unwrap();
        der[at + 4] = 0;
        assert_eq!(PrivateKey::from_pkcs8_der(&der).err().unwrap(), ImportError::Malformed);
    }

    #[test]
    fn what_is_no_pkcs8_private_key_is_refused_with_the_way_out() {
        let key = &test_keys::key(0).0;
        let public = key.to_public_key().to_public_key_pem(LineEnding::LF).unwrap();
        assert_eq!(refused(&public), ImportError::Public);
        let pkcs1 = refused(&key.to_pkcs1_pem(LineEnding::LF).unwrap());
        assert_eq!(pkcs1, ImportError::Pkcs1);
        assert!(pkcs1.to_string().contains("openssl pkcs8 -topk8"), "{pkcs1}");
        let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert_eq!(refused(locked), ImportError::Encrypted);
        let text = pem(key);
        for garbage in [
            String::new(),
            "not a key".to_owned(),
            text.replace("-----BEGIN PRIVATE KEY-----", ""),
            text.replace("PRIVATE KEY", "EC PRIVATE KEY"),
            text[..text.len() / 2].to_owned(),
            format!("{}{}", *text, *text),
            // An Ed25519 key (RFC 8410 §10.3).
            "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----".to_owned(),
        ] {
            assert_eq!(refused(&garbage), ImportError::Malformed, "{garbage}");
        }
    }

    #[test]
    fn a_key_whose_factors_are_no_primes_is_unsound() {
        // Every equation that `rsa` checks holds for such a key, and no signature of it verifies.
        let prime = rsa::traits::PrivateKeyParts::primes(&test_keys::key(0).0)[0].clone();
        let one = BigUint::from(1_u8);
        let two = BigUint::from(2_u8);
        let mut composite = (one.clone() << 1024) + one;
        let exponent = BigUint::from(65537_u32);
        // Any composite for which an inverse exists will do.
        let key = loop {
            composite += &two;
            if let Ok(key) = RsaPrivateKey::from_p_q(composite.clone(), prime.clone(), exponent.clone()) {
                break key;
            }
        };
        assert_eq!(refused(&pem(&key)), ImportError::Unsound);
    }
}
