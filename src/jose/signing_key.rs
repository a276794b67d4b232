//! A key that signs access tokens and status lists.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header};
use signet_guard::AccessTokenClaims;

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
    /// It is no RSA key we would import.
    #[error("the stored signing key is {0}")]
    Key(#[from] ImportError),
    /// It is another key than the one its name says.
    #[error("the stored signing key is not the one its kid names")]
    KeyId,
    /// The crypto library refused it.
    #[error("the crypto library refused the stored signing key")]
    Engine,
}

/// An RS256 key, parsed once, with the headers of its tokens encoded once. `jsonwebtoken::encode` would parse the key
/// again for every token, which takes as long as the signature.
pub struct SigningKey {
    kid: String,
    access_token_header: String,
    status_list_header: String,
    pair: RsaKeyPair,
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
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let base64_length = |bytes: usize| bytes.div_ceil(3) * 4;
        let mut token = String::with_capacity(
            header.len() + 2 + base64_length(claims.len()) + base64_length(signature.len()),
        );
        token.push_str(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)
            .map_err(|_| SignError::Engine)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    fn parse(key: &PrivateKey) -> Result<Self, SigningKeyError> {
        let kid = key.public_jwk().kid().to_owned();
        let header = |typ: &str| {
            let header =
                Header { typ: Some(typ.to_owned()), kid: Some(kid.clone()), ..Header::new(Algorithm::RS256) };
            serde_json::to_vec(&header).map(|json| URL_SAFE_NO_PAD.encode(json))
        };
        let access_token_header = header("at+jwt").map_err(|_| SigningKeyError::Engine)?;
        let status_list_header = header("statuslist+jwt").map_err(|_| SigningKeyError::Engine)?;
        let pair = RsaKeyPair::from_pkcs8(&key.to_pkcs8_der()?).map_err(|_| SigningKeyError::Engine)?;
        Ok(Self { kid, access_token_header, status_list_header, pair })
    }

    /// Whether a signature of this key verifies with its own public key.
    pub(super) fn trial(key: &PrivateKey) -> bool {
        const MESSAGE: &[u8] = b"signet import trial";
        let Ok(key) = Self::parse(key) else { return false };
        let mut signature = vec![0; key.pair.public_modulus_len()];
        let signed = key.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), MESSAGE, &mut signature);
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.pair.public_key());
        signed.is_ok() && public.verify(MESSAGE, &signature).is_ok()
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
        let mut validation = Validation::new(Algorithm::RS256);
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
