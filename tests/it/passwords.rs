//! Passwords at the door: what is accepted, what is stored, and what a stored hash can do to us.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;
use signet::account::Email;
use signet::config::HashCost;
use signet::flow::accounts;

use crate::helpers::app::{PASSWORD, TestApp, json_of};

/// Writes a stored hash behind the service's back.
async fn plant(app: &TestApp, email: &str, phc: &str) {
    let user = accounts::by_email(&app.app, Email::parse(email).unwrap()).await.unwrap().unwrap();
    let now = app.app.clock.now();
    let unit = (user.id, phc.to_owned(), now);
    app.app
        .db
        .write(unit, |tx, (user, phc, now)| Box::pin(async move { tx.put_password(user, phc, *now).await }))
        .await
        .unwrap();
}

async fn stored(app: &TestApp, email: &str) -> String {
    let email = Email::parse(email).unwrap();
    let candidate = app
        .app
        .db
        .read(email, |tx, email| Box::pin(async move { tx.sign_in_candidate(email).await }))
        .await
        .unwrap();
    candidate.unwrap().password.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a002_an_older_hash_is_replaced_at_the_next_sign_in_and_costs_an_attacker_no_less_time() {
    let dear = HashCost { memory_kib: 8192, iterations: 2, parallelism: 1 };
    let app = TestApp::spawn_with(|config| config.passwords.cost = dear).await;
    app.register("ann@example.com").await;

    let cheap = HashCost { memory_kib: 1024, iterations: 1, parallelism: 1 };
    let old = TestApp::spawn_with(|config| config.passwords.cost = cheap).await;
    old.register("ann@example.com").await;
    let outdated = stored(&old, "ann@example.com").await;
    assert!(outdated.contains("m=1024,t=1"), "{outdated}");
    plant(&app, "ann@example.com", &outdated).await;

    // Interleaved, so that whatever else the machine does falls on both alike.
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for _ in 0..25 {
        for (email, times) in [("ann@example.com", &mut known), ("bob@example.com", &mut unknown)] {
            let started = Instant::now();
            assert_eq!(
                app.login(email, "not the right pass phrase").await.status(),
                StatusCode::UNAUTHORIZED
            );
            times.push(started.elapsed());
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64()
    };
    let ratio = median(&mut known) / median(&mut unknown);
    assert!(
        (0.6..1.7).contains(&ratio),
        "an older hash is answered in {ratio:.2} of the time of an unknown address"
    );

    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::OK);
    let renewed = stored(&app, "ann@example.com").await;
    assert!(renewed.contains("m=8192,t=2"), "{renewed}");
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::OK);
    assert_eq!(stored(&app, "ann@example.com").await, renewed, "once is enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn a003_a_stored_hash_cannot_make_us_spend_memory_time_or_the_process() {
    let app = TestApp::spawn().await;
    app.register("ann@example.com").await;
    let good = stored(&app, "ann@example.com").await;
    let tail = good.splitn(5, '$').nth(4).unwrap();
    let megabyte = format!("$argon2id$v=19$m=64,t=1,p=1${}", "A".repeat(1_000_000));
    let hostile = [
        format!("$argon2id$v=19$m=16777216,t=1,p=1${tail}"),
        format!("$argon2id$v=19$m=64,t=4294967295,p=1${tail}"),
        format!("$argon2id$v=19$m=64,t=1,p=16777215${tail}"),
        format!("$argon2i$v=19$m=64,t=1,p=1${tail}"),
        format!("$argon2d$v=19$m=64,t=1,p=1${tail}"),
        format!("$argon2id$v=16$m=64,t=1,p=1${tail}"),
        format!("$argon2id$v=19$m=8,t=1,p=1${tail}"),
        String::new(),
        "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW".to_owned(),
        "pässwörd-häsh".to_owned(),
        megabyte,
    ];
    for phc in hostile {
        plant(&app, "ann@example.com", &phc).await;
        let started = Instant::now();
        let answer = app.login("ann@example.com", PASSWORD).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{phc:.60}");
        let problem = json_of(answer).await;
        assert_eq!(problem["type"], "urn:signet:problem:sign-in-refused");
        assert!(started.elapsed() < Duration::from_secs(5), "{phc:.60}");
    }
    plant(&app, "ann@example.com", &good).await;
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a004_long_passwords_work_up_to_the_limit_and_cost_nothing_beyond_it() {
    let app = TestApp::spawn_with(|config| config.passwords.max_length = 1024).await;
    let phrase = |length: usize| {
        "a sentence nobody else would write down ".chars().cycle().take(length).collect::<String>()
    };
    let varied = |length: usize| {
        // No short unit repeated: the policy would see that.
        let mut text = String::new();
        let mut number = 7_u64;
        while text.len() < length {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push(char::from(b'a' + u8::try_from((number >> 33) % 26).unwrap()));
        }
        text
    };
    for length in [64, 1024] {
        let email = format!("n{length}@example.com");
        let body = json!({ "email": email, "password": varied(length) });
        assert_eq!(app.post("/api/v1/register", &body).await.status(), StatusCode::CREATED, "{length}");
        assert_eq!(app.login(&email, &varied(length)).await.status(), StatusCode::OK);
        let shorter = app.login(&email, &varied(length - 1)).await;
        assert_eq!(shorter.status(), StatusCode::UNAUTHORIZED, "the whole password counts");
    }
    let over = json!({ "email": "over@example.com", "password": varied(1025) });
    let answer = app.post("/api/v1/register", &over).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(json_of(answer).await["errors"][0]["field"], "password");
    let refused = json_of(app.login("n64@example.com", &phrase(1025)).await).await;
    assert_eq!(refused["type"], "urn:signet:problem:sign-in-refused");
    for path in ["/api/v1/register", "/api/v1/login"] {
        let body = json!({ "email": "ann@example.com", "password": phrase(1_048_576) });
        assert_eq!(app.post(path, &body).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a005_a_password_is_matched_exactly() {
    let app = TestApp::spawn().await;
    let long = "correct horse battery staple, and then some more words to pass the seventy-second byte";
    let cases = [
        (" a quiet walk by the sea", "a quiet walk by the sea"),
        ("a quiet walk by the sea ", "a quiet walk by the sea"),
        ("a quiet walk by the Sea!", "a quiet walk by the sea!"),
        ("🌊🚶🏽 a quiet walk 🌊🚶🏽", "🌊🚶🏾 a quiet walk 🌊🚶🏾"),
        (long, &long[..72]),
        (long, "correct horse battery staple, and then some more words to pass the seventY-second byte"),
        (long, "correct horse battery staple, and then some more words to pass the seventy-second bytE"),
    ];
    for (index, (password, other)) in cases.iter().enumerate() {
        let email = format!("n{index}@example.com");
        let body = json!({ "email": email, "password": password });
        assert_eq!(app.post("/api/v1/register", &body).await.status(), StatusCode::CREATED, "{password:?}");
        assert_eq!(app.login(&email, password).await.status(), StatusCode::OK, "{password:?}");
        assert_eq!(app.login(&email, other).await.status(), StatusCode::UNAUTHORIZED, "{other:?}");
    }
    // One exception, on purpose: Unicode has two ways to write é, and keyboards differ (RFC 8265 §4.2: NFC).
    let body = json!({ "email": "nfc@example.com", "password": "caf\u{e9} au bord de la mer" });
    assert_eq!(app.post("/api/v1/register", &body).await.status(), StatusCode::CREATED);
    assert_eq!(app.login("nfc@example.com", "cafe\u{301} au bord de la mer").await.status(), StatusCode::OK);

    for (password, fits) in
        [("fourteen chars", false), ("fifteen letters", true), ("ぴったりじゅうごもじのごうことば", true)]
    {
        let body = json!({ "email": format!("p{}@example.com", password.len()), "password": password });
        let answer = app.post("/api/v1/register", &body).await;
        assert_eq!(answer.status() == StatusCode::CREATED, fits, "{password}");
    }
    // The command line takes one, so the door must too.
    let nul = json!({ "email": "nul@example.com", "password": "a quiet walk\u{0} by the sea" });
    assert_eq!(app.post("/api/v1/register", &nul).await.status(), StatusCode::CREATED);
    let login = async |password| app.login("nul@example.com", password).await.status();
    assert_eq!(login("a quiet walk\u{0} by the sea").await, StatusCode::OK);
    for other in ["a quiet walk", "a quiet walk by the sea", "a quiet walk\u{0} by the land"] {
        assert_eq!(login(other).await, StatusCode::UNAUTHORIZED, "{other:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lower_limit_for_new_passwords_locks_nobody_out() {
    let before = TestApp::spawn_with(|config| config.passwords.max_length = 1024).await;
    let password = "one long sentence, number 1; another one, number 2; and a third; ".repeat(5);
    let body = json!({ "email": "ann@example.com", "password": password });
    assert_eq!(before.post("/api/v1/register", &body).await.status(), StatusCode::CREATED);

    let after = TestApp::spawn_with(|config| config.passwords.max_length = 128).await;
    after.register("ann@example.com").await;
    plant(&after, "ann@example.com", &stored(&before, "ann@example.com").await).await;
    assert_eq!(after.login("ann@example.com", &password).await.status(), StatusCode::OK);
    let fresh = json!({ "email": "bob@example.com", "password": password });
    assert_eq!(after.post("/api/v1/register", &fresh).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a013_guessable_passwords_are_refused_with_the_reason_and_long_plain_ones_accepted() {
    let app = TestApp::spawn_with(|config| config.passwords.min_length = 8).await;
    let refused = [
        "password",
        "Password",
        "PASSWORD1",
        "12345678",
        "qwertyuiop",
        "iloveyou",
        "sunshine1",
        "aaaaaaaaaaaa",
        "abcdefghijkl",
        "abcabcabcabc",
        "passwordpassword",
        "ann.baker@example.com",
        "annbaker1",
        "signetsignet",
        "Example.com1",
        "AnnaliseBaker",
    ];
    for password in refused {
        let body = json!({ "email": "annbaker@example.com", "password": password, "name": "Annalise Baker" });
        let answer = app.post("/api/v1/register", &body).await;
        if answer.status() == StatusCode::CREATED {
            panic!("{password} was accepted");
        }
        let problem = json_of(answer).await;
        assert_eq!(problem["errors"][0]["field"], "password", "{problem}");
        assert!(problem["errors"][0]["detail"].as_str().unwrap().len() > 20, "{problem}");
        let told = problem["errors"][0]["detail"].as_str().unwrap();
        assert!(!told.split(' ').any(|word| word == password), "{problem}");
    }
    let phrase = "when the rain had gone we took the slow road home past the mill and counted every lamp on the way in";
    for password in [phrase, "tea with two sugars", "ünïcödé fräse zwölf"] {
        let body = json!({ "email": format!("u{}@example.com", password.len()), "password": password });
        assert_eq!(app.post("/api/v1/register", &body).await.status(), StatusCode::CREATED, "{password}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_wrong_and_disabled_are_one_answer_byte_for_byte() {
    let app = TestApp::spawn().await;
    app.register("ann@example.com").await;
    app.register("bob@example.com").await;
    accounts::disable(&app.app, Email::parse("bob@example.com").unwrap()).await.unwrap();
    let mut answers = std::collections::HashSet::new();
    for (email, password) in [
        ("nobody@example.com", PASSWORD),
        ("ann@example.com", "not the right pass phrase"),
        ("bob@example.com", PASSWORD),
        ("bob@example.com", "not the right pass phrase"),
    ] {
        let answer = app.login(email, password).await;
        let status = answer.status();
        let mut headers: Vec<_> = answer
            .headers()
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id"))
            .map(|(name, value)| format!("{name}: {value:?}"))
            .collect();
        headers.sort();
        let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        let body = answer.text().await.unwrap().replace(&id, "");
        answers.insert((status, headers, body));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers.into_iter().next().unwrap().0, StatusCode::UNAUTHORIZED);
}
