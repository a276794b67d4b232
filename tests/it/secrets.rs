//! What a thief of the database or of the logs gets: nothing that opens anything.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::{Client, Method, StatusCode};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use rsa::traits::PrivateKeyParts as _;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Column as _, Connection as _, Row as _, SqliteConnection};

use crate::helpers::app::key_pem;
use crate::helpers::process::{Process, command, printed, run};

const PASSWORD: &str = "canary-one: a quiet walk by the sea";
const WRONG: &str = "canary-two: not what was set at all";
const SHORT: &str = "canary-3";
const OPERATOR: &str = "canary-four: set on the terminal";
const EMAIL: &str = "canary-five@example.com";
const NAME: &str = "canary-six";

/// A folder in which every path that sees a secret was taken, with everything logged that can be logged.
struct Scenario {
    folder: tempfile::TempDir,
    token: String,
    device: String,
    refresh: String,
    server: Process,
    client: Client,
}

impl Scenario {
    async fn play() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pem = folder.path().join("own.pem");
        std::fs::write(&pem, key_pem()).unwrap();
        let mut import = command(folder.path());
        import.args(["keys", "import", pem.to_str().unwrap()]).env("SIGNET_LOG", "trace");
        let import = run(import, "");
        assert!(import.status.success(), "{}", printed(&import));
        std::fs::remove_file(&pem).unwrap();

        let mut serve = command(folder.path());
        serve.env("SIGNET_LOG", "trace").env("SIGNET__LOG__FORMAT", "json").env("RUST_BACKTRACE", "1");
        let server = Process::start_command(serve, folder.path()).unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        let post = async |path: &str, body: Value| {
            client.post(format!("{}{path}", server.url)).json(&body).send().await.unwrap()
        };
        let account = json!({ "email": EMAIL, "password": PASSWORD, "name": NAME });
        assert_eq!(post("/api/v1/register", account.clone()).await.status(), StatusCode::CREATED);
        assert_eq!(post("/api/v1/register", account).await.status(), StatusCode::CONFLICT);
        let short = json!({ "email": EMAIL, "password": SHORT, "roles": [SHORT] });
        assert_eq!(post("/api/v1/register", short).await.status(), StatusCode::BAD_REQUEST);
        for email in [EMAIL, "canary-nobody@example.com"] {
            let answer = post("/api/v1/login", json!({ "email": email, "password": WRONG })).await;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        }
        let answer = post("/api/v1/login", json!({ "email": EMAIL, "password": PASSWORD })).await;
        let answer: Value = answer.json().await.unwrap();
        let [token, device, refresh] = ["access_token", "device", "refresh_token"]
            .map(|member| answer[member].as_str().unwrap().to_owned());
        for (text, status) in [(refresh.clone(), 200), (refresh.to_uppercase(), 400), (device.clone(), 400)] {
            let body = json!({ "refresh_token": text });
            assert_eq!(post("/api/v1/refresh", body).await.status(), status);
        }
        let cookie = format!("signet-refresh={refresh}");
        for (origin, path, status) in [("x", "refresh", 403), (&server.url, "logout", 403)] {
            let request = client.post(format!("{}/api/v1/{path}", server.url)).header("origin", origin);
            assert_eq!(request.header("cookie", &cookie).send().await.unwrap().status(), status);
        }
        let ended: Value = post("/api/v1/login", json!({ "email": EMAIL, "password": PASSWORD }))
            .await
            .json()
            .await
            .unwrap();
        let ended = json!({ "refresh_token": ended["refresh_token"] });
        assert_eq!(post("/api/v1/logout", ended).await.status(), StatusCode::NO_CONTENT);
        for text in [device.clone(), device.to_uppercase()] {
            let body = json!({ "email": EMAIL, "password": WRONG, "device": text });
            assert_eq!(post("/api/v1/login", body).await.status(), StatusCode::UNAUTHORIZED);
        }
        for path in
            ["/api/v1/me", &format!("/api/v1/me?access_token={token}"), &format!("/{token}?p={WRONG}")]
        {
            for token in [token.clone(), format!("{token}x"), token.to_uppercase()] {
                let _ = client.get(format!("{}{path}", server.url)).bearer_auth(&token).send().await.unwrap();
                let _ =
                    client.get(format!("{}{path}", server.url)).basic_auth(EMAIL, Some(WRONG)).send().await;
            }
        }
        let change = async |method: Method, path: &str, body: Value| {
            let request =
                client.request(method, format!("{}/api/v1/me{path}", server.url)).bearer_auth(&token);
            request.json(&body).send().await.unwrap().status()
        };
        let changes = json!({ "name": format!("{NAME}-again"), "email": "canary-other@example.com" });
        assert_eq!(change(Method::PATCH, "", changes).await, StatusCode::OK);
        let back = json!({ "email": EMAIL, "name": NAME, "current_password": PASSWORD });
        assert_eq!(change(Method::PATCH, "", back).await, StatusCode::OK);
        for (current, new, status) in [
            (WRONG, PASSWORD, StatusCode::FORBIDDEN),
            (PASSWORD, SHORT, StatusCode::BAD_REQUEST),
            (PASSWORD, PASSWORD, StatusCode::NO_CONTENT),
        ] {
            let passwords = json!({ "current_password": current, "new_password": new });
            assert_eq!(change(Method::PUT, "/password", passwords).await, status);
        }
        let wrong = json!({ "current_password": WRONG });
        assert_eq!(change(Method::DELETE, "", wrong).await, StatusCode::FORBIDDEN);
        let mut set = command(folder.path());
        set.args(["user", "set-password", EMAIL, "--password-stdin"]).env("SIGNET_LOG", "trace");
        let set = run(set, &format!("{OPERATOR}\n"));
        assert!(set.status.success());
        std::fs::write(folder.path().join("log-of-the-command"), &set.stderr).unwrap();
        std::fs::write(folder.path().join("log-of-the-import"), [import.stdout, import.stderr].concat())
            .unwrap();
        Self { folder, token, device, refresh, server, client }
    }

    /// Signatures are what makes a token a secret; its claims are in the audit log by right.
    fn signature(&self) -> &str {
        self.token.rsplit_once('.').unwrap().1
    }
}

fn assert_absent(what: &str, bytes: &[u8], canaries: &[&[u8]]) {
    for canary in canaries {
        let found = bytes.windows(canary.len()).position(|window| window == *canary);
        if let Some(at) = found {
            let around =
                String::from_utf8_lossy(&bytes[at.saturating_sub(300)..(at + canary.len()).min(bytes.len())]);
            panic!("{what} holds {}: …{around}", String::from_utf8_lossy(canary));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a136_no_secret_reaches_a_log_even_when_everything_is_logged() {
    let scenario = Scenario::play().await;
    let signature = scenario.signature().to_owned();
    let upper = signature.to_uppercase();
    let canaries: Vec<&[u8]> = vec![
        b"canary-",
        b"sgd_",
        b"sgr_",
        b"SGR_",
        signature.as_bytes(),
        upper.as_bytes(),
        b"BEGIN PRIVATE KEY",
        b"$argon2id$",
    ];
    let mut logs = 0;
    for file in std::fs::read_dir(scenario.folder.path()).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("log-") {
            logs += 1;
            assert_absent(&path.display().to_string(), &std::fs::read(&path).unwrap(), &canaries);
        }
    }
    assert_eq!(logs, 3);
    let log = scenario.server.logged();
    assert!(
        log.contains("\"level\":\"TRACE\"") || log.contains("\"level\":\"DEBUG\""),
        "the log is as loud as it can be"
    );
    for event in [
        "user.registered",
        "login.success",
        "login.fail",
        "unknown-user",
        "wrong-password",
        "refresh.success",
        "refresh.fail",
        "csrf.reject",
        "session.ended",
    ] {
        assert!(log.contains(event), "{event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a132_the_database_holds_no_password_no_token_and_no_private_key() {
    let scenario = Scenario::play().await;
    let key = RsaPrivateKey::from_pkcs8_pem(key_pem()).unwrap();
    let der = key.to_pkcs8_der().unwrap();
    let prime = key.primes()[0].to_bytes_be();
    let exponent = key.d().to_bytes_be();
    let canaries: Vec<&[u8]> = vec![
        PASSWORD.as_bytes(),
        WRONG.as_bytes(),
        OPERATOR.as_bytes(),
        SHORT.as_bytes(),
        scenario.signature().as_bytes(),
        &scenario.device.as_bytes()[..40],
        &scenario.refresh.as_bytes()[60..],
        b"canary-nobody",
        b"sgd_",
        b"sgr_",
        b"eyJ",
        &der.as_bytes()[40..80],
        &prime,
        &exponent[..32],
    ];
    let data = scenario.folder.path().join("data");
    let mut bytes = 0;
    for file in std::fs::read_dir(&data).unwrap() {
        let path = file.unwrap().path();
        let content = std::fs::read(&path).unwrap();
        bytes += content.len();
        assert_absent(&path.display().to_string(), &content, &canaries);
    }
    assert!(bytes > 10_000, "there was something to look at");
}

#[tokio::test(flavor = "multi_thread")]
async fn a132_the_audit_log_holds_ids_and_reasons_and_nothing_that_somebody_typed() {
    let scenario = Scenario::play().await;
    let Scenario { folder, server, token, device, .. } = scenario;
    assert_eq!(server.stop(), Some(0));
    let mut audit = command(folder.path());
    audit.args(["audit", "--json"]);
    let audit = run(audit, "");
    let rows = String::from_utf8_lossy(&audit.stdout).into_owned();
    let events = ["key.imported", "user.registered", "login.success", "login.fail", "password.changed"];
    for event in events {
        assert!(rows.contains(event), "{event}: {}", printed(&audit));
    }
    let signature = token.rsplit_once('.').unwrap().1;
    let canaries: [&[u8]; 8] = [
        b"canary",
        b"@example.com",
        b"sgd_",
        b"sgr_",
        b"eyJ",
        signature.as_bytes(),
        &device.as_bytes()[4..40],
        b"$argon2id$",
    ];
    assert_absent("the audit log", rows.as_bytes(), &canaries);
}

#[tokio::test(flavor = "multi_thread")]
async fn a133_nothing_that_is_stored_opens_anything() {
    let scenario = Scenario::play().await;
    let values = stored_values(&scenario.folder.path().join("data/signet.db")).await;
    assert!(values.iter().any(|value| value.starts_with("$argon2id$")), "{values:?}");
    let url = &scenario.server.url;
    let file = SqliteConnectOptions::new().filename(scenario.folder.path().join("data/signet.db"));
    let mut thief = SqliteConnection::connect_with(&file).await.unwrap();
    for value in &values {
        // Not the throttle shall refuse it.
        sqlx::query("DELETE FROM throttles").execute(&mut thief).await.unwrap();
        let body = json!({ "email": EMAIL, "password": value, "device": value });
        let login = scenario.client.post(format!("{url}/api/v1/login")).json(&body).send().await.unwrap();
        assert_eq!(login.status(), StatusCode::UNAUTHORIZED, "{value}");
        let me = scenario.client.get(format!("{url}/api/v1/me")).bearer_auth(value).send().await.unwrap();
        assert!(matches!(me.status().as_u16(), 400 | 401 | 431), "{value}");
        for token in [value.clone(), format!("sgr_{value}")] {
            let body = json!({ "refresh_token": token });
            let refresh =
                scenario.client.post(format!("{url}/api/v1/refresh")).json(&body).send().await.unwrap();
            assert_eq!(refresh.status(), StatusCode::BAD_REQUEST, "{value}");
        }
    }
}

/// Every value of every table that can be sent, each once: text as it is and bytes in base64.
async fn stored_values(file: &Path) -> BTreeSet<String> {
    use base64::Engine as _;
    let mut connection =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file).read_only(true))
            .await
            .unwrap();
    let tables: Vec<(String,)> = sqlx::query_as("SELECT name FROM sqlite_master WHERE type = 'table'")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let mut values = BTreeSet::new();
    for (table,) in tables {
        let query = sqlx::AssertSqlSafe(format!("SELECT * FROM \"{table}\""));
        for row in sqlx::query(query).fetch_all(&mut connection).await.unwrap() {
            for column in row.columns() {
                if let Ok(text) = row.try_get::<String, _>(column.ordinal()) {
                    values.insert(text);
                } else if let Ok(bytes) = row.try_get::<Vec<u8>, _>(column.ordinal()) {
                    values.insert(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes));
                }
            }
        }
    }
    values.retain(|value| value.bytes().all(|byte| byte.is_ascii_graphic()));
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn a135_what_a_caller_sends_cannot_forge_a_log_line() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["json", "text"] {
        let mut serve = command(folder.path());
        serve.env("SIGNET__LOG__FORMAT", format);
        let server = Process::start_command(serve, folder.path()).unwrap();
        let forged = "\r\n{\"event\":\"login.success\",\"forged\":true}\u{1b}[2J";
        let client = Client::builder().no_proxy().build().unwrap();
        let body = json!({ "email": format!("x{forged}@example.com"), "password": PASSWORD, "name": forged, forged: 1 });
        for path in ["/api/v1/register", "/api/v1/login"] {
            let answer = client.post(format!("{}{path}", server.url)).json(&body).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        }
        let path = "/%0d%0a%1b[2Jforged%22%7d";
        let agent = client
            .get(format!("{}{path}", server.url))
            .header("user-agent", "forged\"}{")
            .send()
            .await
            .unwrap();
        assert_eq!(agent.status(), StatusCode::NOT_FOUND);
        let lines = crate::helpers::raw::exchange(
            &server.url,
            "GET /health/live?x=forged HTTP/1.1\r\nhost: forged\r\nconnection: close\r\n\r\n",
        );
        assert!(lines.starts_with("HTTP/1.1 200"));
        let method = "forged /docs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        assert!(crate::helpers::raw::exchange(&server.url, method).starts_with("HTTP/1.1 405"));
        let log = server.logged();
        assert!(!log.contains("forged"), "{log}");
        assert!(log.contains("unmatched"), "{log}");
        assert!(!log.contains('\u{1b}'), "no colours but on a terminal: {log}");
        if format == "json" {
            for line in log.lines() {
                assert!(serde_json::from_str::<Value>(line).is_ok(), "one record a line: {line}");
            }
        }
        assert_eq!(server.stop(), Some(0));
    }
}
