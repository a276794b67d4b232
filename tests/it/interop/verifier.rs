//! The verifiers as processes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use signet_guard::Algorithm;

use crate::helpers::app::claims_of;

/// Each with the command that starts it from the root of the repository.
const VERIFIERS: [(&str, &[&str]); 6] = [
    ("jose", &["node", "target/interop/node/main.mjs"]),
    ("keyfunc", &["target/interop/go/verifier", "keyfunc"]),
    ("go-oidc", &["target/interop/go/verifier", "go-oidc"]),
    (
        "nimbus-jose-jwt",
        &["java", "-cp", "target/interop/java/classes:target/interop/java/dependency/*", "Main"],
    ),
    ("PyJWT", &["target/python/bin/python", "tests/interop/python/verify_lines.py", "pyjwt"]),
    ("joserfc", &["target/python/bin/python", "tests/interop/python/verify_lines.py", "joserfc"]),
];

/// A start of the slowest takes a second; the machine may be busy.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A verifier that lives as long as an API does, with its cache.
pub(super) struct Verifier {
    library: &'static str,
    process: Child,
    tokens: ChildStdin,
    answers: Receiver<String>,
}

impl Verifier {
    fn start(
        library: &'static str,
        command: &[&str],
        issuer: &str,
        max_age: Duration,
        algorithm: Algorithm,
    ) -> Self {
        let mut process = Command::new(command[0])
            .args(&command[1..])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("ISSUER", issuer)
            .env("AUDIENCE", issuer)
            .env("JWKS_MAX_AGE", max_age.as_secs().to_string())
            .env("ALGORITHM", algorithm.as_str())
            .env("NO_PROXY", "127.0.0.1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{library}: {error}; scripts/interop builds it"));
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (tell, answers) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { library, tokens: process.stdin.take().unwrap(), process, answers }
    }

    /// `ok SUBJECT` or `refused REASON`.
    fn ask(&mut self, token: &str) -> String {
        writeln!(self.tokens, "{token}").unwrap();
        let answer = self.answers.recv_timeout(PATIENCE);
        answer.unwrap_or_else(|_| panic!("{}: no answer to {token}", self.library))
    }

    /// Asserts that it answers the subject.
    pub(super) fn takes(&mut self, what: &str, token: &str) {
        let sub = claims_of(token)["sub"].as_str().unwrap().to_owned();
        assert_eq!(self.ask(token), format!("ok {sub}"), "{}: {what}", self.library);
    }

    /// Asserts that it refuses, and prints why.
    pub(super) fn refuses(&mut self, what: &str, token: &str) {
        let answer = self.ask(token);
        assert!(answer.starts_with("refused "), "{}: {what}: {answer}", self.library);
        eprintln!("{:<16} {what:<28} {answer}", self.library);
    }

    /// Asks until the answer begins with this; `meanwhile` must be taken all the time.
    pub(super) fn comes_to(&mut self, wanted: &str, token: &str, meanwhile: &str) {
        let asked = Instant::now();
        while !self.ask(token).starts_with(wanted) {
            assert!(asked.elapsed() < PATIENCE, "{}: never {wanted}", self.library);
            self.takes("the other key's token meanwhile", meanwhile);
            std::thread::sleep(Duration::from_millis(50)); // poll: the cache of another process runs out
        }
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One of each, with caches that live this long.
pub(super) fn verifiers(issuer: &str, max_age: Duration) -> Vec<Verifier> {
    verifiers_for(Algorithm::Rs256, issuer, max_age)
}

/// One of each that knows the algorithm.
pub(super) fn verifiers_for(algorithm: Algorithm, issuer: &str, max_age: Duration) -> Vec<Verifier> {
    let knows = |library: &str| algorithm != Algorithm::EdDsa || library != "nimbus-jose-jwt";
    let able = VERIFIERS.iter().filter(|(library, _)| knows(library));
    able.map(|(library, command)| Verifier::start(library, command, issuer, max_age, algorithm)).collect()
}

/// Says so when they were not.
pub(super) fn were_built() -> bool {
    let built = std::env::var_os("SIGNET_TEST_VERIFIERS").is_some();
    if !built {
        eprintln!("not run: needs the verifiers of tests/interop; scripts/interop builds them and runs this");
    }
    built
}
