//! Callers who take their time, and those who come in thousands.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use signet::config::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::helpers::app::TestApp;
use crate::helpers::process::{Process, command, cpu_time, prepare};
use crate::helpers::raw;
use crate::helpers::tls::ask;

/// By when the slowest of the connections below must have been closed; each deadline is a fraction of it.
const PATIENCE: Duration = Duration::from_secs(20);

const LIVE: &str = "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";

fn impatient(config: &mut Config) {
    // The least that the settings allow. actix-web's clock lags by up to half a second.
    config.server.header_timeout = Duration::from_secs(1);
    config.server.body_timeout = Duration::from_secs(1);
    config.server.keep_alive = Duration::from_secs(1);
}

fn open(url: &str) -> TcpStream {
    TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap()
}

/// Sends a byte, waits a little for whatever comes back, sends the next, until the server closes; what it said. The
/// bytes last longer than anybody should listen.
fn trickle(stream: &mut TcpStream, bytes: &str) -> String {
    let started = Instant::now();
    stream.set_read_timeout(Some(Duration::from_millis(40))).unwrap();
    let mut said = Vec::new();
    for byte in bytes.bytes().chain(std::iter::repeat(b'x')) {
        let closed = stream.write_all(&[byte]).is_err();
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => said.extend(&buffer[..length]),
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
        if closed {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "still open: {}", String::from_utf8_lossy(&said));
    }
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a119_whoever_sends_a_byte_at_a_time_is_cut_off_wherever_it_is() {
    let app = TestApp::spawn_with(impatient).await;
    let long = "x".repeat(5000);
    let head = |first: &str, rest: &str| format!("{first} HTTP/1.1\r\nhost: localhost\r\n{rest}\r\n");
    // What is sent at once, what is then sent byte by byte, and the status of the answer that comes meanwhile.
    let cases = [
        ("the first head", String::new(), format!("GET /health/live HTTP/1.1\r\nx: {long}"), 408),
        ("the second head", LIVE.to_owned(), format!("GET /health/live HTTP/1.1\r\nx: {long}"), 200),
        (
            "a JSON body",
            head("POST /api/v1/login", "content-type: application/json\r\ncontent-length: 9000\r\n"),
            format!("{{\"email\":\"{long}"),
            408,
        ),
        (
            "a JSON body in chunks",
            head("POST /api/v1/login", "content-type: application/json\r\ntransfer-encoding: chunked\r\n"),
            format!("1000\r\n{{\"email\":\"{long}"),
            408,
        ),
        ("a body nobody wants", head("GET /health/live", "content-length: 9000\r\n"), long.clone(), 200),
        (
            "chunks nobody wants",
            head("GET /health/live", "transfer-encoding: chunked\r\n"),
            "1\r\nx\r\n".repeat(1000),
            200,
        ),
        (
            "a chunk nobody wants",
            head("POST /nothing/here", "transfer-encoding: chunked\r\n"),
            format!("fffff\r\n{long}"),
            404,
        ),
        (
            "a chunk extension",
            head("GET /health/live", "transfer-encoding: chunked\r\n"),
            format!("1;{long}"),
            200,
        ),
        (
            "a body of the wrong type",
            head("POST /api/v1/login", "content-type: text/plain\r\ntransfer-encoding: chunked\r\n"),
            format!("fffff\r\n{long}"),
            415,
        ),
    ];
    let (url, mut threads) = (app.url.clone(), Vec::new());
    for (what, at_once, slowly, status) in cases {
        let url = url.clone();
        threads.push(std::thread::spawn(move || {
            let mut stream = open(&url);
            stream.write_all(at_once.as_bytes()).unwrap();
            let said = trickle(&mut stream, &slowly);
            assert_eq!(raw::status(&said), status, "{what}: {said}");
        }));
    }
    // Everybody else is served meanwhile.
    for _ in 0..20 {
        assert_eq!(app.get("/.well-known/jwks.json").await.status(), 200);
    }
    for thread in threads {
        tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a119_whoever_says_nothing_is_cut_off_before_and_between_requests() {
    let app = TestApp::spawn_with(impatient).await;
    for (at_once, status) in [
        ("", 408),
        ("GET /health/li", 408),
        (LIVE, 200),
        ("GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\nG", 200),
        ("GET /health/live HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", 200),
        ("GET /health/live HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nab", 200),
        (
            "GET /health/live HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n",
            100,
        ),
    ] {
        let mut stream = open(&app.url);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(at_once.as_bytes()).unwrap();
        let mut said = String::new();
        // An error other than a reset means that it was still open when our patience ended.
        if let Err(error) = stream.read_to_string(&mut said) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{at_once:?}");
        }
        assert_eq!(raw::status(&said), status, "{at_once:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a119_whoever_does_not_take_its_answers_is_cut_off() {
    let app = TestApp::spawn_with(impatient).await;
    let mut stream = open(&app.url);
    let page = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: localhost\r\n\r\n";
    // More than the buffers of the two systems between us hold.
    stream.write_all(page.repeat(16).as_bytes()).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while stream.write_all(b"\r\n").is_ok() {
        assert!(Instant::now() < deadline, "still open");
        std::thread::sleep(Duration::from_millis(40)); // poll:
    }
    // Whoever does take them gets them whole, on a connection that goes on.
    let mut stream = open(&app.url);
    for _ in 0..3 {
        assert!(ask(&mut stream, LIVE).starts_with("HTTP/1.1 200"));
    }
    let all = app.get("/docs/swagger-ui-bundle.js").await.bytes().await.unwrap();
    assert!(all.len() > 1_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_a_long_answer_slowly_gets_it_whole() {
    let app = TestApp::spawn_with(impatient).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    // As little as a slow line has on its way.
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let address = app.url.strip_prefix("http://").unwrap().parse().unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut answer, mut part) = (Vec::new(), vec![0; 32 << 10]);
    let complete = |answer: &[u8]| {
        let text = String::from_utf8_lossy(&answer[..answer.len().min(4096)]);
        let head = text.find("\r\n\r\n")?;
        let length = text[..head].lines().find_map(|line| line.strip_prefix("content-length: "))?;
        (answer.len() >= head + 4 + length.parse::<usize>().unwrap()).then_some(())
    };
    // Far longer than a connection may lie idle, never idle itself.
    while complete(&answer).is_none() {
        match stream.read(&mut part).await {
            Ok(length @ 1..) => answer.extend(&part[..length]),
            other => panic!("{other:?} after {} bytes", answer.len()),
        }
        tokio::time::sleep(Duration::from_millis(80)).await; // poll: at the pace of a slow line
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a119_thousands_of_idle_connections_keep_nobody_out_and_end_by_deadline() {
    const IDLERS: usize = 2000;
    signet::server::raise_file_limit();
    let folder = tempfile::tempdir().unwrap();
    // Started as many systems do, with a soft limit that would not do.
    let mut serve = std::process::Command::new("sh");
    prepare(&mut serve, folder.path());
    serve.args(["-c", "ulimit -Sn 256 && exec \"$0\"", env!("CARGO_BIN_EXE_signet")]);
    serve.env("SIGNET__SERVER__HEADER_TIMEOUT", "3s");
    let server = Process::start_command(serve, folder.path()).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.child.id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let files: Vec<_> = files.split_whitespace().collect();
    assert_eq!(files[3], files[4], "the soft limit is the hard one");

    let address: SocketAddr = server.url.strip_prefix("http://").unwrap().parse().unwrap();
    let mut idlers: Vec<_> = (0..IDLERS).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut user = open(&server.url);
    assert!(
        ask(&mut user, "GET /.well-known/jwks.json HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .starts_with("HTTP/1.1 200")
    );
    for idler in &mut idlers {
        idler.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut said = String::new();
        let _ = idler.read_to_string(&mut said);
        assert_eq!(raw::status(&said), 408, "{said}");
    }
    assert_eq!(server.stop(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn no_more_connections_are_served_at_once_than_the_settings_allow() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = command(folder.path());
    serve.env("SIGNET__SERVER__MAX_CONNECTIONS", "16").env("SIGNET__SERVER__WORKERS", "2");
    serve.env("SIGNET__SERVER__HEADER_TIMEOUT", "2s");
    let server = Process::start_command(serve, folder.path()).unwrap();
    let sockets = || {
        let open = std::fs::read_dir(format!("/proc/{}/fd", server.child.id())).unwrap();
        let is_socket = |link: std::path::PathBuf| link.to_string_lossy().starts_with("socket:");
        open.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
            .filter(|link| is_socket(link.clone()))
            .count()
    };
    let before = sockets();
    let idlers: Vec<_> = (0..60).map(|_| open(&server.url)).collect();
    let url = server.url.clone();
    // It waits until the idlers before it are gone, and is served then.
    let user = std::thread::spawn(move || ask(&mut open(&url), LIVE));
    let mut most = 0;
    while !user.is_finished() {
        most = most.max(sockets() - before);
        std::thread::sleep(Duration::from_millis(20)); // poll:
    }
    assert!(user.join().unwrap().starts_with("HTTP/1.1 200"));
    // A worker may take one more before it says that it is full.
    assert!((8..=18).contains(&most), "{most} at once");
    drop(idlers);
}

#[cfg(target_os = "linux")]
#[test]
fn where_files_are_few_fewer_connections_are_taken_and_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = std::process::Command::new("sh");
    prepare(&mut serve, folder.path());
    serve.args(["-c", "ulimit -n 300 && exec \"$0\"", env!("CARGO_BIN_EXE_signet")]);
    serve.env("SIGNET__SERVER__HEADER_TIMEOUT", "1s");
    let server = Process::start_command(serve, folder.path()).unwrap();
    // More than there are files: without the limit the process would run out of them and stop accepting.
    let crowd: Vec<_> = (0..400).map(|_| open(&server.url)).collect();
    let body = r#"{"email":"ann@example.com","password":"a quiet walk by the sea"}"#;
    let register = format!(
        "POST /api/v1/register HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = ask(&mut open(&server.url), &register);
    assert_eq!(raw::status(&answer), 201, "{answer}");
    drop(crowd);
    let log = server.logged();
    assert!(log.contains("server.max_connections: 142 at most"), "{log}");
    assert!(!log.contains("ERROR"), "{log}");
    assert_eq!(server.stop(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a121_a_hundred_thousand_members_or_depths_cost_next_to_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = command(folder.path());
    serve.env("SIGNET__SERVER__MAX_BODY", "16MiB");
    let server = Process::start_command(serve, folder.path()).unwrap();
    let members = |name: fn(usize) -> String| {
        let list: Vec<_> = (0..100_000).map(|number| format!("\"{}\":0", name(number))).collect();
        format!("{{{}}}", list.join(","))
    };
    // Strings that collide under the multiplicative hashes that such attacks aim at.
    let colliding =
        |number: usize| (0..17).map(|bit| if number >> bit & 1 == 0 { "Aa" } else { "BB" }).collect();
    let form: String = (0..100_000).map(|number| format!("k{number}=v&")).collect();
    for (what, kind, body, status) in [
        ("form keys", "application/x-www-form-urlencoded", form, 415),
        ("members", "application/json", members(|number| format!("k{number}")), 400),
        ("colliding members", "application/json", members(colliding), 400),
        ("one member again and again", "application/json", members(|_| "email".to_owned()), 400),
        ("deep arrays", "application/json", "[".repeat(1_000_000), 400),
        ("deep objects", "application/json", "{\"a\":".repeat(200_000), 400),
        ("a deep member", "application/json", format!("{{\"email\":{}", "[".repeat(1_000_000)), 400),
    ] {
        let before = cpu_time(&server);
        let request = format!(
            "POST /api/v1/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            body.len()
        );
        let answer = raw::exchange(&server.url, request);
        assert_eq!(raw::status(&answer), status, "{what}: {answer}");
        assert!(answer.len() < 8192, "{what}: {} bytes", answer.len());
        // 50 ms in a release build, this is a debug build on a busy machine, and quadratic work would take minutes.
        let spent = cpu_time(&server) - before;
        assert!(spent < 300, "{what}: {spent} hundredths of a second");
    }
    assert_eq!(server.stop(), Some(0));
}
