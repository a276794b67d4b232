//! What is genuine and signed by the right issuer, and still no access token for this API: refused under every profile.

use serde_json::{Value, json};
use signet_guard::Reason;

use super::forms::{Form, auth0, entra, forms, keycloak, okta, plain_header, rfc9068};
use crate::forge::{AUDIENCE, ISSUER, NOW, b64, jwk, key, sign};

/// What an ID token may be refused for.
const NOT_FOR_AN_API: &[Reason] = &[Reason::WrongType, Reason::WrongAudience, Reason::MissingClaim];

/// An ID token of the app `client`, as OpenID Connect Core 1.0 §2 has it, with what this issuer would add.
fn id_token(form: &Form, aud: Value, others: Value) -> String {
    let mut claims = json!({
        "iss": ISSUER, "sub": "user-1", "aud": aud, "exp": NOW + 590, "iat": NOW - 10, "auth_time": NOW - 60,
        "jti": "i-1", "uti": "i-1", "ver": "2.0", "name": "Ann", "roles": ["editor"], "scope": "read", "scp": "read",
    });
    for (name, value) in others.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let mut header = plain_header();
    match form.header().get("typ") {
        Some(typ) if typ == "at+jwt" => {}
        Some(typ) => header["typ"] = typ.clone(),
        None => drop(header.as_object_mut().unwrap().remove("typ")),
    }
    sign(key(), header.to_string(), claims.to_string())
}

#[test]
fn a090_an_id_token_is_no_access_token() {
    for form in forms() {
        form.accepted(&form.good());
        for (aud, others) in [
            // Of another client: it is not even for us.
            (json!("app"), json!({ "nonce": "n", "at_hash": "h" })),
            // Of ourselves, for an API may be a client too.
            (json!(AUDIENCE), json!({})),
            (json!(AUDIENCE), json!({ "nonce": "n" })),
            (json!([AUDIENCE]), json!({ "azp": AUDIENCE })),
            (json!(AUDIENCE), json!({ "azp": AUDIENCE, "nonce": "n", "at_hash": "h", "c_hash": "h" })),
            (json!(AUDIENCE), json!({ "appid": AUDIENCE })),
            (json!(AUDIENCE), json!({ "cid": AUDIENCE, "client_id": AUDIENCE })),
            // For several audiences, the client's own among them.
            (json!([AUDIENCE, "app"]), json!({ "azp": "app" })),
            (json!([AUDIENCE, "app"]), json!({ "client_id": "other", "azp": "app" })),
            (json!(["app", AUDIENCE]), json!({ "azp": "app", "nonce": "n" })),
            // As Keycloak writes it.
            (json!([AUDIENCE]), json!({ "typ": "ID", "azp": "app" })),
        ] {
            form.refused(&id_token(&form, aud, others), NOT_FOR_AN_API);
        }
    }
}

#[test]
fn a090_a_token_with_a_mark_of_another_kind_is_refused() {
    for form in [keycloak(), entra(), auth0(), okta()] {
        for (name, value) in [
            ("at_hash", json!("h")),
            ("c_hash", json!("h")),
            ("s_hash", json!("h")),
            ("events", json!({ "http://schemas.openid.net/event/backchannel-logout": {} })),
            ("events", json!(0)),
            ("typ", json!("ID")),
            ("typ", json!("bearer")),
            ("typ", json!(["Bearer"])),
        ] {
            let refusal = form.refused(&form.with(json!({ name: value })), &[Reason::WrongType]);
            assert_eq!(refusal.subject(), Some(name), "{}", form.name);
        }
    }
}

/// Nothing else tells an ID token of theirs from an access token, save in Keycloak, which once wrote it into both.
#[test]
fn a090_a_nonce_marks_an_id_token_but_not_in_keycloak() {
    for form in [entra(), auth0(), okta()] {
        let refusal = form.refused(&form.with(json!({ "nonce": "n" })), &[Reason::WrongType]);
        assert_eq!(refusal.subject(), Some("nonce"));
    }
    let keycloak = keycloak();
    keycloak.accepted(&keycloak.with(json!({ "nonce": "n" })));
}

#[test]
fn a090_keycloaks_refresh_and_offline_tokens_are_refused() {
    for form in [keycloak(), entra(), auth0(), okta()] {
        for typ in ["Refresh", "Offline", "ID", "Serialized-ID", "Logout", "DPoP", "", "Bearer "] {
            let refusal = form.refused(&form.with(json!({ "typ": typ })), &[Reason::WrongType]);
            assert_eq!(refusal.subject(), Some("typ"), "{}", form.name);
        }
    }
    let keycloak = keycloak();
    let untold = Form::with(&keycloak, json!({ "typ": null }));
    assert_eq!(keycloak.refused(&untold, &[Reason::WrongType]).subject(), Some("typ"));
    // Under RFC 9068 the header has spoken, and the claim is the issuer's own.
    let strict = rfc9068();
    strict.refused(&strict.with_both(plain_header(), json!({ "typ": "Refresh" })), &[Reason::WrongType]);
    strict.accepted(&strict.with(json!({ "typ": "Refresh" })));
}

#[test]
fn a090_a_logout_token_is_refused() {
    for form in forms() {
        let claims = json!({
            "aud": AUDIENCE, "jti": "l-1", "sid": "s-1",
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        for typ in ["logout+jwt", "JWT"] {
            form.refused(&form.with_both(json!({ "typ": typ }), claims.clone()), &[Reason::WrongType]);
        }
        form.refused(&form.with_both(json!({ "typ": null }), claims), &[Reason::WrongType]);
    }
}

#[test]
fn a090_of_the_types_only_those_of_the_profile_pass() {
    for form in forms() {
        for typ in [
            "dpop+jwt",
            "secevent+jwt",
            "logout+jwt",
            "statuslist+jwt",
            "token-introspection+jwt",
            "id_token+jwt",
            "application/dpop+jwt",
            "JWS",
            "JOSE",
            "jwt+at",
            "JWT ",
            "",
            "ID",
            "Bearer",
        ] {
            form.refused(&form.with_header(json!({ "typ": typ })), &[Reason::WrongType]);
        }
        for typ in ["at+jwt", "application/at+jwt", "AT+JWT"] {
            form.accepted(&form.with_header(json!({ "typ": typ })));
        }
        for typ in [json!(["JWT"]), json!(1), json!({ "JWT": 1 })] {
            form.refused(&form.with_header(json!({ "typ": typ })), &[Reason::MalformedHeader]);
        }
    }
    for (form, plain, absent) in
        [(rfc9068(), false, false), (keycloak(), true, false), (auth0(), true, false), (okta(), false, true)]
    {
        for (typ, good) in [(json!("JWT"), plain), (json!("application/jwt"), plain), (Value::Null, absent)] {
            let token = form.with_header(json!({ "typ": typ }));
            if good {
                form.accepted(&token);
            } else {
                form.refused(&token, &[Reason::WrongType]);
            }
        }
    }
}

#[test]
fn a090_a_token_for_the_client_itself_is_refused() {
    for form in [keycloak(), entra(), auth0(), okta()] {
        let name = ["azp", "cid"].into_iter().find(|name| form.claims().get(*name).is_some()).unwrap();
        for aud in [json!(AUDIENCE), json!([AUDIENCE]), json!(["other", AUDIENCE])] {
            let token = form.with(json!({ name: AUDIENCE, "aud": aud }));
            assert_eq!(form.refused(&token, &[Reason::WrongType]).subject(), Some("aud"));
        }
        form.refused(&form.with(json!({ "aud": "app" })), &[Reason::WrongType]);
    }
    // RFC 9068 tells by `typ`; a token that is only for its client is still not for us.
    let strict = rfc9068();
    strict.refused(&strict.with(json!({ "aud": "app" })), &[Reason::WrongAudience]);
    strict.accepted(&strict.with(json!({ "client_id": AUDIENCE })));
}

#[test]
fn a092_a093_another_issuer_or_audience_is_refused() {
    for form in forms() {
        for aud in
            [json!("https://other.example.com"), json!(["account", "x"]), json!(format!("{AUDIENCE}/"))]
        {
            form.refused(&form.with(json!({ "aud": aud })), &[Reason::WrongAudience]);
        }
        form.refused(&form.with(json!({ "aud": null })), &[Reason::MissingClaim]);
        for iss in
            ["https://id.example.com/", "https://id.example.com/{tenantid}", "https://other.example.com"]
        {
            form.refused(&form.with(json!({ "iss": iss })), &[Reason::WrongIssuer]);
        }
        form.refused(&form.with(json!({ "iss": null })), &[Reason::MissingClaim]);
    }
}

#[test]
fn a089_unsigned_and_symmetric_tokens_are_refused() {
    let published = jwk(key(), "k1");
    for form in forms() {
        let signed = |alg: &str| {
            let mut header = form.header().clone();
            header["alg"] = json!(alg);
            format!("{}.{}", b64(header.to_string()), b64(form.claims().to_string()))
        };
        form.refused(&format!("{}.", signed("none")), &[Reason::NotACompactJws]);
        form.refused(&format!("{}.{}", signed("none"), b64("x")), &[Reason::WrongAlgorithm]);
        for secret in [published.to_string(), published["n"].as_str().unwrap().to_owned()] {
            let text = signed("HS256");
            let mac_key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
            let mac = aws_lc_rs::hmac::sign(&mac_key, text.as_bytes());
            form.refused(&format!("{text}.{}", b64(mac)), &[Reason::WrongAlgorithm]);
        }
    }
}

#[test]
fn a094_the_times_are_there_and_are_whole_numbers() {
    for form in forms() {
        for name in ["exp", "iat"] {
            form.refused(&form.with(json!({ name: null })), &[Reason::MissingClaim]);
            for value in
                [format!("\"{}\"", NOW + 60), format!("{}.5", NOW + 60), "-1".to_owned(), "null".to_owned()]
            {
                form.refused(&form.with_text(name, &value), &[Reason::InvalidClaim]);
            }
        }
        form.refused(&form.with(json!({ "exp": NOW + 90_000 })), &[Reason::LivesTooLong]);
        let expired = form.with(json!({ "iat": NOW - 900, "exp": NOW - 300, "nbf": NOW - 900 }));
        let refusal = crate::forge::verify_with(&form.verifier, &expired).unwrap_err();
        assert_eq!(refusal.reason(), Reason::Expired, "{}", form.name);
    }
}

#[test]
fn a097_a_bound_token_is_refused() {
    for form in forms() {
        form.refused(&form.with(json!({ "cnf": { "jkt": "x" } })), &[Reason::BoundToken]);
    }
}

/// Entra ID gives every application of the tenant a token for every API.
#[test]
fn a093_entra_tokens_without_any_permission_are_refused() {
    let form = entra();
    for scp in [Value::Null, json!(""), json!([]), json!("a  b"), json!(1)] {
        for roles in [Value::Null, json!([])] {
            let refusal =
                form.refused(&form.with(json!({ "scp": scp, "roles": roles })), &[Reason::WrongType]);
            assert_eq!(refusal.subject(), Some("scope"));
        }
    }
    form.accepted(&form.with(json!({ "scp": null })));
    form.accepted(&form.with(json!({ "roles": null })));
}
