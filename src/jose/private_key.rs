//! Private keys outside of signing: made, imported, exported.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, ObjectIdentifier, PrivateKeyInfo, SecretDocument};
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, RsaPrivateKey};
use signet_guard::Algorithm;
use zeroize::Zeroizing;

use super::{PublicJwk, SigningKey};

/// The sizes made, in bits.
const SIZES: [u32; 3] = [2048, 3072, 4096];

/// What a PKCS#8 document says of its key: RFC 8017 appendix C, RFC 5480 §2.1.1, RFC 8410 §3.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

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
    /// The crypto library failed.
    #[error("no key could be made: the crypto library refused")]
    Engine,
    /// An algorithm that Signet does not sign with.
    #[error("no keys are made for this algorithm")]
    Algorithm,
}

/// Why a key is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Not the one PEM block expected, or what is in it is broken.
    #[error(
        "not a private key in PKCS#8 PEM (`-----BEGIN PRIVATE KEY-----`): RSA of 2048 to 4096 bits, P-256 or Ed25519"
    )]
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
    #[error("a key whose parts do not belong together; export it again from where it came")]
    Unsound,
}

/// A private key. Wiped when dropped; it never signs: [`SigningKey`] does.
pub struct PrivateKey(Material);

enum Material {
    Rsa(Box<RsaPrivateKey>),
    P256(Curve),
    Ed25519(Curve),
}

/// A key as aws-lc-rs takes it.
struct Curve {
    pkcs8: Zeroizing<Vec<u8>>,
    public: PublicJwk,
}

impl PrivateKey {
    /// Makes a key to sign with `algorithm`. `rsa_bits` is 2048, 3072 or 4096, and counts for RS256 alone. An RSA key takes
    /// from a third of a second to several; not for a thread that serves requests.
    ///
    /// # Errors
    /// Another size, or a failure of the generator.
    pub fn generate(algorithm: Algorithm, rsa_bits: u32) -> Result<Self, GenerateError> {
        match algorithm {
            Algorithm::Rs256 => Self::generate_rsa(rsa_bits),
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
                let pkcs8 = pair.and_then(|pair| pair.to_pkcs8v1()).map_err(|_| GenerateError::Engine)?;
                Self::p256(pkcs8.as_ref()).map_err(|_| GenerateError::Engine)
            }
            Algorithm::EdDsa => {
                let pkcs8 = Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8());
                Self::ed25519(pkcs8.map_err(|_| GenerateError::Engine)?.as_ref())
                    .map_err(|_| GenerateError::Engine)
            }
            _ => Err(GenerateError::Algorithm),
        }
    }

    /// Makes an RSA key of 2048, 3072 or 4096 bits.
    ///
    /// # Errors
    /// Another size, or a failure of the generator.
    pub fn generate_rsa(bits: u32) -> Result<Self, GenerateError> {
        let size = usize::try_from(bits).map_err(|_| GenerateError::Size(bits))?;
        if !SIZES.contains(&bits) {
            return Err(GenerateError::Size(bits));
        }
        let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, size).map_err(GenerateError::Rsa)?;
        Ok(Self(Material::Rsa(Box::new(key))))
    }

    /// Imports a key in PKCS#8 PEM, and signs with it once to see that it is whole.
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
        let (_, der) = SecretDocument::from_pem(block.trim_end()).map_err(|_| ImportError::Malformed)?;
        Self::from_pkcs8_der(der.as_bytes())
    }

    /// Imports a key in PKCS#8 DER, under the same conditions.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, ImportError> {
        let info = PrivateKeyInfo::try_from(der).map_err(|_| ImportError::Malformed)?;
        let key = match info.algorithm.oid {
            RSA => {
                let key = RsaPrivateKey::from_pkcs8_der(der).map_err(|_| ImportError::Malformed)?;
                Self::strong_rsa(key)
            }
            EC => Self::p256(der),
            ED25519 => Self::ed25519(der),
            _ => Err(ImportError::Malformed),
        }?;
        // `rsa` checks that the parts fit, not that the factors are prime; a signature that verifies shows both.
        if SigningKey::trial(&key) { Ok(key) } else { Err(ImportError::Unsound) }
    }

    /// aws-lc-rs refuses other curves, and public halves of other keys.
    fn p256(der: &[u8]) -> Result<Self, ImportError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
            .map_err(|_| ImportError::Malformed)?;
        let public = PublicJwk::p256(pair.public_key().as_ref()).ok_or(ImportError::Malformed)?;
        Ok(Self(Material::P256(Curve { pkcs8: Zeroizing::new(der.to_vec()), public })))
    }

    /// With or without its public half (RFC 8410 §7).
    fn ed25519(der: &[u8]) -> Result<Self, ImportError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| ImportError::Malformed)?;
        let public = PublicJwk::ed25519(pair.public_key().as_ref());
        Ok(Self(Material::Ed25519(Curve { pkcs8: Zeroizing::new(der.to_vec()), public })))
    }

    fn strong_rsa(key: RsaPrivateKey) -> Result<Self, ImportError> {
        let bits = key.n().bits();
        if bits < LEAST_BITS {
            return Err(ImportError::TooSmall { bits });
        }
        let exponent = key.e();
        let odd = exponent % 2_u8 == BigUint::from(1_u8);
        if !odd || *exponent < BigUint::from(65537_u32) || exponent.bits() > 32 {
            return Err(ImportError::Exponent);
        }
        Ok(Self(Material::Rsa(Box::new(key))))
    }

    /// The key in PKCS#8 DER, to be sealed.
    ///
    /// # Errors
    /// When the key cannot be encoded, which no key made or imported here does.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, ImportError> {
        match &self.0 {
            Material::Rsa(key) => {
                key.to_pkcs8_der().map(|der| der.to_bytes()).map_err(|_| ImportError::Malformed)
            }
            Material::P256(key) | Material::Ed25519(key) => Ok(key.pkcs8.clone()),
        }
    }

    /// The public key, named by its thumbprint.
    pub fn public_jwk(&self) -> PublicJwk {
        match &self.0 {
            Material::Rsa(key) => PublicJwk::rsa(&key.n().to_bytes_be(), &key.e().to_bytes_be()),
            Material::P256(key) | Material::Ed25519(key) => key.public.clone(),
        }
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

    fn rsa(key: &PrivateKey) -> &RsaPrivateKey {
        let Material::Rsa(key) = &key.0 else { panic!("not an RSA key") };
        key
    }

    fn refused(text: &str) -> ImportError {
        PrivateKey::from_pkcs8_pem(text).err().unwrap()
    }

    #[test]
    fn a_key_survives_export_and_import_in_every_dress() {
        let key = test_keys::key(0);
        let kid = key.public_jwk().kid().to_owned();
        let text = pem(rsa(&key));
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
    fn keys_on_curves_survive_too_and_no_other_curve_is_taken() {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
            let key = PrivateKey::generate(algorithm, 0).unwrap();
            let der = key.to_pkcs8_der().unwrap();
            let again = PrivateKey::from_pkcs8_der(&der).unwrap();
            assert_eq!(again.public_jwk(), key.public_jwk());
            assert_eq!(again.public_jwk().algorithm(), algorithm);
        }
        // RFC 8410 §10.3: without and with its public half.
        let without = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----";
        let key = PrivateKey::from_pkcs8_pem(without).unwrap();
        assert!(key.public_jwk().to_json().contains(r#""x":"Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE""#));
        let other = EcdsaKeyPair::generate(&aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let refused = PrivateKey::from_pkcs8_der(other.to_pkcs8v1().unwrap().as_ref());
        assert_eq!(refused.err(), Some(ImportError::Malformed));
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
        let key = test_keys::key(0);
        let key = rsa(&key);
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
            // A key for agreement, not for signatures: X25519.
            "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----".to_owned(),
        ] {
            assert_eq!(refused(&garbage), ImportError::Malformed, "{garbage}");
        }
    }

    #[test]
    fn a_key_whose_factors_are_no_primes_is_unsound() {
        // Every equation that `rsa` checks holds for such a key, and no signature of it verifies.
        let prime = rsa::traits::PrivateKeyParts::primes(rsa(&test_keys::key(0)))[0].clone();
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
