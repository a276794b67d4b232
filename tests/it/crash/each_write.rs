//! Killed before each write of one request: `strace` stops the program at the system call and kills it there.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use reqwest::{Response, StatusCode};
use serde_json::json;

use super::client::{Server, Session};

/// Every call by which SQLite changes a file or makes it durable, and last those by which an answer leaves. Each is
/// counted by itself, and for each thread; one thread alone writes.
pub(super) const CALLS: [&str; 7] =
    ["pwrite64", "pwritev", "fdatasync", "fsync", "ftruncate", "unlink", ANSWER];

pub(super) const ANSWER: &str = "sendto,sendmsg,writev";

/// More writes than any of these requests makes.
pub(super) const MANY: usize = 60;

/// `strace`, attached to the server.
pub(super) struct Killer(pub(super) Child);

impl Killer {
    /// Kills the server on the nth of these calls by one of its threads. `None`: this machine does not allow it.
    pub(super) fn attach(server: &Server, calls: &str, nth: usize) -> Option<Self> {
        let spawned = Command::new("strace")
            .args(["-f", "-o", "/dev/null", "-e", &format!("trace={calls}")])
            .args(["-e", &format!("inject={calls}:signal=SIGKILL:when={nth}")])
            .args(["-p", &server.process.child.id().to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.ok()?;
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let attached = lines.find(|line| line.contains(" attached") || line.contains("ptrace"));
        // It goes on to write there.
        std::thread::spawn(move || lines.for_each(drop));
        let killer = Self(child);
        attached.filter(|line| line.contains(" attached")).map(|_| killer)
    }
}

impl Killer {
    /// Lets go of a server that lives.
    pub(super) fn let_go(&self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        // It would leave the server stopped if it were killed itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

/// Of a server that is dead, it may wait for ever.
impl Drop for Killer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is asked.
#[derive(Clone, Copy)]
enum Request {
    Refresh,
    Replay,
    Logout,
}

impl Request {
    async fn send(self, server: &Server, session: &Session) -> reqwest::Result<Response> {
        let newest = session.tokens.last().unwrap();
        match self {
            Self::Refresh => server.refresh(newest).await,
            Self::Replay => server.refresh(&session.tokens[0]).await,
            Self::Logout => server.post("/api/v1/logout", &json!({ "refresh_token": newest })).await,
        }
    }
}

/// Sends the request again and again, on a session that was not asked before, with a kill before its first write, its
/// second, and so on, and last before its answer. After each kill the server starts again and `look` is taken.
async fn kill_before_each_write(
    request: Request,
    answered: StatusCode,
    step: usize,
    look: impl AsyncFn(&Server, &mut Session, &str),
) {
    let mut server = Server::start();
    let mut sessions = server.sessions("ann@example.com", 1).await;
    let mut kills = 0;
    let mut points = CALLS.into_iter();
    let mut point = points.next().map(|calls| (calls, 1));
    while let Some((calls, nth)) = point {
        let mut session = sessions.pop().unwrap();
        server.let_every_grace_pass().await;
        // Old enough to be replayed.
        for _ in 0..2 {
            server.goes_on(&mut session, "before").await;
            server.let_every_grace_pass().await;
        }
        let Some(mut killer) = Killer::attach(&server, calls, nth) else {
            assert!(
                std::env::var_os("SIGNET_TEST_REQUIRE_TOOLS").is_none(),
                "strace is missing, or may not attach: scripts/test installs it"
            );
            eprintln!("not run: needs strace, which scripts/test installs, and the right to attach it");
            return;
        };
        match request.send(&server, &session).await {
            Ok(answer) => {
                killer.let_go();
                killer.0.wait().unwrap();
                assert_eq!(answer.status(), answered);
                assert_ne!((calls, nth), (ANSWER, 1), "it answers by a call that is not watched");
                // There is no such call: all of its name were tried.
                point = points.next().map(|calls| (calls, 1));
            }
            Err(_) => {
                drop(killer);
                server.kill();
                server.again();
                look(&server, &mut session, &format!("killed before call {nth} of {calls}")).await;
                kills += 1;
                assert!(nth < MANY, "{calls}: fewer");
                // One request has one answer; what leaves later is another's.
                point = (calls != ANSWER).then_some((calls, nth + step));
            }
        }
        let email = format!("n{nth}-{}@example.com", calls.replace(',', "-"));
        sessions = server.sessions(&email, 1).await;
    }
    eprintln!("{kills} kills");
    assert!(kills > 2, "it writes, makes durable, and answers: {kills} kills");
    assert_eq!(server.process.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a126_a_kill_before_each_write_of_a_refresh_costs_no_session() {
    kill_before_each_write(Request::Refresh, StatusCode::OK, 1, async |server, session, when| {
        server.goes_on(session, when).await;
        server.only_the_newest_lives(session).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a126_a_kill_before_each_write_of_a_revocation_leaves_the_grant_alive_or_dead() {
    // Two dozen writes each: one in four of them when there is little time.
    let step = if std::env::var_os("SIGNET_TEST_KILLS").is_some() { 1 } else { 4 };
    for (request, answered) in
        [(Request::Replay, StatusCode::BAD_REQUEST), (Request::Logout, StatusCode::NO_CONTENT)]
    {
        kill_before_each_write(request, answered, step, async |server, session, when| {
            // Nothing was answered; the same again is, and then it is over.
            let again = request.send(server, session).await.unwrap();
            assert_eq!(again.status(), answered, "{when}");
            for token in &session.tokens {
                let refused = server.refresh(token).await.unwrap();
                assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{when}: it lives");
            }
        })
        .await;
    }
}
