//! A JWS in compact form, from its text to a proven signature: RFC 7515 §5.2 and §7.1.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::algorithm::Algorithm;
use crate::error::Refusal;
use crate::jose_header::JoseHeader;
use crate::key_set::KeySet;
use crate::reason::Reason;
use crate::verifying_key::VerifyingKey;

/// The longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 8 * 1024;

/// The three parts, still encoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CompactJws<'t> {
    text: &'t str,
    header: &'t str,
    payload: &'t str,
    signature: &'t str,
    /// What the signature covers: header, dot, payload.
    signed: &'t str,
}

/// Who is said to have signed what. Nothing of it is believed before [`Signature::proven_by`].
#[derive(Debug)]
pub(crate) struct Signature<'t> {
    algorithm: Algorithm,
    key_id: String,
    bytes: Vec<u8>,
    jws: CompactJws<'t>,
}

impl<'t> CompactJws<'t> {
    /// Looks at length and shape only.
    pub(crate) fn split(token: &'t str) -> Result<Self, Reason> {
        Self::split_within(MAX_TOKEN, token)
    }

    /// The same for a token of another kind, of at most so many bytes.
    pub(crate) fn split_within(longest: usize, token: &'t str) -> Result<Self, Reason> {
        if token.len() > longest {
            return Err(Reason::TokenTooLong);
        }
        let split = token.rsplit_once('.').and_then(|(signed, signature)| {
            let (header, payload) = signed.split_once('.')?;
            Some(Self { text: token, header, payload, signature, signed })
        });
        // A fourth part would leave a dot in the middle one. An empty payload is allowed; it just says nothing.
        split
            .filter(|jws| !jws.header.is_empty() && !jws.signature.is_empty() && !jws.payload.contains('.'))
            .ok_or(Reason::NotACompactJws)
    }

    /// All of it, as it was sent.
    pub(crate) const fn text(&self) -> &'t str {
        self.text
    }

    /// What the signature covers.
    pub(crate) const fn signed(&self) -> &'t str {
        self.signed
    }

    pub(crate) fn header(&self) -> Result<JoseHeader, Reason> {
        JoseHeader::from_json(&decode(self.header)?)
    }

    /// What the header says about the signature, if its algorithm is among the `accepted` ones.
    pub(crate) fn signature(
        &self,
        header: &JoseHeader,
        accepted: &[Algorithm],
    ) -> Result<Signature<'t>, Reason> {
        let algorithm = header.algorithm()?;
        if !accepted.contains(&algorithm) {
            return Err(Reason::WrongAlgorithm);
        }
        let key_id = header.key_id()?.to_owned();
        Ok(Signature { algorithm, key_id, bytes: decode(self.signature)?, jws: *self })
    }

    pub(crate) fn payload(&self) -> Result<Vec<u8>, Reason> {
        decode(self.payload)
    }
}

impl<'t> Signature<'t> {
    pub(crate) const fn jws(&self) -> &CompactJws<'t> {
        &self.jws
    }

    pub(crate) fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The one key of the set that bears the name, and only if it has the algorithm and made the signature.
    pub(crate) fn proven_by<'k>(&self, keys: &'k KeySet) -> Result<&'k Arc<VerifyingKey>, Refusal> {
        let Some(key) = keys.key(&self.key_id) else {
            return Err(Refusal::about(Reason::UnknownKey, self.key_id.clone()));
        };
        if key.algorithm() != self.algorithm {
            return Err(Refusal::new(Reason::WrongAlgorithm));
        }
        if !key.verifies(self.jws.signed.as_bytes(), &self.bytes) {
            return Err(Refusal::new(Reason::BadSignature));
        }
        Ok(key)
    }
}

/// Base64url without padding; unused bits of the last character must be zero, so that a token has one spelling.
fn decode(part: &str) -> Result<Vec<u8>, Reason> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Reason::NotACompactJws)
}
