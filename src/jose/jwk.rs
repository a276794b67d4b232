//! Public keys as they are published: RFC 7517 §4, RFC 7518 §6.3.1.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// An RSA public key for RS256, with exactly these members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicJwk {
    kty: String,
    n: String,
    e: String,
    alg: String,
    #[serde(rename = "use")]
    usage: String,
    kid: String,
}

/// The text is no public key of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// Not an RSA key for RS256 signatures with exactly the members we publish.
    #[error("not an RS256 public key with exactly the members kty, n, e, alg, use and kid")]
    Malformed,
    /// The `kid` is not the key's thumbprint.
    #[error("the kid is not the thumbprint of the key")]
    KeyId,
}

impl PublicJwk {
    pub(super) fn from_components(modulus: &[u8], exponent: &[u8]) -> Self {
        let (n, e) = (URL_SAFE_NO_PAD.encode(modulus), URL_SAFE_NO_PAD.encode(exponent));
        Self {
            kid: thumbprint(&n, &e),
            kty: "RSA".to_owned(),
            n,
            e,
            alg: "RS256".to_owned(),
            usage: "sig".to_owned(),
        }
    }

    /// Reads back what [`PublicJwk::to_json`] wrote.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn from_json(text: &str) -> Result<Self, JwkError> {
        let jwk: Self = serde_json::from_str(text).map_err(|_| JwkError::Malformed)?;
        if (jwk.kty.as_str(), jwk.alg.as_str(), jwk.usage.as_str()) != ("RSA", "RS256", "sig") {
            return Err(JwkError::Malformed);
        }
        if jwk.kid != thumbprint(&jwk.n, &jwk.e) {
            return Err(JwkError::KeyId);
        }
        Ok(jwk)
    }

    /// The key as JSON, its members in a fixed order.
    pub fn to_json(&self) -> String {
        // base64url and constants: nothing needs escaping.
        let Self { kty, n, e, alg, usage, kid } = self;
        format!(r#"{{"kty":"{kty}","n":"{n}","e":"{e}","alg":"{alg}","use":"{usage}","kid":"{kid}"}}"#)
    }

    /// Its key id: the RFC 7638 thumbprint with SHA-256, in base64url.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The algorithm its signatures are made with.
    pub fn algorithm(&self) -> &str {
        &self.alg
    }
}

/// RFC 7638 §3: the required members in the order of their names, without white space.
fn thumbprint(n: &str, e: &str) -> String {
    let members = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use jsonwebtoken::jwk::{Jwk, ThumbprintHash};

    use super::*;
    use crate::jose::test_keys;

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        // RFC 7638 §3.1.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        assert_eq!(thumbprint(n, "AQAB"), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn a_jwk_has_exactly_the_six_members_and_jsonwebtoken_agrees_on_its_kid() {
        let jwk = test_keys::key(0).public_jwk();
        let members: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&jwk.to_json()).unwrap();
        let mut names: Vec<&String> = members.keys().collect();
        names.sort();
        assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use"]);
        assert_eq!(members["e"], "AQAB");
        let theirs: Jwk = serde_json::from_str(&jwk.to_json()).unwrap();
        assert_eq!(theirs.thumbprint(ThumbprintHash::SHA256).unwrap(), jwk.kid());
        assert_eq!(serde_json::to_value(&jwk).unwrap(), serde_json::Value::Object(members));
    }

    #[test]
    fn what_was_stored_is_read_back_and_nothing_else_is() {
        let jwk = test_keys::key(0).public_jwk();
        let json = jwk.to_json();
        assert_eq!(PublicJwk::from_json(&json), Ok(jwk.clone()));
        let other = test_keys::key(1).public_jwk();
        assert_eq!(PublicJwk::from_json(&json.replace(jwk.kid(), other.kid())), Err(JwkError::KeyId));
        assert_eq!(PublicJwk::from_json(&json.replace("AQAB", "Aw")), Err(JwkError::KeyId));
        for (from, to) in
            [("RS256", "RS512"), ("RSA", "EC"), ("\"sig\"", "\"enc\""), ("{", "{\"d\":\"AQAB\","), ("}", "")]
        {
            assert_eq!(PublicJwk::from_json(&json.replace(from, to)), Err(JwkError::Malformed), "{to}");
        }
    }
}
