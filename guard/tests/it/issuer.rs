//! An issuer on loopback that publishes status lists, well or badly, and remembers who asked for what.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use miniz_oxide::deflate::compress_to_vec_zlib;
use serde_json::{Value, json};
use signet_guard::{KeySource, Reason, StatusSource, Verifier, VerifierBuilder};

use crate::forge::{AUDIENCE, NOW, b64, claims, clock, header, key, key_set, sign};

/// What is asked about a list.
#[derive(Clone)]
pub(crate) struct Published {
    pub(crate) token: Vec<u8>,
    pub(crate) version: Option<u64>,
}

/// What is said to a version that never was.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beyond {
    /// That versions count anew.
    #[default]
    Restart,
    /// The version of now, and nothing else.
    Silent,
    /// 400.
    Refused,
}

#[derive(Default)]
struct State {
    version: u64,
    lists: HashMap<String, Published>,
    changes: Vec<(u64, String)>,
    /// What polls are answered at once, whatever they ask.
    canned: Option<(u16, String)>,
    /// How many more polls are answered so.
    helpings: usize,
    beyond: Beyond,
    /// Connections are closed without a word.
    is_down: bool,
    /// Lists are not answered meanwhile.
    holds_lists: bool,
    /// Path and query of every request, and the `Prefer` of a poll or the `Signet-Status-Version` of a list.
    requests: Vec<(String, Option<String>)>,
    /// How many polls wait for a change.
    waiting: usize,
}

#[derive(Clone)]
pub(crate) struct Issuer {
    url: String,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Issuer {
    /// With version 1 and one list in which nothing is revoked.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let issuer = Self { url, state: Arc::default() };
        issuer.state().version = 1;
        issuer.publish(0, &[0; 8]);
        let inside = issuer.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let issuer = inside.clone();
                thread::spawn(move || issuer.serve(connection));
            }
        });
        issuer
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap()
    }

    /// Changes something and wakes all who wait.
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.state.1.notify_all();
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn uri(&self, list: u64) -> String {
        format!("{}/status/{list}", self.url)
    }

    /// Signs this list, and announces it.
    pub(crate) fn publish(&self, list: u64, bits: &[u8]) {
        let token = list_token(&list_claims(self, list, bits));
        self.change(|state| {
            state.version += 1;
            let version = Some(state.version);
            state.lists.insert(format!("/status/{list}"), Published { token: token.into(), version });
            state.changes.push((state.version, format!("{}/status/{list}", self.url)));
        });
    }

    /// Serves this instead, and announces it or not.
    pub(crate) fn serve_list(&self, list: u64, published: Published, announced: bool) {
        self.change(|state| {
            if announced {
                state.version += 1;
                state.changes.push((state.version, format!("{}/status/{list}", self.url)));
            }
            state.lists.insert(format!("/status/{list}"), published);
        });
    }

    /// A change that concerns nobody; polls that wait are answered.
    pub(crate) fn nudge(&self) {
        self.change(|state| {
            state.version += 1;
            state.changes.push((state.version, "https://elsewhere.example/status/0".to_owned()));
        });
    }

    pub(crate) fn version(&self) -> u64 {
        self.state().version
    }

    pub(crate) fn set_version(&self, version: u64) {
        self.change(|state| {
            state.version = version;
            state.changes.clear();
        });
    }

    /// Answers so many polls with this, and at once.
    pub(crate) fn can(&self, helpings: usize, status: u16, body: &str) {
        self.change(|state| {
            state.canned = Some((status, body.to_owned()));
            state.helpings = helpings;
        });
    }

    pub(crate) fn say_beyond(&self, beyond: Beyond) {
        self.change(|state| state.beyond = beyond);
    }

    pub(crate) fn stop(&self) {
        self.change(|state| state.is_down = true);
    }

    pub(crate) fn restart(&self) {
        self.change(|state| state.is_down = false);
    }

    pub(crate) fn hold_lists(&self, holds: bool) {
        self.change(|state| state.holds_lists = holds);
    }

    pub(crate) fn requests(&self) -> Vec<(String, Option<String>)> {
        self.state().requests.clone()
    }

    pub(crate) fn polls(&self) -> usize {
        self.state().requests.iter().filter(|(path, _)| path.split('?').next() == Some("/status")).count()
    }

    /// How often this list was asked for.
    pub(crate) fn fetches(&self, list: u64) -> usize {
        let wanted = format!("/status/{list}");
        self.state().requests.iter().filter(|(path, _)| *path == wanted).count()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.state().waiting
    }

    fn serve(&self, mut connection: TcpStream) -> Option<()> {
        let mut lines = BufReader::new(connection.try_clone().ok()?).lines();
        let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
        let mut wish = None;
        loop {
            let line = lines.next()?.ok()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            let wished =
                line.strip_prefix("prefer: ").or_else(|| line.strip_prefix("signet-status-version: "));
            wish = wished.map(str::to_owned).or(wish);
        }
        let mut state = self.state();
        if state.is_down {
            return None;
        }
        state.requests.push((path.clone(), wish.clone()));
        let (status, etag, body) = match path.strip_prefix("/status").filter(|rest| !rest.starts_with('/')) {
            Some(query) => {
                let (status, body) = self.poll(state, query, wish.as_deref())?;
                (status, String::new(), body.into_bytes())
            }
            None => {
                let changed = &self.state.1;
                let state = changed.wait_while(state, |state| state.holds_lists && !state.is_down).ok()?;
                if state.is_down {
                    return None;
                }
                match state.lists.get(&path) {
                    Some(list) => {
                        let etag = list.version.map(|version| format!("etag: \"{version}-1-k1\"\r\n"));
                        (200, etag.unwrap_or_default(), list.token.clone())
                    }
                    None => (404, String::new(), Vec::new()),
                }
            }
        };
        let length = body.len();
        write!(
            connection,
            "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n{etag}\r\n"
        )
        .ok()?;
        connection.write_all(&body).ok()
    }

    fn poll(
        &self,
        mut state: MutexGuard<'_, State>,
        query: &str,
        prefer: Option<&str>,
    ) -> Option<(u16, String)> {
        let since: Option<u64> = query.strip_prefix("?since=").map(|since| since.parse().unwrap());
        let wait = prefer.map_or(0, |prefer| prefer.strip_prefix("wait=").unwrap().parse().unwrap());
        state.waiting += 1;
        let has_word = |state: &mut State| {
            state.is_down || state.canned.is_some() || since.is_none_or(|since| since != state.version)
        };
        let (mut state, _) = self
            .state
            .1
            .wait_timeout_while(state, Duration::from_secs(wait), |state| !has_word(state))
            .ok()?;
        state.waiting -= 1;
        if state.is_down {
            return None;
        }
        if let Some(canned) = state.canned.take() {
            state.helpings -= 1;
            if state.helpings > 0 {
                state.canned = Some(canned.clone());
            }
            return Some(canned);
        }
        let version = state.version;
        let lists = |since: u64| -> Vec<&str> {
            state.changes.iter().filter(|(at, _)| *at > since).map(|(_, uri)| uri.as_str()).collect()
        };
        let answer = match since {
            None => json!({ "version": version, "lists": [] }),
            Some(since) if since > version => match state.beyond {
                Beyond::Restart => json!({ "version": version, "lists": [], "restart": true }),
                Beyond::Silent => json!({ "version": version, "lists": [] }),
                Beyond::Refused => return Some((400, "{}".to_owned())),
            },
            Some(since) => json!({ "version": version, "lists": lists(since) }),
        };
        Some((200, answer.to_string()))
    }
}

pub(crate) fn list_claims(issuer: &Issuer, list: u64, bits: &[u8]) -> Value {
    json!({
        "iss": issuer.url(), "sub": issuer.uri(list), "iat": NOW, "exp": NOW + 300, "ttl": 60,
        "status_list": { "bits": 1, "lst": b64(compress_to_vec_zlib(bits, 9)) },
    })
}

pub(crate) fn list_header() -> Value {
    json!({ "alg": "RS256", "typ": "statuslist+jwt", "kid": "k1" })
}

pub(crate) fn list_token(claims: &Value) -> String {
    sign(key(), list_header().to_string(), claims.to_string())
}

/// A token of this issuer whose status is this entry of its list.
pub(crate) fn token(issuer: &Issuer, list: u64, idx: u64) -> String {
    token_with(issuer, json!({ "status_list": { "idx": idx, "uri": issuer.uri(list) } }))
}

pub(crate) fn token_with(issuer: &Issuer, status: Value) -> String {
    let mut claims = claims();
    claims["iss"] = json!(issuer.url());
    claims["jti"] = json!(status.to_string());
    if !status.is_null() {
        claims["status"] = status;
    }
    sign(key(), header().to_string(), claims.to_string())
}

pub(crate) fn source(issuer: &Issuer) -> StatusSource {
    StatusSource::remote(issuer.url()).unwrap()
}

pub(crate) fn builder(issuer: &Issuer) -> VerifierBuilder {
    Verifier::builder(issuer.url(), AUDIENCE, KeySource::fixed(key_set())).clock(clock())
}

pub(crate) fn verifier(issuer: &Issuer) -> Verifier {
    builder(issuer).status(source(issuer)).build().unwrap()
}

pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await; // poll: another thread must do it
    }
}

/// Why the token is refused, if it is.
pub(crate) async fn reason(verifier: &Verifier, token: &str) -> Option<Reason> {
    verifier.verify(token).await.err().map(|refusal| refusal.reason())
}

/// Waits until the token is refused for that reason: the first look at a list has a second, which a busy machine may use up.
pub(crate) async fn until_refused(verifier: &Verifier, token: &str, expected: Reason) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while reason(verifier, token).await != Some(expected) {
        assert!(Instant::now() < deadline, "still not {expected}");
        tokio::time::sleep(Duration::from_millis(5)).await; // poll: another thread must learn it
    }
}
