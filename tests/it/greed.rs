//! Callers who ask for much and take nothing.
#![cfg(target_os = "linux")]

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use crate::helpers::process::{Process, command, cpu_time};
use crate::helpers::tls::ask;

const LIVE: &str = "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
const PAGE: &str = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: localhost\r\n\r\n";

fn open(server: &Process) -> TcpStream {
    let stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

#[test]
fn a119_answers_that_nobody_takes_cost_next_to_no_memory() {
    const CALLERS: usize = 50;
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start_command(command(folder.path()), folder.path()).unwrap();
    assert!(ask(&mut open(&server), LIVE).starts_with("HTTP/1.1 200"));
    let kib = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().to_owned();
        line.split_whitespace().next().unwrap().parse::<usize>().unwrap()
    };
    let before = kib();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let mut stream = open(&server);
            stream.write_all(PAGE.repeat(8).as_bytes()).unwrap();
            stream
        })
        .collect();
    // Once each of them has been answered, the buffers are as full as they get.
    for caller in &callers {
        caller.peek(&mut [0]).unwrap();
    }
    assert!(ask(&mut open(&server), LIVE).starts_with("HTTP/1.1 200"));
    let each = kib().saturating_sub(before) / CALLERS;
    assert!(each < 256, "{each} KiB per caller");
    drop(callers);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a119_requests_upon_requests_cost_next_to_no_time_when_their_answers_are_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start_command(command(folder.path()), folder.path()).unwrap();
    let before = cpu_time(&server);
    let mut stream = open(&server);
    // More than are read ahead; this ends when the server hangs up.
    while stream.write_all(PAGE.repeat(1000).as_bytes()).is_ok() {}
    let spent = cpu_time(&server) - before;
    assert!(spent < 400, "{spent} hundredths of a second");
    assert!(ask(&mut open(&server), LIVE).starts_with("HTTP/1.1 200"));
    assert_eq!(server.stop(), Some(0));
}
