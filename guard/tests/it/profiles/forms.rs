//! Tokens as several issuers write them, and the verifiers that expect them.

use serde_json::{Value, json};
use signet_guard::{Profile, Reason, Refusal, Relaxation, Verifier, VerifierBuilder};

use crate::forge::{AUDIENCE, ISSUER, NOW, PUBLIC_TEXT, builder, claims, header, key, sign, verify_with};

/// One issuer's form: a good token, and the verifier for it.
pub(crate) struct Form {
    pub(crate) name: &'static str,
    pub(crate) verifier: Verifier,
    header: Value,
    claims: Value,
}

impl Form {
    fn new(name: &'static str, verifier: VerifierBuilder, header: Value, claims: Value) -> Self {
        Self { name, verifier: verifier.build().unwrap(), header, claims }
    }

    pub(crate) fn good(&self) -> String {
        self.with(json!({}))
    }

    /// The good token with these claims instead; null removes one.
    pub(crate) fn with(&self, claims: Value) -> String {
        self.with_both(json!({}), claims)
    }

    pub(crate) fn with_header(&self, header: Value) -> String {
        self.with_both(header, json!({}))
    }

    pub(crate) fn with_both(&self, header: Value, claims: Value) -> String {
        let [header, claims] = [(&self.header, header), (&self.claims, claims)].map(|(base, other)| {
            let mut members = base.clone();
            for (name, value) in other.as_object().unwrap() {
                if value.is_null() {
                    members.as_object_mut().unwrap().remove(name);
                } else {
                    members[name] = value.clone();
                }
            }
            members.to_string()
        });
        sign(key(), header, claims)
    }

    /// The good token's claims with the text of `name` replaced, whatever that makes of them.
    pub(crate) fn with_text(&self, name: &str, json: &str) -> String {
        let mut claims = self.claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        let rest = claims.to_string();
        sign(key(), self.header.to_string(), format!("{{\"{name}\":{json},{}", &rest[1..]))
    }

    pub(crate) fn header(&self) -> &Value {
        &self.header
    }

    pub(crate) fn claims(&self) -> &Value {
        &self.claims
    }

    #[track_caller]
    pub(crate) fn accepted(&self, token: &str) {
        if let Err(refusal) = verify_with(&self.verifier, token) {
            panic!("{}: {refusal:?}: {token}", self.name);
        }
    }

    /// Refused, twice, for one of these reasons, and its sender learns nothing.
    #[track_caller]
    pub(crate) fn refused(&self, token: &str, reasons: &[Reason]) -> Refusal {
        for _ in 0..2 {
            let refusal = verify_with(&self.verifier, token).expect_err(self.name);
            assert!(reasons.contains(&refusal.reason()), "{}: {refusal:?}: {token}", self.name);
            assert_eq!((refusal.status(), refusal.to_string().as_str()), (401, PUBLIC_TEXT));
        }
        verify_with(&self.verifier, token).expect_err(self.name)
    }
}

pub(crate) fn plain_header() -> Value {
    json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" })
}

pub(crate) fn rfc9068() -> Form {
    Form::new("RFC 9068", builder().profile(Profile::Rfc9068), header(), claims())
}

/// After Keycloak's documentation, "Audience support", and a token of release 26.
pub(crate) fn keycloak() -> Form {
    Form::new(
        "Keycloak",
        builder().profile(Profile::Keycloak),
        plain_header(),
        json!({
            "exp": NOW + 290, "iat": NOW - 10, "auth_time": NOW - 60, "jti": "onrtac:4d1f", "iss": ISSUER,
            "aud": [AUDIENCE, "account"], "sub": "user-1", "typ": "Bearer", "azp": "app", "sid": "s-1", "acr": "1",
            "allowed-origins": ["https://app.example.com"], "realm_access": { "roles": ["editor", "offline_access"] },
            "resource_access": { "account": { "roles": ["view-profile"] } }, "scope": "openid read write",
            "email_verified": true, "preferred_username": "ann",
        }),
    )
}

/// After "Access token claims reference" of the Microsoft identity platform.
pub(crate) fn entra() -> Form {
    Form::new(
        "Entra ID 2.0",
        builder().profile(Profile::Entra),
        plain_header(),
        json!({
            "aud": AUDIENCE, "iss": ISSUER, "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 4000, "aio": "x", "azp": "app",
            "azpacr": "1", "name": "Ann", "oid": "o-1", "preferred_username": "ann@example.com", "rh": "x",
            "roles": ["editor"], "scp": "read write", "sub": "user-1", "tid": "t-1", "uti": "u-1", "ver": "2.0",
        }),
    )
}

pub(crate) fn entra_v1() -> Form {
    Form::new(
        "Entra ID 1.0",
        builder().profile(Profile::Entra),
        json!({ "alg": "RS256", "typ": "JWT", "kid": "k1", "x5t": "k1" }),
        json!({
            "aud": AUDIENCE, "iss": ISSUER, "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 4000, "acr": "1",
            "amr": ["pwd"], "appid": "app", "appidacr": "0", "oid": "o-1", "roles": ["editor"], "scp": "read write",
            "sub": "user-1", "tid": "t-1", "unique_name": "ann", "uti": "u-1", "ver": "1.0",
        }),
    )
}

/// After Auth0's "Access Token Profiles".
pub(crate) fn auth0() -> Form {
    Form::new(
        "Auth0",
        builder().profile(Profile::Auth0),
        plain_header(),
        json!({
            "iss": ISSUER, "sub": "auth0|123456", "aud": [AUDIENCE, "https://id.example.com/userinfo"], "azp": "app",
            "exp": NOW + 86_390, "iat": NOW - 10, "scope": "openid read write", "permissions": ["read"],
        }),
    )
}

/// Okta's: no profile, but names for all that is special about them.
pub(crate) fn okta() -> Form {
    Form::new(
        "Okta",
        builder().allow(Relaxation::NoType).allow(Relaxation::ClientIdInCid).allow(Relaxation::ScopeInScp),
        json!({ "alg": "RS256", "kid": "k1" }),
        json!({
            "ver": 1, "jti": "AT.1", "iss": ISSUER, "aud": AUDIENCE, "iat": NOW - 10, "exp": NOW + 3590, "cid": "app",
            "uid": "00u1", "scp": ["read", "write"], "sub": "ann@example.com", "auth_time": NOW - 60,
        }),
    )
}

pub(crate) fn forms() -> Vec<Form> {
    vec![rfc9068(), keycloak(), entra(), entra_v1(), auth0(), okta()]
}
