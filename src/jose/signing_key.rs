//! A key that signs access tokens and status lists.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Header;
use signet_guard::{AccessTokenClaims, Algorithm};

use super::{ImportError, PrivateKey, StatusListToken};

/// Why nothing was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// No key has been installed, or the last was withdrawn.
    #[error("there is no active signing key")]
    NoActiveKey,
    /// It is not known whether the keys here still sign: one may have been withdrawn.
    #[error("the signing keys could not be read from the database for a minute")]
    KeysUnread,
    /// As many callers as allowed are waiting.
    #[error("too many tokens are being signed; try again in {} s", retry_after.as_secs())]
    Busy {
        /// When the present queue should be worked off: whole seconds, at least one.
        retry_after: Duration,
    },
    /// The signing threads have stopped.
    #[error("the signing threads have stopped")]
    Stopped,
    /// The claims cannot be written as JSON: a claim of the caller's own repeats a registered one.
    #[error("the claims cannot be written: a claim is there twice")]
    Claims,
    /// The crypto library refused to sign.
    #[error("the crypto library refused to sign")]
    Engine,
}

/// Why a stored key cannot sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// It is no key we would import.
    #[error("the stored signing key is {0}")]
    Key(#[from] ImportError),
    /// It is another key than the one its name says.
    #[error("the stored signing key is not the one its kid names")]
    KeyId,
    /// The crypto library refused it.
    #[error("the crypto library refused the stored signing key")]
    Engine,
}

/// A key, parsed once, with the headers of its tokens encoded once. `jsonwebtoken::encode` would parse the key
/// again for every token, which takes as long as the signature.
pub struct SigningKey {
    kid: String,
    algorithm: Algorithm,
    access_token_header: String,
    status_list_header: String,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Pair {
    fn parse(key: &PrivateKey) -> Result<Self, SigningKeyError> {
        let der = key.to_pkcs8_der()?;
        let pair = match key.public_jwk().algorithm() {
            Algorithm::Rs256 => RsaKeyPair::from_pkcs8(&der).map(Self::Rsa).ok(),
            Algorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).map(Self::P256).ok()
            }
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map(Self::Ed25519).ok(),
            _ => None,
        };
        pair.ok_or(SigningKeyError::Engine)
    }

    /// The bytes of a JWS signature: RFC 7518 §3.3 and §3.4, RFC 8037 §3.1.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| SignError::Engine)?;
                Ok(signature)
            }
            Self::P256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| SignError::Engine)?;
                Ok(signature.as_ref().to_vec())
            }
            Self::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match self {
            Self::Rsa(pair) => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key())
                .verify(message, signature),
            Self::P256(pair) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key()).verify(message, signature)
            }
            Self::Ed25519(pair) => {
                UnparsedPublicKey::new(&ED25519, pair.public_key()).verify(message, signature)
            }
        };
        verified.is_ok()
    }
}

impl SigningKey {
    /// Parses the key of that name.
    ///
    /// # Errors
    /// When it cannot sign, or is another key.
    pub fn from_pkcs8_der(kid: &str, der: &[u8]) -> Result<Self, SigningKeyError> {
        let key = PrivateKey::from_pkcs8_der(der)?;
        if key.public_jwk().kid() != kid {
            return Err(SigningKeyError::KeyId);
        }
        Self::parse(&key)
    }

    /// Its key id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A JWS in compact form (RFC 7515 §3.1) with `typ: at+jwt` (RFC 9068 §2.1).
    ///
    /// # Errors
    /// When the claims repeat themselves, or the crypto library refuses.
    pub fn sign(&self, claims: &AccessTokenClaims) -> Result<String, SignError> {
        let claims = serde_json::to_vec(claims).map_err(|_| SignError::Claims)?;
        self.jws(&self.access_token_header, &claims)
    }

    /// The same of a status list, with `typ: statuslist+jwt` (draft-ietf-oauth-status-list §5.1).
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn sign_status_list(&self, list: &StatusListToken) -> Result<String, SignError> {
        let claims = serde_json::to_vec(&list.claims()).map_err(|_| SignError::Claims)?;
        self.jws(&self.status_list_header, &claims)
    }

    fn jws(&self, header: &str, claims: &[u8]) -> Result<String, SignError> {
        // Room for an RSA-2048 signature; a longer one grows it once.
        let mut token = String::with_capacity(header.len() + 2 + claims.len().div_ceil(3) * 4 + 344);
        token.push_str(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.pair.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    fn parse(key: &PrivateKey) -> Result<Self, SigningKeyError> {
        let jwk = key.public_jwk();
        let kid = jwk.kid().to_owned();
        let algorithm = match jwk.algorithm() {
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            _ => jsonwebtoken::Algorithm::RS256,
        };
        let header = |typ: &str| {
            let header =
                Header { typ: Some(typ.to_owned()), kid: Some(kid.clone()), ..Header::new(algorithm) };
            serde_json::to_vec(&header).map(|json| URL_SAFE_NO_PAD.encode(json))
        };
        let access_token_header = header("at+jwt").map_err(|_| SigningKeyError::Engine)?;
        let status_list_header = header("statuslist+jwt").map_err(|_| SigningKeyError::Engine)?;
        Ok(Self {
            kid,
            algorithm: jwk.algorithm(),
            access_token_header,
            status_list_header,
            pair: Pair::parse(key)?,
        })
    }

    /// Whether a signature of this key verifies with its own public key.
    pub(super) fn trial(key: &PrivateKey) -> bool {
        const MESSAGE: &[u8] = b"signet import trial";
        let Ok(pair) = Pair::parse(key) else { return false };
        pair.sign(MESSAGE).is_ok_and(|signature| pair.verifies(MESSAGE, &signature))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use jsonwebtoken::jwk::Jwk;
    use jsonwebtoken::{DecodingKey, Validation, decode};
    use signet_guard::{Audience, Scope, Timestamp};

    use super::*;
    use crate::jose::test_keys;

    fn key(number: usize) -> SigningKey {
        let kid = test_keys::key(number).public_jwk().kid().to_owned();
        SigningKey::from_pkcs8_der(&kid, test_keys::pkcs8(number)).unwrap()
    }

    fn claims() -> AccessTokenClaims {
        AccessTokenClaims {
            iss: "http://127.0.0.1:8080".to_owned(),
            sub: "6e8f2f0a-6f0e-4f5b-9a53-8d7e1f0a2b3c".to_owned(),
            aud: Audience::One("http://127.0.0.1:8080".to_owned()),
            exp: Timestamp::from_seconds(2_000_000_600),
            nbf: None,
            iat: Timestamp::from_seconds(2_000_000_000),
            jti: "jti".to_owned(),
            client_id: "signet".to_owned(),
            scope: Scope::parse("openid").unwrap(),
            auth_time: Some(Timestamp::from_seconds(2_000_000_000)),
            roles: vec!["admin".to_owned()],
            sid: None,
            status: None,
            own: serde_json::Map::new(),
        }
    }

    #[test]
    fn a_token_decodes_with_jsonwebtoken_and_the_published_key() {
        let key = key(0);
        let token = key.sign(&claims()).unwrap();
        let jwk: Jwk = serde_json::from_str(&test_keys::key(0).public_jwk().to_json()).unwrap();
        let mut validation = Validation::new(jsonwebtoken::Algorithm::RS256);
        validation.set_audience(&["http://127.0.0.1:8080"]);
        let decoded =
            decode::<serde_json::Value>(&token, &DecodingKey::from_jwk(&jwk).unwrap(), &validation).unwrap();
        assert_eq!(decoded.claims, serde_json::to_value(claims()).unwrap());
        assert_eq!(decoded.header.typ.as_deref(), Some("at+jwt"));
        assert_eq!(decoded.header.kid.as_deref(), Some(key.kid()));
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        let header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&header).unwrap();
        assert_eq!(header.len(), 3, "{header:?}");
        let other: Jwk = serde_json::from_str(&test_keys::key(1).public_jwk().to_json()).unwrap();
        assert!(
            decode::<serde_json::Value>(&token, &DecodingKey::from_jwk(&other).unwrap(), &validation)
                .is_err()
        );
    }

    #[test]
    fn keys_of_other_algorithms_sign_what_jsonwebtoken_reads() {
        for (algorithm, theirs) in [
            (Algorithm::Es256, jsonwebtoken::Algorithm::ES256),
            (Algorithm::EdDsa, jsonwebtoken::Algorithm::EdDSA),
        ] {
            let private = PrivateKey::generate(algorithm, 2048).unwrap();
            let jwk = private.public_jwk();
            let key = SigningKey::from_pkcs8_der(jwk.kid(), &private.to_pkcs8_der().unwrap()).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            let token = key.sign(&claims()).unwrap();
            let published: Jwk = serde_json::from_str(&jwk.to_json()).unwrap();
            let mut validation = Validation::new(theirs);
            validation.set_audience(&["http://127.0.0.1:8080"]);
            let key = DecodingKey::from_jwk(&published).unwrap();
            let decoded = decode::<serde_json::Value>(&token, &key, &validation).unwrap();
            assert_eq!(decoded.claims, serde_json::to_value(claims()).unwrap());
        }
    }

    #[test]
    fn a_key_under_another_name_does_not_sign() {
        let other = test_keys::key(1).public_jwk().kid().to_owned();
        assert_eq!(
            SigningKey::from_pkcs8_der(&other, test_keys::pkcs8(0)).unwrap_err(),
            SigningKeyError::KeyId
        );
        let garbage = SigningKey::from_pkcs8_der(&other, b"garbage").unwrap_err();
        assert_eq!(garbage, SigningKeyError::Key(ImportError::Malformed));
    }

    #[test]
    fn a_claim_that_repeats_a_registered_one_is_not_signed() {
        let mut claims = claims();
        claims.own.insert("sub".to_owned(), "somebody else".into());
        assert_eq!(key(0).sign(&claims), Err(SignError::Claims));
    }
}
