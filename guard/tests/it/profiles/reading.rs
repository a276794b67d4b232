//! Where each issuer's claims are found.

use proptest::prelude::*;
use serde_json::{Value, json};
use signet_guard::{AccessTokenClaims, KeySet, KeySource, Profile, Reason, Relaxation, Verifier};

use super::forms::{Form, auth0, entra, entra_v1, forms, keycloak, okta, plain_header};
use crate::forge::{
    AUDIENCE, ISSUER, NOW, b64, builder, clock, jwks, key, p256_key, sign, verifier, verify_with, with_claims,
};

#[track_caller]
fn read(form: &Form, token: &str) -> std::sync::Arc<AccessTokenClaims> {
    verify_with(&form.verifier, token).unwrap_or_else(|refusal| panic!("{}: {refusal:?}", form.name))
}

#[test]
fn every_form_arrives_as_rfc_9068_has_it() {
    for form in forms() {
        let claims = read(&form, &form.good());
        assert_eq!(claims.client_id, "app", "{}", form.name);
        assert!(claims.aud.contains(AUDIENCE));
        for scope in ["read", "write"] {
            assert!(claims.require_scope(scope).is_ok(), "{}", form.name);
        }
        assert!(claims.require_scope("admin").is_err());
    }
    for form in [keycloak(), entra(), entra_v1()] {
        assert!(read(&form, &form.good()).require_role("editor").is_ok(), "{}", form.name);
    }
    assert_eq!(read(&keycloak(), &keycloak().good()).jti, "onrtac:4d1f");
    assert_eq!(read(&entra(), &entra().good()).jti, "u-1");
    assert_eq!(read(&okta(), &okta().good()).jti, "AT.1");
}

#[test]
fn without_their_profile_they_are_refused() {
    for form in [keycloak(), entra(), entra_v1(), auth0(), okta()] {
        let refusal = verify_with(&verifier(), &form.good()).unwrap_err();
        assert_eq!(refusal.reason(), Reason::WrongType, "{}", form.name);
        let refusal = verify_with(&verifier(), &form.with_header(json!({ "typ": "at+jwt" }))).unwrap_err();
        assert_eq!(refusal.reason(), Reason::MissingClaim, "{}", form.name);
    }
    for profile in Profile::ALL {
        let own = profile.relaxations();
        let whole = builder().profile(*profile).build().unwrap();
        let accepted = |verifier: &Verifier| {
            forms().iter().filter(|form| verify_with(verifier, &form.good()).is_ok()).count()
        };
        for left_out in own {
            let rest = own.iter().filter(|one| *one != left_out);
            let less = rest.fold(builder(), |builder, one| builder.allow(*one)).build().unwrap();
            let only_reads = [Relaxation::RolesInRealmAccess, Relaxation::ScopeInScp].contains(left_out);
            assert_eq!(accepted(&less) == accepted(&whole), only_reads, "{profile:?}, {left_out:?}");
        }
    }
}

#[test]
fn what_a_claim_was_read_from_stays_with_the_others() {
    let claims = read(&keycloak(), &keycloak().good());
    assert_eq!((&claims.own["azp"], &claims.own["typ"]), (&json!("app"), &json!("Bearer")));
    assert_eq!(claims.own["resource_access"]["account"]["roles"], json!(["view-profile"]));
    assert_eq!(claims.own["realm_access"]["roles"], json!(["editor", "offline_access"]));
    let claims = read(&entra(), &entra().good());
    assert_eq!((&claims.own["uti"], &claims.own["scp"]), (&json!("u-1"), &json!("read write")));
    let text = serde_json::to_vec(&*claims).unwrap();
    assert_eq!(AccessTokenClaims::from_json(&text).unwrap(), *claims);
}

#[test]
fn a_claim_of_rfc_9068_goes_before_its_stand_in() {
    let form = keycloak();
    let claims = read(&form, &form.with(json!({ "client_id": "service", "roles": ["viewer"] })));
    assert_eq!((claims.client_id.as_str(), claims.roles.as_slice()), ("service", &["viewer".to_owned()][..]));
    let form = entra();
    let claims = read(&form, &form.with(json!({ "jti": "j-1", "scope": "list" })));
    assert_eq!((claims.jti.as_str(), claims.scope.to_string().as_str()), ("j-1", "list"));
    for (form, name) in [(keycloak(), "azp"), (entra(), "azp"), (auth0(), "azp"), (okta(), "cid")] {
        let refusal = form.refused(&form.with(json!({ name: null })), &[Reason::MissingClaim]);
        assert_eq!(refusal.subject(), Some("client_id"), "{}", form.name);
        for value in [json!(1), json!(""), json!(["app"]), json!("x".repeat(1025))] {
            form.refused(&form.with(json!({ name: value })), &[Reason::InvalidClaim]);
        }
        form.refused(&form.with(json!({ "client_id": 1 })), &[Reason::InvalidClaim]);
        form.refused(&form.with(json!({ "sub": null })), &[Reason::MissingClaim]);
    }
    entra().refused(&entra().with(json!({ "uti": null })), &[Reason::MissingClaim]);
    keycloak().refused(&keycloak().with(json!({ "jti": null })), &[Reason::MissingClaim]);
    let form = keycloak();
    for (access, good) in [
        (json!({}), true),
        (json!(1), true),
        (json!({ "roles": "x" }), false),
        (json!({ "roles": [1] }), false),
    ] {
        assert_eq!(verify_with(&form.verifier, &form.with(json!({ "realm_access": access }))).is_ok(), good);
    }
}

#[test]
fn a_scope_in_an_array_is_no_more_than_its_words() {
    let granted = |form: &Form, scp: Value| read(form, &form.with(json!({ "scp": scp }))).scope.to_string();
    let form = okta();
    for (scp, scope) in [
        (json!(["b", "a", "a"]), "a b"),
        (json!("a b"), "a b"),
        (json!([]), ""),
        (json!(["a b"]), ""),
        (json!(["a", 1]), ""),
        (json!(["a", ["b"]]), ""),
        (json!(["a", ""]), ""),
        (json!({ "a": true }), ""),
        (json!(1), ""),
    ] {
        assert_eq!(granted(&form, scp.clone()), scope, "{scp}");
    }
    let array = with_claims(json!({ "scope": ["read", "write"] }));
    assert!(verify_with(&verifier(), &array).unwrap().scope.is_empty());
    let relaxed = builder().allow(Relaxation::ScopeAsArray).build().unwrap();
    assert_eq!(verify_with(&relaxed, &array).unwrap().scope.to_string(), "read write");
}

#[test]
fn a_token_without_a_name_gets_one_of_its_own() {
    let form = auth0();
    let jti = |token: &str| read(&form, token).jti.clone();
    let first = jti(&form.good());
    assert_eq!((first.len(), first.split_once(':').unwrap().0), (50, "sha256"));
    assert_eq!(first, jti(&form.good()), "remembered or not");
    assert_ne!(first, jti(&form.with(json!({ "iat": NOW - 9 }))));
    assert_eq!(jti(&form.with(json!({ "jti": "own" }))), "own");

    // Two signatures of one token: the name is the token's, not the signature's.
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "e1" }).to_string();
    let signed = format!("{}.{}", b64(header), b64(form.claims().to_string()));
    let tokens = [(), ()].map(|()| format!("{signed}.{}", b64(p256_key().signature(signed.as_bytes()))));
    assert_ne!(tokens[0], tokens[1]);
    let keys = KeySet::from_json(&jwks(&[p256_key().jwk("e1")])).unwrap();
    let verifier = Verifier::builder(ISSUER, AUDIENCE, KeySource::fixed(keys));
    let verifier = verifier.clock(clock()).profile(Profile::Auth0).build().unwrap();
    let [one, other] = tokens.map(|token| verify_with(&verifier, &token).unwrap().jti.clone());
    assert_eq!(one, other);
}

#[test]
fn what_was_proven_under_a_profile_is_remembered() {
    for form in forms() {
        let token = form.good();
        let first = read(&form, &token);
        assert_eq!(form.verifier.remembered(), 1, "{}", form.name);
        assert!(std::sync::Arc::ptr_eq(&first, &read(&form, &token)), "{}", form.name);
    }
}

#[test]
fn a_profile_and_more_can_be_allowed_in_any_order() {
    let token = keycloak().with(json!({ "jti": null }));
    for builder in [
        builder().profile(Profile::Keycloak).allow(Relaxation::NoJti),
        builder().allow(Relaxation::NoJti).profile(Profile::Keycloak),
    ] {
        assert!(verify_with(&builder.build().unwrap(), &token).is_ok());
    }
    let last = builder().profile(Profile::Keycloak).profile(Profile::Rfc9068).build().unwrap();
    assert!(verify_with(&last, &keycloak().good()).is_err());
}

/// Header and claims from which any of the forms may come out, or none.
fn any_token() -> impl Strategy<Value = String> {
    let typ = prop_oneof![Just(json!("JWT")), Just(json!("at+jwt")), Just(Value::Null), Just(json!("x"))];
    let name = "(client_id|azp|appid|cid|jti|uti|scope|scp|roles|realm_access|typ|nonce|at_hash|events)";
    let value = prop_oneof![
        Just(json!("app")),
        Just(json!("Bearer")),
        Just(json!(AUDIENCE)),
        Just(json!(["read"])),
        Just(json!({ "roles": ["x"] })),
        Just(json!(1)),
    ];
    let members = prop::collection::vec((name, value), 0..8);
    (typ, members, any::<bool>()).prop_map(|(typ, members, named)| {
        let mut claims = json!({ "iss": ISSUER, "sub": "s", "aud": [AUDIENCE], "iat": NOW, "exp": NOW + 60 });
        if named {
            claims["azp"] = json!("app");
            claims["jti"] = json!("j");
        }
        for (name, value) in members {
            claims[name] = value;
        }
        let mut header = plain_header();
        header["typ"] = typ;
        if header["typ"].is_null() {
            header.as_object_mut().unwrap().remove("typ");
        }
        sign(key(), header.to_string(), claims.to_string())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Of the relaxations about the header's type none takes away what others allow.
    #[test]
    fn another_type_only_adds(token in any_token(), chosen in any::<u16>(), more in 0..4_usize) {
        let chosen = Relaxation::ALL.iter().enumerate().filter(|(index, _)| chosen & (1 << index) != 0);
        let chosen: Vec<Relaxation> = chosen.map(|(_, one)| *one).collect();
        let with = |others: &[Relaxation]| {
            chosen.iter().chain(others).fold(builder(), |builder, one| builder.allow(*one)).build().unwrap()
        };
        if verify_with(&with(&[]), &token).is_ok() {
            let outcome = verify_with(&with(&[Relaxation::ALL[more]]), &token);
            prop_assert!(outcome.is_ok(), "{:?} takes it away: {outcome:?}", Relaxation::ALL[more]);
        }
    }

    #[test]
    fn a_mark_of_another_kind_passes_no_set_of_relaxations(
        mark in "(at_hash|c_hash|s_hash|events)", index in 1..6_usize
    ) {
        let verifier = Relaxation::ALL.iter().fold(builder(), |builder, one| builder.allow(*one)).build().unwrap();
        let form = &forms()[index];
        prop_assert!(verify_with(&verifier, &form.good()).is_ok());
        let (marked, own) = (form.with(json!({ mark: "x" })), form.with(json!({ "aud": [AUDIENCE, "app"] })));
        prop_assert!(verify_with(&verifier, &marked).is_err());
        prop_assert!(verify_with(&verifier, &own).is_err());
    }
}
