//! The service as a story finds it: two servers on one database, and what was seen of every grant.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use proptest::test_runner::TestCaseError;
use reqwest::StatusCode;
use serde_json::json;
use signet::account::Email;
use signet::config::RootKeySource;
use signet::flow::{accounts, status, sweep};
use signet::grant::Serial;
use signet_guard::Timestamp;

use super::reference::{Act, Grant, Outcome, Reference, Rules, Seconds};
use super::story::Step;
use super::told::Told;
use super::{SERVERS, USERS};
use crate::helpers::app::{NOW, PASSWORD, TestApp, claims_of, json_of};
use crate::helpers::db::{Outside, TestDatabase};

type Checked<T = ()> = Result<T, TestCaseError>;

/// Servers, database, clocks. They live through many stories; each has accounts of its own.
pub(super) struct World {
    rules: Rules,
    database: TestDatabase,
    outside: Outside,
    keys: tempfile::TempDir,
    servers: Vec<TestApp>,
    stories: usize,
}

/// What was answered.
enum Answer {
    Token(String),
    Refused,
    Done,
}

impl World {
    pub(super) async fn new(rules: Rules, database: TestDatabase) -> Self {
        let keys = tempfile::tempdir().unwrap();
        let outside = database.outside().await;
        let mut world = Self { rules, database, outside, keys, servers: Vec::new(), stories: 0 };
        for _ in 0..SERVERS {
            world.servers.push(world.server(NOW).await);
        }
        world
    }

    async fn server(&self, now: Seconds) -> TestApp {
        let (rules, keys) = (self.rules, PathBuf::from(self.keys.path()));
        let seconds = |seconds: Seconds| std::time::Duration::from_secs(seconds.unsigned_abs());
        let mut server = TestApp::spawn_at(now, |config| {
            config.database = self.database.config.clone();
            config.keys.root_key = RootKeySource::File(keys.join("root.key"));
            config.keys.dir = keys;
            config.tokens.refresh_grace = seconds(rules.grace);
            config.tokens.refresh_idle_life = seconds(rules.idle_life);
            config.tokens.refresh_life = seconds(rules.life);
        })
        .await;
        // A story says when there is a sweep: one that began before the clocks were set back would have yet another time.
        server.stop_background().await;
        server
    }

    pub(super) async fn remove(self) {
        drop((self.servers, self.outside));
        self.database.remove().await;
    }

    pub(super) async fn play(&mut self, story: &[Step]) -> Checked {
        self.stories += 1;
        let mut told = Told::at(NOW);
        self.set_clocks(&mut told);
        self.forget_tries().await;
        for user in 0..USERS {
            self.servers[0].register(&self.address(user)).await;
        }
        for step in story {
            self.step(&mut told, step).await?;
            self.compare_revocations(&mut told).await?;
        }
        // Every token there ever was, the newest first: none lives that should not.
        for grant in 0..told.seen.len() {
            for token in (0..told.seen[grant].1.len()).rev() {
                self.at_once(&mut told, vec![(Act::Refresh { grant, token }, token % SERVERS)]).await?;
            }
        }
        self.compare_revocations(&mut told).await?;
        self.compare_status_lists(&told).await
    }

    /// The throttle has tests of its own; here its counters are of a time that the clocks have left.
    async fn forget_tries(&mut self) {
        self.outside.execute("DELETE FROM throttles").await;
    }

    fn address(&self, user: usize) -> String {
        format!("n{}-{user}@example.com", self.stories)
    }

    fn set_clocks(&self, told: &mut Told) {
        for (number, server) in self.servers.iter().enumerate() {
            let now = told.now_at(number);
            server.clock.set(Timestamp::from_seconds(now));
            told.in_each(|reference| reference.at_time(now));
        }
    }

    async fn step(&mut self, told: &mut Told, step: &Step) -> Checked {
        match step {
            Step::SignIn { user, server } => self.sign_in(told, *user, *server).await,
            Step::AtOnce(deeds) => {
                let deeds = deeds.iter().map(|(deed, server)| Some((told.act(*deed)?, *server)));
                match deeds.collect::<Option<Vec<_>>>() {
                    Some(acts) => self.at_once(told, acts).await,
                    None => Ok(()),
                }
            }
            Step::Again => {
                for act in told.last.clone() {
                    self.at_once(told, vec![act]).await?;
                }
                Ok(())
            }
            Step::Enable { user } => {
                let email = Email::parse(&self.address(*user)).unwrap();
                accounts::enable(&self.servers[0].app, email).await.unwrap();
                told.in_each(|reference| reference.enable(*user));
                Ok(())
            }
            Step::Clocks { by } => {
                told.now += by;
                self.set_clocks(told);
                Ok(())
            }
            Step::Skew { ahead } => {
                told.ahead = *ahead;
                self.set_clocks(told);
                Ok(())
            }
            Step::Sweep { server } => {
                sweep::turn(&self.servers[*server].app).await.unwrap();
                self.notice_what_is_gone(told).await;
                Ok(())
            }
            Step::Restart { server } => {
                // The other is not told to stop before this one works: nothing is handed over.
                let started = self.server(told.now_at(*server)).await;
                drop(std::mem::replace(&mut self.servers[*server], started));
                self.notice_what_is_gone(told).await;
                Ok(())
            }
        }
    }

    /// Which of the grants that may be removed were.
    async fn notice_what_is_gone(&mut self, told: &mut Told) {
        for number in 0..told.seen.len() {
            let rows = format!("SELECT count(*) FROM grants WHERE session_id = '{}'", told.seen[number].0);
            if self.outside.number(&rows).await == 0 {
                let grants = told.possible.iter_mut().map(|reference| &mut reference.grants[number]);
                grants.filter(|grant| grant.may_be_swept()).for_each(Grant::sweep);
            }
        }
    }

    async fn sign_in(&mut self, told: &mut Told, user: usize, server: usize) -> Checked {
        self.forget_tries().await;
        let answer = self.servers[server].login(&self.address(user), PASSWORD).await;
        if told.possible[0].is_disabled(user) {
            return equal(answer.status(), StatusCode::UNAUTHORIZED);
        }
        equal(answer.status(), StatusCode::OK)?;
        let answer = json_of(answer).await;
        let session = claims_of(answer["access_token"].as_str().unwrap())["sid"].as_str().unwrap().to_owned();
        told.seen.push((session, vec![answer["refresh_token"].as_str().unwrap().to_owned()]));
        let now = told.now_at(server);
        told.in_each(|reference| reference.sign_in(self.rules, user, now));
        Ok(())
    }

    /// Lets all happen at one moment, and looks for an order in which the model comes to the same.
    async fn at_once(&mut self, told: &mut Told, acts: Vec<(Act, usize)>) -> Checked {
        let answers = join_all(acts.iter().map(|(act, server)| self.carry_out(told, *act, *server))).await;
        let answers = answers.into_iter().collect::<Checked<Vec<_>>>()?;
        for ((act, _), answer) in acts.iter().zip(&answers) {
            if let (Act::Refresh { grant, token }, Answer::Token(answered)) = (act, answer) {
                let presented = &told.seen[*grant].1[*token];
                if presented != answered {
                    let first = told.successors.entry(presented.clone()).or_insert_with(|| answered.clone());
                    if first != answered {
                        return failed(format!("two successors of one token: {acts:?}"));
                    }
                }
            }
        }
        told.last = acts.clone();
        let mut orders = vec![(0..acts.len()).collect::<Vec<_>>()];
        orders.push((0..acts.len()).rev().collect());
        let (mut possible, mut all_seen) = (Vec::new(), None);
        for (before, order) in
            told.possible.iter().flat_map(|before| orders.iter().map(move |order| (before, order)))
        {
            let (mut reference, mut seen) = (before.clone(), told.seen.clone());
            let agrees = order.iter().all(|at| {
                let (act, server) = acts[*at];
                let wanted = reference.act(self.rules, act, told.now_at(server));
                is_what_is_wanted(act, wanted, &answers[*at], &mut seen)
            });
            if agrees && !possible.contains(&reference) {
                possible.push(reference);
                // The same in each: at one moment a grant gets one new token at most.
                all_seen = Some(seen);
            }
        }
        let Some(seen) = all_seen else {
            let answered: Vec<_> = answers.iter().map(Answer::kind).collect();
            return failed(format!("{acts:?} was answered {answered:?} in the states {:#?}", told.possible));
        };
        (told.possible, told.seen) = (possible, seen);
        Ok(())
    }

    async fn carry_out(&self, told: &Told, act: Act, server: usize) -> Checked<Answer> {
        let server = &self.servers[server];
        let body = |grant: usize, token: usize| json!({ "refresh_token": told.seen[grant].1[token] });
        match act {
            Act::Refresh { grant, token } => {
                let answer = server.post("/api/v1/refresh", &body(grant, token)).await;
                let status = answer.status();
                let answer = json_of(answer).await;
                match status {
                    StatusCode::OK => {
                        let claims = claims_of(answer["access_token"].as_str().unwrap());
                        equal(claims["sid"].as_str(), Some(told.seen[grant].0.as_str()))?;
                        Ok(Answer::Token(answer["refresh_token"].as_str().unwrap().to_owned()))
                    }
                    StatusCode::BAD_REQUEST => {
                        let kind = answer["type"].as_str().unwrap_or_default();
                        if !kind.ends_with("invalid-grant") {
                            return failed(format!("{act:?}: 400 {kind}"));
                        }
                        Ok(Answer::Refused)
                    }
                    other => failed(format!("{act:?}: {other}")),
                }
            }
            Act::Logout { grant, token } => {
                let answer = server.post("/api/v1/logout", &body(grant, token)).await;
                equal(answer.status(), StatusCode::NO_CONTENT)?;
                Ok(Answer::Done)
            }
            Act::Disable { user } => {
                let email = Email::parse(&self.address(user)).unwrap();
                accounts::disable(&server.app, email).await.unwrap();
                Ok(Answer::Done)
            }
        }
    }

    /// What is dead in the model is marked in the database, from where every guard learns it; and nothing else is.
    async fn compare_revocations(&mut self, told: &mut Told) -> Checked {
        for (number, (session, _)) in told.seen.iter().enumerate() {
            let alive = "SELECT count(*) FROM grants WHERE revoked_at IS NULL AND session_id";
            let alive = self.outside.number(&format!("{alive} = '{session}'")).await;
            let agrees = |reference: &Reference| (alive == 0) == reference.grants[number].is_revoked();
            if !told.possible.iter().any(agrees) {
                let grants: Vec<_> =
                    told.possible.iter().map(|reference| &reference.grants[number]).collect();
                return failed(format!("rows not revoked: {alive}, and in the model: {grants:?}"));
            }
            told.possible.retain(agrees);
        }
        Ok(())
    }

    /// What every guard learns, at either server: the bit of a dead grant is set, and of no other.
    async fn compare_status_lists(&mut self, told: &Told) -> Checked {
        for server in &self.servers {
            status::run_once(&server.app).await;
            let mut lists = HashMap::new();
            for ((session, _), grant) in told.seen.iter().zip(&told.possible[0].grants) {
                let row = format!("FROM grants WHERE session_id = '{session}'");
                if self.outside.number(&format!("SELECT count(*) {row}")).await == 0 {
                    continue;
                }
                let serial = Serial::from_number(self.outside.number(&format!("SELECT serial {row}")).await);
                if let Entry::Vacant(list) = lists.entry(serial.list()) {
                    list.insert(bits(server, serial.list()).await?);
                }
                let index = usize::try_from(serial.index()).unwrap();
                let is_set = lists[&serial.list()][index / 8] >> (index % 8) & 1 == 1;
                if is_set != grant.is_revoked() {
                    return failed(format!("the status bit is {is_set}, and in the model: {grant:?}"));
                }
            }
        }
        Ok(())
    }
}

/// The bits of a status list as it is published.
async fn bits(server: &TestApp, list: i64) -> Checked<Vec<u8>> {
    let answer = server.get(&format!("/status/{list}")).await;
    equal(answer.status(), StatusCode::OK)?;
    let lst = claims_of(&answer.text().await.unwrap())["status_list"]["lst"].as_str().unwrap().to_owned();
    let compressed = URL_SAFE_NO_PAD.decode(lst).unwrap();
    Ok(miniz_oxide::inflate::decompress_to_vec_zlib(&compressed).unwrap())
}

impl Answer {
    /// Without the token.
    fn kind(&self) -> &'static str {
        match self {
            Self::Token(_) => "with a token",
            Self::Refused => "with a refusal",
            Self::Done => "with nothing",
        }
    }
}

/// Whether the answer is the wanted one. A token that was not seen before takes its number.
fn is_what_is_wanted(act: Act, wanted: Outcome, answer: &Answer, seen: &mut [(String, Vec<String>)]) -> bool {
    match (act, wanted, answer) {
        (_, Outcome::Refused, Answer::Refused) | (_, Outcome::Done, Answer::Done) => true,
        (Act::Refresh { grant, .. }, Outcome::Token(number), Answer::Token(answered)) => {
            let tokens = &mut seen[grant].1;
            if number == tokens.len() && !tokens.contains(answered) {
                tokens.push(answered.clone());
            }
            tokens.get(number) == Some(answered)
        }
        _ => false,
    }
}

fn failed<T>(why: String) -> Checked<T> {
    Err(TestCaseError::fail(why))
}

fn equal<T: PartialEq + std::fmt::Debug>(is: T, must_be: T) -> Checked {
    if is == must_be { Ok(()) } else { failed(format!("{is:?}, not {must_be:?}")) }
}
