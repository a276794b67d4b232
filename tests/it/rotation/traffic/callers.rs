//! Who asks all the time: sign-ins, refreshes, and callers of guarded APIs with the tokens that come of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use signet_guard::{Clock, Timestamp};

use crate::helpers::app::{PASSWORD, claims_of, header_of};

/// So many of the newest tokens are sent in each pass, and as many of the oldest that live.
const SENT: usize = 2;

#[derive(Clone)]
struct Token {
    text: String,
    kid: String,
    expires: Timestamp,
}

/// What came of the tokens at one API.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    /// Good ones taken.
    pub(super) taken: u64,
    /// Of a withdrawn key, taken before the bound.
    pub(super) taken_early: u64,
    /// Of a withdrawn key, refused.
    pub(super) withdrawn_refused: u64,
    /// Whether a pass began and ended since the driver of the clock asked for one.
    pass: Pass,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Pass {
    #[default]
    Wanted,
    Begun,
    Ended,
}

/// What all of them know.
pub(super) struct Traffic {
    clock: Clock,
    bound: Duration,
    tokens: Mutex<Vec<Token>>,
    withdrawn: Mutex<BTreeMap<String, Timestamp>>,
    wrong: Mutex<Vec<String>>,
    tallies: Mutex<Vec<Tally>>,
    pub(super) signed_in: AtomicU64,
    pub(super) refreshed: AtomicU64,
    signers: Mutex<BTreeSet<String>>,
    is_over: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Traffic {
    /// With the longest time for which verifiers may take tokens of a key after it was withdrawn.
    pub(super) fn new(clock: Clock, bound: Duration) -> Arc<Self> {
        Arc::new(Self {
            clock,
            bound,
            tokens: Mutex::default(),
            withdrawn: Mutex::default(),
            wrong: Mutex::default(),
            tallies: Mutex::default(),
            signed_in: AtomicU64::new(0),
            refreshed: AtomicU64::new(0),
            signers: Mutex::default(),
            is_over: AtomicBool::new(false),
        })
    }

    /// From now on tokens of this key are no good ones. Said before it is true.
    pub(super) fn withdraw(&self, kid: &str) {
        lock(&self.withdrawn).insert(kid.to_owned(), self.clock.now());
    }

    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub(super) fn wrong(&self) -> Vec<String> {
        lock(&self.wrong).clone()
    }

    pub(super) fn tallies(&self) -> Vec<Tally> {
        lock(&self.tallies).clone()
    }

    /// The keys that have signed.
    pub(super) fn signers(&self) -> BTreeSet<String> {
        lock(&self.signers).clone()
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn issued(&self, answer: &Value) {
        let text = answer["access_token"].as_str().unwrap().to_owned();
        let kid = header_of(&text)["kid"].as_str().unwrap().to_owned();
        let expires = Timestamp::from_seconds(claims_of(&text)["exp"].as_i64().unwrap());
        lock(&self.signers).insert(kid.clone());
        lock(&self.tokens).push(Token { text, kid, expires });
    }

    fn sample(&self) -> Vec<Token> {
        let mut tokens = lock(&self.tokens);
        let now = self.clock.now();
        tokens.retain(|token| token.expires > now);
        let newest = tokens.len().saturating_sub(SENT).max(SENT.min(tokens.len()));
        tokens[..SENT.min(tokens.len())].iter().chain(&tokens[newest..]).cloned().collect()
    }

    fn judge(&self, api: usize, token: &Token, sent: Timestamp, status: StatusCode) {
        let is_taken = status == StatusCode::OK;
        let withdrawn = lock(&self.withdrawn).get(&token.kid).copied();
        let mut tallies = lock(&self.tallies);
        let tally = &mut tallies[api];
        let complaint = match (withdrawn, is_taken) {
            (None, true) => {
                tally.taken += 1;
                return;
            }
            // It has expired on the way.
            (None, false) if token.expires <= self.clock.now() => return,
            (None, false) => "refused a good token",
            (Some(_), false) if status == StatusCode::UNAUTHORIZED => {
                tally.withdrawn_refused += 1;
                return;
            }
            (Some(_), false) => "was no answer to a withdrawn key's token",
            (Some(at), true) if sent < at.plus(self.bound) => {
                tally.taken_early += 1;
                return;
            }
            (Some(_), true) => "took a withdrawn key's token after the bound",
        };
        let (now, kid) = (sent.as_seconds(), &token.kid);
        lock(&self.wrong).push(format!("API {api} {complaint}: {status} at {now} for one of key {kid}"));
    }

    fn failed(&self, what: &str, status: StatusCode) {
        lock(&self.wrong).push(format!("{what} was answered {status} at {}", self.clock.now().as_seconds()));
    }

    /// Signs in again and again.
    pub(super) async fn sign_in(self: Arc<Self>, server: String) {
        let client = client();
        while !self.is_over() {
            let Some(answer) = self.post(&client, format!("{server}/api/v1/login"), &credentials()).await
            else {
                continue;
            };
            self.issued(&answer);
            self.signed_in.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Signs in once and then refreshes again and again.
    pub(super) async fn refresh(self: Arc<Self>, server: String) {
        let client = client();
        let mut answer =
            self.post(&client, format!("{server}/api/v1/login"), &credentials()).await.expect("a sign-in");
        while !self.is_over() {
            let body = json!({ "refresh_token": answer["refresh_token"] });
            let Some(next) = self.post(&client, format!("{server}/api/v1/refresh"), &body).await else {
                continue;
            };
            answer = next;
            self.issued(&answer);
            self.refreshed.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn post(&self, client: &Client, url: String, body: &Value) -> Option<Value> {
        let answer = client.post(&url).json(body).send().await.unwrap();
        if answer.status() == StatusCode::OK {
            return Some(answer.json().await.unwrap());
        }
        self.failed(&url, answer.status());
        None
    }

    /// Sends live tokens to an API again and again.
    pub(super) async fn call(self: Arc<Self>, url: String) {
        let (client, api) = (client(), self.enter());
        while !self.is_over() {
            self.step(api, Pass::Wanted, Pass::Begun);
            for token in self.sample() {
                let sent = self.clock.now();
                let answer = client.get(&url).bearer_auth(&token.text).send().await.unwrap();
                self.judge(api, &token, sent, answer.status());
            }
            self.step(api, Pass::Begun, Pass::Ended);
            tokio::task::yield_now().await;
        }
    }

    fn step(&self, api: usize, from: Pass, to: Pass) {
        let pass = &mut lock(&self.tallies)[api].pass;
        if *pass == from {
            *pass = to;
        }
    }

    /// Wants a pass of every caller that begins from now on.
    pub(super) fn forget_passes(&self) {
        lock(&self.tallies).iter_mut().for_each(|tally| tally.pass = Pass::Wanted);
    }

    /// Whether all of them have come to their end.
    pub(super) fn has_passed(&self) -> bool {
        lock(&self.tallies).iter().all(|tally| tally.pass == Pass::Ended)
    }

    fn enter(&self) -> usize {
        let mut tallies = lock(&self.tallies);
        tallies.push(Tally::default());
        tallies.len() - 1
    }
}

fn client() -> Client {
    Client::builder().timeout(Duration::from_secs(30)).no_proxy().build().unwrap()
}

fn credentials() -> Value {
    json!({ "email": "ann@example.com", "password": PASSWORD })
}
