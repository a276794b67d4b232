//! Who called, when proxies stand in between.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::helpers::process::{Process, command};
use crate::helpers::{raw, tls};

/// The `client.address` of every request so far, in the order of the log.
fn addresses(server: &Process) -> Vec<String> {
    let log = server.logged();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let address = |line: Value| {
        let at = |value: &Value| value["client.address"].as_str().map(str::to_owned);
        at(&line).or_else(|| at(&line["span"])).expect("every line of a request says who called")
    };
    lines.filter(|line| line["target"] == "signet::request").map(address).collect()
}

fn start(folder: &std::path::Path, proxies: &str) -> Process {
    let mut serve = command(folder);
    serve.env("SIGNET__LOG__FORMAT", "json").env("SIGNET__SERVER__TRUSTED_PROXIES", proxies);
    Process::start_command(serve, folder).unwrap()
}

#[test]
fn a010_forwarded_headers_are_believed_from_listed_proxies_only() {
    let long = format!("x-forwarded-for: {}", "1".repeat(10_000));
    let cases = [
        ("", "127.0.0.1", "127.0.0.1"),
        ("x-forwarded-for: 198.51.100.7", "198.51.100.7", "127.0.0.1"),
        ("x-forwarded-for: 203.0.113.9, 198.51.100.7", "198.51.100.7", "127.0.0.1"),
        ("x-forwarded-for: 203.0.113.9\r\nx-forwarded-for: 198.51.100.7", "198.51.100.7", "127.0.0.1"),
        ("x-forwarded-for: 198.51.100.7, 10.1.2.3", "198.51.100.7", "127.0.0.1"),
        ("x-forwarded-for: a", "127.0.0.1", "127.0.0.1"),
        ("x-forwarded-for: a, 198.51.100.7", "198.51.100.7", "127.0.0.1"),
        ("x-forwarded-for: 198.51.100.7, fe80::1%eth0", "127.0.0.1", "127.0.0.1"),
        ("x-forwarded-for:", "127.0.0.1", "127.0.0.1"),
        (long.as_str(), "127.0.0.1", "127.0.0.1"),
        ("forwarded: for=198.51.100.7", "127.0.0.1", "127.0.0.1"),
        ("x-real-ip: 198.51.100.7", "127.0.0.1", "127.0.0.1"),
        ("x-client-ip: 198.51.100.7\r\ntrue-client-ip: 198.51.100.7", "127.0.0.1", "127.0.0.1"),
    ];
    for (listed, column) in [("127.0.0.1,10.0.0.0/8", 1), ("10.0.0.0/8", 2), ("", 2)] {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path(), listed);
        let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
        for (headers, _, _) in &cases {
            let headers = if headers.is_empty() { String::new() } else { format!("{headers}\r\n") };
            let request = format!("GET /health/live HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
            assert!(tls::ask(&mut stream, &request).starts_with("HTTP/1.1 200"), "{request}");
        }
        let expected: Vec<_> = cases.iter().map(|case| if column == 1 { case.1 } else { case.2 }).collect();
        assert_eq!(addresses(&server), expected, "{listed}");
        assert_eq!(server.stop(), Some(0));
    }
}

#[test]
fn a_caller_who_does_not_speak_http_has_a_line_in_the_log_too() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), "");
    assert_eq!(raw::status(&raw::exchange(&server.url, "rubbish\r\n\r\n")), 400);
    // It is written when the connection has ended, which the caller may see first.
    let deadline = Instant::now() + Duration::from_secs(20);
    while !server.logged().contains("signet::request") && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20)); // poll:
    }
    let log = server.logged();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let line = lines.iter().find(|line| line["target"] == "signet::request").expect("a line");
    assert_eq!((&line["http.status"], &line["http.route"]), (&400.into(), &"unmatched".into()));
    assert_eq!(addresses(&server), ["127.0.0.1"]);
    assert!(!log.contains("rubbish") && !log.contains("\"ERROR\""), "{log}");
}
