//! Public keys as they are published: RFC 7517 §4, RFC 7518 §6.2 and §6.3, RFC 8037 §2.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use signet_guard::Algorithm;

/// A public key for one signature algorithm, with exactly the members that its kind needs, `alg`, `use` and `kid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicJwk {
    material: Material,
    kid: String,
}

/// What only a key of that kind has, in base64url.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa { n: String, e: String },
    P256 { x: String, y: String },
    Ed25519 { x: String },
}

/// The text is no public key of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// Not a key for RS256, ES256 or EdDSA signatures with exactly the members we publish.
    #[error("not a public key for RS256, ES256 or EdDSA with exactly the members that Signet publishes")]
    Malformed,
    /// The `kid` is not the key's thumbprint.
    #[error("the kid is not the thumbprint of the key")]
    KeyId,
}

/// Every member that a key of ours may have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    kty: String,
    alg: String,
    #[serde(rename = "use")]
    usage: String,
    kid: String,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl PublicJwk {
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        Self::of(Material::Rsa { n: URL_SAFE_NO_PAD.encode(modulus), e: URL_SAFE_NO_PAD.encode(exponent) })
    }

    /// Of a point in uncompressed form (SEC 1 §2.3.3): 65 bytes, of which the first is 4.
    pub(super) fn p256(point: &[u8]) -> Option<Self> {
        let (4, xy) = point.split_first()? else { return None };
        let (x, y) = xy.split_at_checked(32).filter(|(_, y)| y.len() == 32)?;
        Some(Self::of(Material::P256 { x: URL_SAFE_NO_PAD.encode(x), y: URL_SAFE_NO_PAD.encode(y) }))
    }

    pub(super) fn ed25519(public: &[u8]) -> Self {
        Self::of(Material::Ed25519 { x: URL_SAFE_NO_PAD.encode(public) })
    }

    fn of(material: Material) -> Self {
        Self { kid: thumbprint(&material), material }
    }

    /// Reads back what [`PublicJwk::to_json`] wrote.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn from_json(text: &str) -> Result<Self, JwkError> {
        let members: Members = serde_json::from_str(text).map_err(|_| JwkError::Malformed)?;
        let Members { kty, alg, usage, kid, n, e, crv, x, y } = members;
        let material = match (kty.as_str(), crv.as_deref(), n, e, x, y) {
            ("RSA", None, Some(n), Some(e), None, None) => Material::Rsa { n, e },
            ("EC", Some("P-256"), None, None, Some(x), Some(y)) => Material::P256 { x, y },
            ("OKP", Some("Ed25519"), None, None, Some(x), None) => Material::Ed25519 { x },
            _ => return Err(JwkError::Malformed),
        };
        let jwk = Self::of(material);
        if (alg.as_str(), usage.as_str()) != (jwk.algorithm().as_str(), "sig") {
            return Err(JwkError::Malformed);
        }
        if jwk.kid == kid { Ok(jwk) } else { Err(JwkError::KeyId) }
    }

    /// The key as JSON, its members in a fixed order.
    pub fn to_json(&self) -> String {
        // base64url and constants: nothing needs escaping.
        let own = match &self.material {
            Material::Rsa { n, e } => format!(r#""kty":"RSA","n":"{n}","e":"{e}""#),
            Material::P256 { x, y } => format!(r#""kty":"EC","crv":"P-256","x":"{x}","y":"{y}""#),
            Material::Ed25519 { x } => format!(r#""kty":"OKP","crv":"Ed25519","x":"{x}""#),
        };
        format!(r#"{{{own},"alg":"{}","use":"sig","kid":"{}"}}"#, self.algorithm(), self.kid)
    }

    /// Its key id: the RFC 7638 thumbprint with SHA-256, in base64url.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The algorithm its signatures are made with.
    pub fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::P256 { .. } => Algorithm::Es256,
            Material::Ed25519 { .. } => Algorithm::EdDsa,
        }
    }
}

/// RFC 7638 §3, RFC 8037 §2: the required members in the order of their names, without white space.
fn thumbprint(material: &Material) -> String {
    let members = match material {
        Material::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        Material::P256 { x, y } => format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#),
        Material::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
    };
    URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use jsonwebtoken::jwk::{Jwk, ThumbprintHash};

    use super::*;
    use crate::jose::{PrivateKey, test_keys};

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        // RFC 7638 §3.1.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let key = Material::Rsa { n: n.to_owned(), e: "AQAB".to_owned() };
        assert_eq!(thumbprint(&key), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        // RFC 8037 appendix A.3.
        let key = Material::Ed25519 { x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_owned() };
        assert_eq!(thumbprint(&key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_jwk_has_exactly_its_members_and_jsonwebtoken_agrees_on_its_kid() {
        let curve = |algorithm| PrivateKey::generate(algorithm, 2048).unwrap().public_jwk();
        for (jwk, own) in [
            (test_keys::key(0).public_jwk(), &["alg", "e", "kid", "kty", "n", "use"][..]),
            (curve(Algorithm::Es256), &["alg", "crv", "kid", "kty", "use", "x", "y"]),
            (curve(Algorithm::EdDsa), &["alg", "crv", "kid", "kty", "use", "x"]),
        ] {
            let members: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&jwk.to_json()).unwrap();
            let mut names: Vec<&String> = members.keys().collect();
            names.sort();
            assert_eq!(names, own);
            assert_eq!(members["alg"], jwk.algorithm().as_str());
            let theirs: Jwk = serde_json::from_str(&jwk.to_json()).unwrap();
            assert_eq!(theirs.thumbprint(ThumbprintHash::SHA256).unwrap(), jwk.kid());
            assert_eq!(PublicJwk::from_json(&jwk.to_json()), Ok(jwk));
        }
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
