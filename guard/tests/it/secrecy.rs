//! What a refusal tells, and to whom.

use std::cell::RefCell;
use std::fmt::{Debug, Write as _};
use std::sync::Once;

use serde_json::json;
use signet_guard::Verifier;
use tracing::field::{Field, Visit};
use tracing::span;

use crate::api::{Answer, answer, assert_invalid_token, bearer, get};
use crate::forge::{
    NOW, claims, foreign_key, good, header, sign, verifier, with_claims, with_header_members, without_claim,
};

thread_local! {
    /// The events of this thread since it began to observe.
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Writes down the events of every thread that observes. One for the process: tracing remembers for each event
/// whether anybody listens, and subscribers of single threads that come and go confuse it.
struct Notebook;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl tracing::Subscriber for Notebook {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("signet_guard")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        LINES.with_borrow_mut(|lines| lines.as_mut().map(|lines| lines.push(line.0)));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// The answer, and what was logged meanwhile.
async fn observed(verifier: &Verifier, request: actix_web::test::TestRequest) -> (Answer, Vec<String>) {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        tracing::subscriber::set_global_default(Notebook).unwrap();
        tracing::callsite::rebuild_interest_cache();
    });
    LINES.set(Some(Vec::new()));
    let answer = answer(verifier, request).await;
    let lines = LINES.take().unwrap();
    (answer, lines)
}

fn bad_tokens() -> Vec<(String, &'static str)> {
    let forged = sign(foreign_key(), header().to_string(), claims().to_string());
    vec![
        ("x".to_owned(), "not-a-compact-jws"),
        ("e".repeat(9000), "token-too-long"),
        (forged, "bad-signature"),
        (with_header_members(json!({ "kid": "unheard-of" })), "unknown-key"),
        (with_header_members(json!({ "alg": "HS256" })), "wrong-algorithm"),
        (with_header_members(json!({ "typ": "JWT" })), "wrong-type"),
        (with_header_members(json!({ "crit": ["x"] })), "critical-header"),
        (with_claims(json!({ "iss": "https://evil.example" })), "wrong-issuer"),
        (with_claims(json!({ "aud": "urn:elsewhere" })), "wrong-audience"),
        (with_claims(json!({ "cnf": {} })), "bound-token"),
        (with_claims(json!({ "nbf": NOW + 3600 })), "not-yet-valid"),
        (with_claims(json!({ "roles": "admin" })), "invalid-claim"),
        (without_claim("jti"), "missing-claim"),
    ]
}

#[actix_web::test]
async fn a105_the_caller_learns_nothing_and_the_log_learns_why_but_not_the_token() {
    for (token, reason) in bad_tokens() {
        let (answer, lines) = observed(&verifier(), bearer("/me", &token)).await;
        assert_invalid_token(&answer);
        assert_eq!(lines.len(), 1, "{lines:?}");
        let line = &lines[0];
        assert!(line.starts_with("INFO") && line.contains(&format!("reason=\"{reason}\"")), "{line}");
        for part in token.split('.').filter(|part| part.len() > 8) {
            assert!(!line.contains(part), "{line}");
        }
    }
}

#[actix_web::test]
async fn a105_only_a_genuine_token_is_told_that_it_expired() {
    let times = json!({ "iat": NOW - 900, "exp": NOW - 300 });
    let (answer, lines) = observed(&verifier(), bearer("/me", &with_claims(times))).await;
    assert_eq!(answer.status, 401);
    assert_eq!(
        answer.challenge.as_deref(),
        Some(
            "Bearer realm=\"api\", error=\"invalid_token\", error_description=\"The access token has expired.\""
        )
    );
    assert_eq!(answer.body["detail"], "The access token has expired.");
    assert!(lines[0].contains("reason=\"expired\""), "{lines:?}");

    let mut expired = claims();
    expired["iat"] = json!(NOW - 900);
    expired["exp"] = json!(NOW - 300);
    let forged = sign(foreign_key(), header().to_string(), expired.to_string());
    expired["aud"] = json!("urn:elsewhere");
    for token in [forged, with_claims(expired)] {
        assert_invalid_token(&observed(&verifier(), bearer("/me", &token)).await.0);
    }
}

#[actix_web::test]
async fn a105_a_stranger_is_noted_quietly_and_a_good_token_not_at_all() {
    let (_, lines) = observed(&verifier(), get("/me")).await;
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("DEBUG") && lines[0].contains("no-token"), "{lines:?}");
    let (answer, lines) = observed(&verifier(), bearer("/read", &good())).await;
    assert_eq!((answer.status, lines.len()), (200, 0), "{lines:?}");
    let (answer, lines) =
        observed(&verifier(), bearer("/read", &with_claims(json!({ "scope": "write" })))).await;
    assert_eq!((answer.status, lines.len()), (403, 1), "{lines:?}");
    assert!(lines[0].contains("missing-scope") && lines[0].contains("subject=\"read\""), "{lines:?}");
}

#[actix_web::test]
async fn a105_text_of_the_token_cannot_forge_a_log_line() {
    let token = with_header_members(json!({ "kid": "a\nINFO reason=\"none\"" }));
    let (_, lines) = observed(&verifier(), bearer("/me", &token)).await;
    assert_eq!(lines.len(), 1);
    assert!(!lines[0].contains('\n'), "{lines:?}");
}
