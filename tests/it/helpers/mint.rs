//! Tokens signed with the server's own key, saying whatever a test wants them to.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::RsaPrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding as _, Signer as _};
use serde_json::{Value, json};

use super::app::{NOW, TestApp, key_pem};

/// The claims of a good first-party token for a subject.
pub fn claims(app: &TestApp, sub: &str) -> Value {
    json!({
        "iss": app.app.config.issuer.as_str(),
        "sub": sub,
        "aud": app.app.config.tokens.audience,
        "exp": NOW + 600,
        "iat": NOW,
        "jti": "a-token-of-a-test",
        "client_id": "first-party",
        "scope": "signet:account",
    })
}

/// Signs claims under the server's key id.
pub fn token(app: &TestApp, claims: &Value) -> String {
    let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": app.app.keyring.active_kid().unwrap() });
    sign(&header, claims)
}

/// Signs any header and claims with the server's key.
pub fn sign(header: &Value, claims: &Value) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let key = SigningKey::<Sha256>::new(RsaPrivateKey::from_pkcs8_pem(key_pem()).unwrap());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()).to_bytes()))
}
