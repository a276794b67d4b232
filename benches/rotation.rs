//! Ten rotations and two withdrawals of signing keys, under traffic that never pauses: what every guard took and refused.
//!
//! `scripts/bench rotation`, or `cargo bench --bench rotation`. The real application runs in this process with its tasks, on
//! a clock that all here share and that is moved on a second at a time, so that hours pass in minutes. Each rotation is asked
//! for as soon as the last is done, so that each key signs at the first moment at which it may. People sign in and refresh all the time, and four APIs behind a guard each, on actix-web
//! servers of their own, are asked with every kind of token that lives. The guards know the issuer's URL alone. One is as it
//! ships; the others hold each set for as long as any verifier may, and never look for a key before that. The clock stands
//! while a guard's fetch is due: a fetch takes none of this time.
//!
//! Ends with an error unless nothing good was refused and nothing of a withdrawn key was taken after the stated bound.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark may stop at the first surprise"
)]

mod load;

use std::collections::{BTreeMap, VecDeque};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use load::connection::Connection;
use load::server::Signet;
use load::{credentials, get, member, post};
use rand::RngExt as _;
use signet::background::Background;
use signet::flow::{key_rotation, restore};
use signet::rotation::GUARD_REFRESH;
use signet::server::application;
use signet_guard::actix::AccessToken;
use signet_guard::{Clock, KeySource, RemoteKeys, Timestamp, Verifier};

const ROTATIONS: usize = 10;
/// After so many rotations the key that signs is withdrawn, too.
const WITHDRAWALS: [usize; 2] = [5, 10];
/// Seconds of the clock in one of the machine's.
const SPEED: u32 = 400;
/// Sign-ins, refreshes, and requests to each API, in a second of the machine's.
const SIGN_INS: u32 = 10;
const REFRESHES: u32 = 100;
const REQUESTS: u32 = 1_000;
/// Requests to an API come so many at a time.
const BURST: u32 = 10;
/// How long a set may be held, less what a clock of whole seconds is unsure of.
const MARGIN: Duration = Duration::from_secs(4);
/// So long after a key began to sign, all tokens that live are of one key, and the next is everywhere.
const SETTLED: Duration = Duration::from_secs(2_400);
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let started = Instant::now();
    let (signet, clock) = start();
    let _tasks = signet.block_on(async {
        restore::at_start(&signet.app).await.unwrap();
        Background::start(&signet.app)
    });
    let server = signet.serve(application);
    let max_age = signet.app.config.tokens.jwks_max_age;
    let story = Arc::new(Story::new(clock.clone(), max_age + GUARD_REFRESH));
    assert_eq!(ask(server, "/api/v1/register"), 201);
    let mut callers = vec![
        story.begin(move |story| sign_in(story, server)),
        story.begin(move |story| refresh(story, server)),
    ];
    let mut time = Time { clock, guards: Vec::new(), due: Instant::now() };
    for guard in Guard::all(&signet, &time.clock) {
        let guard = Arc::new(guard);
        let called = guard.clone();
        callers.push(story.begin(move |story| call(story, &called)));
        time.guards.push(guard);
        // Each fetches at moments of its own.
        time.pass(Duration::from_secs(190));
    }
    let began = time.clock.now();
    let withdrawn = run(&signet, &story, &mut time);
    let passed = time.clock.now().as_seconds() - began.as_seconds();
    story.is_over.store(true, Relaxed);
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    let hours = passed as f64 / 3600.0;
    println!(
        "{} sign-ins, {} refreshes; {ROTATIONS} rotations and {withdrawn} withdrawals in {hours:.1} h, passed in {:.0} s\n",
        story.sign_ins.load(Relaxed),
        story.refreshes.load(Relaxed),
        started.elapsed().as_secs_f64(),
    );
    if !story.tell(&time.guards) {
        println!("\nFAILED: every figure of the columns in capitals must be 0");
        std::process::exit(1);
    }
}

fn start() -> (Signet, Clock) {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = [
        ("SIGNET_LISTEN", &*free.to_string()),
        ("SIGNET_ISSUER", &*format!("http://{free}")),
        ("SIGNET__KEYS__PUBLISH_AHEAD", "21m"),
        // Longer than the bound of a withdrawal: otherwise no token would outlive it.
        ("SIGNET__TOKENS__ACCESS_TOKEN_LIFE", "30m"),
    ];
    let clock = Clock::fixed(Clock::System.now());
    (Signet::build_at(2, &settings, clock.clone()), clock)
}

fn ask(server: SocketAddr, path: &str) -> u16 {
    Connection::open(server).unwrap().ask(&post(path, &credentials(0))).unwrap()
}

/// Lets time pass until all has happened. Answers how many keys were withdrawn.
fn run(signet: &Signet, story: &Story, time: &mut Time) -> usize {
    let (mut signer, mut since) = (signet.app.keyring.active_kid(), time.clock.now());
    let (mut rotations, mut withdrawn, mut asked) = (0, 0, None);
    while rotations < ROTATIONS || withdrawn < WITHDRAWALS.len() {
        time.pass(Duration::from_secs(1));
        // What its task does each second.
        signet.block_on(key_rotation::run_once(&signet.app));
        let now = signet.app.keyring.active_kid();
        if now != signer {
            (signer, since) = (now, time.clock.now());
            rotations += 1;
        }
        if WITHDRAWALS.get(withdrawn).is_none_or(|after| *after > rotations) {
            if asked != signer {
                signet.block_on(key_rotation::rotate(&signet.app, false)).unwrap();
                asked.clone_from(&signer);
            }
        } else if since.plus(SETTLED) <= time.clock.now() {
            let stolen = signer.take().unwrap();
            story.withdraw(&stolen);
            signet.block_on(key_rotation::withdraw(&signet.app, &stolen)).unwrap();
            (signer, since) = (signet.app.keyring.active_kid(), time.clock.now());
            withdrawn += 1;
        }
    }
    time.pass(story.bound + GUARD_REFRESH);
    withdrawn
}

/// The clock, and who must keep up with it.
struct Time {
    clock: Clock,
    guards: Vec<Arc<Guard>>,
    due: Instant,
}

impl Time {
    fn pass(&mut self, span: Duration) {
        for _ in 0..span.as_secs() {
            let asked = Instant::now();
            while self.guards.iter().any(|guard| guard.is_overdue()) {
                assert!(asked.elapsed() < PATIENCE, "a guard does not fetch the keys");
                thread::sleep(Duration::from_micros(200));
            }
            self.clock.advance(Duration::from_secs(1));
            self.due = self.due.max(Instant::now()) + Duration::from_secs(1) / SPEED;
            thread::sleep(self.due.saturating_duration_since(Instant::now()));
        }
    }
}

/// Somebody's API.
struct Guard {
    name: &'static str,
    api: SocketAddr,
    keys: RemoteKeys,
    holds: Duration,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    taken: AtomicU64,
    refused: AtomicU64,
    taken_early: AtomicU64,
    taken_late: AtomicU64,
    withdrawn_refused: AtomicU64,
}

impl Guard {
    fn all(signet: &Signet, clock: &Clock) -> impl Iterator<Item = Self> + use<> {
        let max_age = signet.app.config.tokens.jwks_max_age;
        let issuer = signet.app.config.issuer.as_str().to_owned();
        let holds = max_age + GUARD_REFRESH - MARGIN;
        let kinds = [
            ("guard as it ships", None),
            ("guard at the limit", Some(holds)),
            ("another", Some(holds)),
            ("a third", Some(holds)),
        ];
        let clock = clock.clone();
        kinds.into_iter().map(move |(name, cool_down)| {
            let keys = RemoteKeys::new(&issuer).unwrap().clock(clock.clone());
            // It asks for no key that it lacks before its cool-down is over: what it lacks it refuses.
            let keys = cool_down.map_or(keys.clone(), |cool_down| keys.cool_down(cool_down));
            let source = KeySource::Remote(keys.clone());
            let verifier = Verifier::builder(&issuer, &issuer, source).clock(clock.clone()).build().unwrap();
            keys.start();
            while keys.load().is_none() {
                thread::sleep(Duration::from_millis(1));
            }
            Self {
                name,
                api: api(verifier),
                keys,
                holds: cool_down.unwrap_or(max_age),
                counts: Counts::default(),
            }
        })
    }

    /// The clock of its keys is a second behind, and may be on the way to the next.
    fn is_overdue(&self) -> bool {
        self.keys.report().age.is_none_or(|age| age >= self.holds + Duration::from_secs(2))
    }
}

/// A guarded actix-web server, for as long as the process lives.
fn api(verifier: Verifier) -> SocketAddr {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let make = move || {
                App::new().app_data(web::Data::new(verifier.clone())).route("/hello", web::get().to(hello))
            };
            let server = HttpServer::new(make).workers(1).bind("127.0.0.1:0").unwrap();
            tell.send(server.addrs()[0]).unwrap();
            server.run().await.unwrap();
        });
    });
    told.recv().unwrap()
}

async fn hello(_token: AccessToken) -> HttpResponse {
    HttpResponse::Ok().body("hello")
}

struct Token {
    kid: String,
    expires: Timestamp,
    request: Vec<u8>,
}

impl Token {
    fn of(body: &[u8]) -> Arc<Self> {
        let text = member(body, "access_token");
        let part = |index: usize| -> serde_json::Value {
            let part = URL_SAFE_NO_PAD.decode(text.split('.').nth(index).unwrap()).unwrap();
            serde_json::from_slice(&part).unwrap()
        };
        Arc::new(Self {
            kid: part(0)["kid"].as_str().unwrap().to_owned(),
            expires: Timestamp::from_seconds(part(1)["exp"].as_i64().unwrap()),
            request: get("/hello", &format!("authorization: Bearer {text}\r\n")),
        })
    }
}

/// What all callers share.
struct Story {
    clock: Clock,
    bound: Duration,
    live: Mutex<VecDeque<Arc<Token>>>,
    withdrawn: Mutex<BTreeMap<String, Timestamp>>,
    sign_ins: AtomicU64,
    refreshes: AtomicU64,
    is_over: AtomicBool,
}

impl Story {
    fn new(clock: Clock, bound: Duration) -> Self {
        let (live, withdrawn) = (Mutex::default(), Mutex::default());
        let (sign_ins, refreshes) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { clock, bound, live, withdrawn, sign_ins, refreshes, is_over: AtomicBool::new(false) }
    }

    fn begin(self: &Arc<Self>, call: impl FnOnce(&Self) + Send + 'static) -> JoinHandle<()> {
        let story = self.clone();
        thread::spawn(move || call(&story))
    }

    /// Does something so many times a second until all is over.
    fn paced(&self, rate: u32, mut work: impl FnMut()) {
        let mut due = Instant::now();
        while !self.is_over.load(Relaxed) {
            work();
            due = due.max(Instant::now() - Duration::from_secs(1)) + Duration::from_secs(1) / rate;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }

    fn withdraw(&self, kid: &str) {
        self.withdrawn.lock().unwrap().insert(kid.to_owned(), self.clock.now());
    }

    fn issued(&self, count: &AtomicU64, body: &[u8]) {
        self.live.lock().unwrap().push_back(Token::of(body));
        count.fetch_add(1, Relaxed);
    }

    /// The newest, the oldest, and some between.
    fn pick(&self) -> Vec<Arc<Token>> {
        let mut live = self.live.lock().unwrap();
        let now = self.clock.now();
        while live.front().is_some_and(|token| token.expires <= now) {
            live.pop_front();
        }
        let mut random = rand::rng();
        let last = live.len().saturating_sub(1);
        let chosen = (0..BURST as usize).map(|turn| match turn {
            0..3 => last.saturating_sub(turn),
            3..6 => (turn - 3).min(last),
            _ => random.random_range(0..=last),
        });
        chosen.filter_map(|at| live.get(at).cloned()).collect()
    }

    fn judge(&self, guard: &Guard, token: &Token, sent: Timestamp, status: u16) {
        let counts = &guard.counts;
        let withdrawn = self.withdrawn.lock().unwrap().get(&token.kid).copied();
        let count = match (withdrawn, status) {
            (None, 200) => &counts.taken,
            // It has expired on the way.
            (None, 401) if token.expires <= self.clock.now() => return,
            (None, _) => &counts.refused,
            (Some(at), 200) if sent < at.plus(self.bound) => &counts.taken_early,
            (Some(_), 200) => &counts.taken_late,
            (Some(_), _) => &counts.withdrawn_refused,
        };
        count.fetch_add(1, Relaxed);
    }

    /// The table. Whether it is as it must be.
    fn tell(&self, guards: &[Arc<Guard>]) -> bool {
        println!(
            "| Verifier | tokens taken | GOOD ONES REFUSED | of a withdrawn key: taken before the bound | TAKEN AFTER IT | \
             refused | fetches |"
        );
        println!("|---|---|---|---|---|---|---|");
        let mut is_right = true;
        for guard in guards {
            let counts = &guard.counts;
            let [taken, refused, early, late, withdrawn] = [
                &counts.taken,
                &counts.refused,
                &counts.taken_early,
                &counts.taken_late,
                &counts.withdrawn_refused,
            ]
            .map(|count| count.load(Relaxed));
            let fetches = guard.keys.report().fetches;
            println!("| {} | {taken} | {refused} | {early} | {late} | {withdrawn} | {fetches} |", guard.name);
            // Nothing was seen where nothing was tried.
            is_right &= (refused, late) == (0, 0) && taken > 0 && early > 0 && withdrawn > 0;
        }
        is_right
    }
}

fn sign_in(story: &Story, server: SocketAddr) {
    let mut connection = Connection::open(server).unwrap();
    story.paced(SIGN_INS, || {
        assert_eq!(connection.ask(&post("/api/v1/login", &credentials(0))).unwrap(), 200);
        story.issued(&story.sign_ins, connection.body());
    });
}

fn refresh(story: &Story, server: SocketAddr) {
    let mut connection = Connection::open(server).unwrap();
    assert_eq!(connection.ask(&post("/api/v1/login", &credentials(0))).unwrap(), 200);
    story.paced(REFRESHES, || {
        let token = member(connection.body(), "refresh_token").to_owned();
        let request = post("/api/v1/refresh", &format!(r#"{{"refresh_token":"{token}"}}"#));
        assert_eq!(connection.ask(&request).unwrap(), 200);
        story.issued(&story.refreshes, connection.body());
    });
}

fn call(story: &Story, guard: &Guard) {
    let mut connection = Connection::open(guard.api).unwrap();
    story.paced(REQUESTS / BURST, || {
        for token in story.pick() {
            let sent = story.clock.now();
            let status = connection.ask(&token.request).unwrap();
            story.judge(guard, &token, sent, status);
        }
    });
}
