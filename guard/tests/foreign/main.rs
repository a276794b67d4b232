//! The guard on tokens of another issuer, `oidc-provider`, fetched over HTTP as its clients would. scripts/interop-foreign
//! installs that issuer and runs this.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};

use serde_json::Value;
use signet_guard::{
    AccessTokenClaims, Clock, KeySource, Profile, Reason, Refusal, Relaxation, Timestamp, Verifier,
    VerifierBuilder,
};

const AUDIENCE: &str = "https://api.example.com";

/// The issuer's process; it ends when this one does, for its standard input then closes.
struct Issuer {
    _process: Child,
    said: Value,
}

fn issuer() -> &'static Issuer {
    static ISSUER: OnceLock<Issuer> = OnceLock::new();
    ISSUER.get_or_init(|| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/interop/node-issuer");
        let mut process = Command::new("node")
            .arg("issuer.mjs")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is needed: scripts/interop-foreign");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.find_map(|line| line.ok().filter(|line| line.starts_with('{')));
        let said = serde_json::from_str(&line.expect("the issuer said nothing: scripts/interop-foreign"));
        // Whatever it prints from now on is to be read, or it would stop one day to wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Issuer { _process: process, said: said.unwrap() }
    })
}

impl Issuer {
    fn url(&self) -> &str {
        self.said["issuer"].as_str().unwrap()
    }

    fn token(&self, name: &str) -> &str {
        self.said[name].as_str().expect(name)
    }

    /// A verifier that knows nothing of the issuer but its URL.
    fn verifier(&self) -> VerifierBuilder {
        Verifier::builder(self.url(), AUDIENCE, KeySource::remote(self.url()).unwrap())
    }
}

async fn verify(builder: VerifierBuilder, token: &str) -> Result<Arc<AccessTokenClaims>, Refusal> {
    builder.build().unwrap().verify(token).await
}

async fn refused(builder: VerifierBuilder, token: &str) -> Reason {
    verify(builder, token).await.expect_err(token).reason()
}

#[actix_web::test]
async fn its_access_tokens_are_good_under_rfc_9068() {
    let issuer = issuer();
    for name in ["access_token", "es256"] {
        let claims = verify(issuer.verifier(), issuer.token(name)).await.unwrap();
        assert_eq!((claims.iss.as_str(), claims.client_id.as_str()), (issuer.url(), "service"), "{name}");
        assert!(claims.aud.contains(AUDIENCE) && claims.require_scope("read").is_ok());
        for profile in Profile::ALL {
            assert!(verify(issuer.verifier().profile(*profile), issuer.token(name)).await.is_ok());
        }
    }
}

#[actix_web::test]
async fn a_token_that_was_changed_is_for_another_or_is_old_is_refused() {
    let issuer = issuer();
    let good = issuer.token("access_token");
    let other = issuer.token("other_audience");
    assert_eq!(refused(issuer.verifier(), other).await, Reason::WrongAudience);
    let parts: Vec<&str> = good.split('.').collect();
    let swapped = format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap(), parts[2]);
    assert_eq!(refused(issuer.verifier(), &swapped).await, Reason::BadSignature);
    let other_key = format!("{}.{}.{}", issuer.token("es256").split('.').next().unwrap(), parts[1], parts[2]);
    assert_eq!(refused(issuer.verifier(), &other_key).await, Reason::BadSignature);

    let exp = verify(issuer.verifier(), good).await.unwrap().exp.as_seconds();
    for (now, reason) in
        [(exp + 29, None), (exp + 31, Some(Reason::Expired)), (exp - 400, Some(Reason::IssuedInFuture))]
    {
        let verifier = issuer.verifier().clock(Clock::fixed(Timestamp::from_seconds(now)));
        let outcome = verify(verifier, good).await.map_err(|refusal| refusal.reason());
        assert_eq!(outcome.err(), reason, "{now}");
    }
    let keys = KeySource::remote(issuer.url()).unwrap();
    let elsewhere = Verifier::builder("http://127.0.0.1:1", AUDIENCE, keys).build();
    assert!(elsewhere.is_err(), "an issuer vouches for itself");
}

/// The client is called what the API is called, so that `aud` does not help.
#[actix_web::test]
async fn a090_its_id_tokens_are_refused_under_every_profile() {
    let issuer = issuer();
    // The first has no mark at all; that no client stands beside `aud` gives it away.
    for (name, lax_reason) in [("id_token", Reason::MissingClaim), ("id_token_with_nonce", Reason::WrongType)]
    {
        let token = issuer.token(name);
        for profile in Profile::ALL {
            assert_eq!(refused(issuer.verifier().profile(*profile), token).await, Reason::WrongType);
        }
        let lax = Relaxation::ALL.iter().fold(issuer.verifier(), |builder, one| builder.allow(*one));
        assert_eq!(refused(lax, token).await, lax_reason, "{name}");
    }
}

#[actix_web::test]
async fn the_forms_of_others_need_their_profile() {
    let issuer = issuer();
    for (name, profile) in
        [("keycloak", Profile::Keycloak), ("entra", Profile::Entra), ("auth0", Profile::Auth0)]
    {
        let token = issuer.token(name);
        let claims = verify(issuer.verifier().profile(profile), token).await.unwrap();
        assert_eq!(claims.client_id, "service", "{name}");
        assert!(!claims.jti.is_empty() && claims.require_scope("write").is_ok(), "{name}");
        assert_eq!(claims.require_role("editor").is_ok(), profile == Profile::Keycloak);
        assert_eq!(refused(issuer.verifier(), token).await, Reason::WrongType);
        let tampered = format!("{}.{}", &token[..token.rfind('.').unwrap()], "AAAA");
        assert_eq!(refused(issuer.verifier().profile(profile), &tampered).await, Reason::BadSignature);
    }
    assert!(verify(issuer.verifier().profile(Profile::Auth0), issuer.token("entra")).await.is_ok());
    assert!(verify(issuer.verifier().profile(Profile::Keycloak), issuer.token("auth0")).await.is_err());
}
