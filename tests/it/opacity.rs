//! What a caller learns when the database is broken: that something is, and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::json;
use signet::config::DatabaseUrl;
use signet::http::ROUTES;

use crate::helpers::app::{PASSWORD, TestApp};
use crate::helpers::db::{TestDatabase, on_both_engines};

/// Every table of the schema, so that a new one is broken too.
fn tables() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let mut tables = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let names = text.lines().filter_map(|line| line.strip_prefix("CREATE TABLE "));
        tables.extend(names.map(|name| name.split([' ', '(']).next().unwrap().to_owned()));
    }
    assert!(tables.contains(&"users".to_owned()), "{tables:?}");
    tables
}

/// Fails when an answer names anything of what is behind it.
async fn assert_opaque(what: &str, answer: Response) -> u16 {
    let status = answer.status().as_u16();
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let is_problem = answer.headers().get("content-type").is_some_and(|t| t == "application/problem+json");
    assert!(
        answer.status().is_success() || is_problem || answer.content_length() == Some(0),
        "{what}: {answer:?}"
    );
    if status >= 500 {
        assert!(matches!(status, 500 | 503), "{what}: {status}");
        assert_eq!(answer.headers()["cache-control"], "no-store", "{what}");
        assert_eq!(answer.headers().contains_key("retry-after"), status == 503, "{what}");
    }
    if answer.status().is_success() {
        return status;
    }
    let headers = format!("{:?}", answer.headers()).to_lowercase();
    let body = answer.text().await.unwrap();
    assert!(body.is_empty() || body.contains(&format!("urn:uuid:{id}")), "{what}: {body}");
    let told = format!("{headers}{}", body.to_lowercase());
    let mut words =
        ["sql", "postgres", "select ", "insert ", "update ", "relation", "table", "column", "syntax"]
            .map(str::to_owned)
            .to_vec();
    words.extend(
        ["no such", "malformed", "connection refused", ".db", "/tmp", "src/", "panicked", "signet_"]
            .map(str::to_owned),
    );
    words.extend(tables().into_iter().filter(|table| table.contains('_')));
    words.extend(["carol@", "bob@", PASSWORD].map(str::to_owned));
    for word in words {
        assert!(!told.contains(&word), "{what} tells {word:?}: {told}");
    }
    status
}

/// Every route with every method, as nobody and with a token, with good bodies and bad ones; the statuses of those
/// that cannot do without a database.
async fn try_everything(app: &TestApp, token: &str) -> BTreeSet<u16> {
    let mut of_the_needy = BTreeSet::new();
    let known = json!({ "email": "carol@example.com", "password": PASSWORD });
    let fresh = json!({ "email": "bob@example.com", "password": PASSWORD });
    for route in ROUTES {
        let path = route.path.replace("{file}", "docs.js").replace("{list}", "0");
        let path = path.replace("{id}", "AAAAAAAAAAAAAAAAAAAAAA");
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            let request = || app.request(Method::from_bytes(method.as_bytes()).unwrap(), &path);
            let what = format!("{method} {path}");
            for request in [
                request(),
                request().bearer_auth(token),
                request().bearer_auth("x.y.z"),
                request().body("{}"),
            ] {
                assert_opaque(&what, request.send().await.unwrap()).await;
            }
            for body in [json!({}), json!({ "email": "' OR 1=1 --", "password": "x" })] {
                assert_opaque(&what, request().json(&body).send().await.unwrap()).await;
            }
        }
    }
    for (path, body) in [("/api/v1/login", &known), ("/api/v1/login", &fresh), ("/api/v1/register", &fresh)] {
        of_the_needy.insert(assert_opaque(path, app.post(path, body).await).await);
    }
    of_the_needy.insert(assert_opaque("me", app.get_with_token("/api/v1/me", token).await).await);
    of_the_needy.insert(assert_opaque("ready", app.get("/health/ready").await).await);
    for path in ["/health/live", "/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/docs"]
    {
        assert_eq!(app.get(path).await.status(), 200, "{path} needs no database");
    }
    of_the_needy
}

async fn app_on(database: &TestDatabase) -> (TestApp, String) {
    let mut config = database.config.clone();
    config.busy_timeout = Duration::from_millis(300);
    let app = TestApp::spawn_on(config).await;
    app.register("carol@example.com").await;
    let token = app.token("carol@example.com").await;
    (app, token)
}

async fn works(app: &TestApp, token: &str) {
    assert_eq!(app.get_with_token("/api/v1/me", token).await.status(), 200);
    assert_eq!(app.login("carol@example.com", PASSWORD).await.status(), 200);
    assert_eq!(app.get("/health/ready").await.status(), 200);
}

on_both_engines! {
    async fn a_broken_schema_is_never_quoted_on_any_route_and_mending_it_is_enough(database) {
        let (app, token) = app_on(database).await;
        let mut outside = database.outside().await;
        let rename = |from: &str, to: &str| format!("ALTER TABLE {from} RENAME TO {to}");
        for table in tables() {
            outside.execute(&rename(&table, &format!("{table}_gone"))).await;
        }
        let found = try_everything(&app, &token).await;
        assert!(found.iter().all(|status| matches!(status, 500 | 503)), "{found:?}");
        for table in tables() {
            outside.execute(&rename(&format!("{table}_gone"), &table)).await;
        }
        works(&app, &token).await;
        assert_eq!(app.count_users().await, 1, "nothing was half done");
    }

    async fn a_database_that_is_gone_is_never_quoted_on_any_route(database) {
        let (app, token) = app_on(database).await;
        match &database.config.url {
            DatabaseUrl::Sqlite(path) => {
                // Somebody changes something, so that no page that is kept in memory will do, and writes over the files.
                database.outside().await.execute("CREATE TABLE other (one INTEGER)").await;
                for file in [path.clone(), path.with_extension("db-wal")] {
                    let length = std::fs::metadata(&file).unwrap().len();
                    let rubbish = vec![0x5a; usize::try_from(length).unwrap()];
                    use std::io::Write as _;
                    let mut open = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
                    open.write_all(&rubbish).unwrap();
                }
                let found = try_everything(&app, &token).await;
                assert!(found.iter().any(|status| *status >= 500), "{found:?}");
            }
            DatabaseUrl::Postgres(url) => {
                // No connection is let in, and those that there are end.
                let (server, name) = url.expose().rsplit_once('/').unwrap();
                let mut admin = database_server(server).await;
                admin.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
                // One that was let in a moment before may show only now.
                let there = format!("FROM pg_stat_activity WHERE datname = '{name}'");
                for _ in 0..20 {
                    admin.execute(&format!("SELECT pg_terminate_backend(pid) {there}")).await;
                    while admin.number(&format!("SELECT count(*) {there}")).await > 0 {
                        tokio::time::sleep(Duration::from_millis(10)).await; // poll: until they have ended
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await; // poll: whether another one shows
                }
                let found = try_everything(&app, &token).await;
                assert!(found.iter().all(|status| matches!(status, 500 | 503)), "{found:?}");
                admin.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
                works(&app, &token).await;
            }
        }
    }
}

async fn database_server(server: &str) -> crate::helpers::db::Outside {
    let url = DatabaseUrl::Postgres(signet::config::PostgresUrl::new(format!("{server}/postgres")));
    crate::helpers::db::connect(&crate::helpers::db::at(url)).await
}
