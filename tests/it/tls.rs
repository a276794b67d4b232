//! https in the process itself.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustls::version::{TLS12, TLS13};

use crate::helpers::process::{Process, command, printed, run};
use crate::helpers::raw;
use crate::helpers::tls::{Authority, ask, connect, write};

const LIVE: &str = "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";

fn tls_command(folder: &Path) -> Command {
    let mut serve = command(folder);
    serve.env("SIGNET_ISSUER", "https://login.example.com");
    serve.env("SIGNET__TLS__CERTIFICATE", "chain.pem").env("SIGNET__TLS__KEY", "key.pem");
    serve
}

fn address(server: &Process) -> SocketAddr {
    server.url.strip_prefix("https://").expect("the greeting says https").parse().unwrap()
}

#[test]
fn a116_only_tls_1_2_and_1_3_are_spoken_and_nothing_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let made = authority.sign();
    write(folder.path(), &format!("{}{}", made.pem, authority.certificate.pem()), &made.key);
    let server = Process::start_command(tls_command(folder.path()), folder.path()).unwrap();
    let address = address(&server);
    for (offered, agreed) in [
        (vec![&TLS12], rustls::ProtocolVersion::TLSv1_2),
        (vec![&TLS13], rustls::ProtocolVersion::TLSv1_3),
        (vec![&TLS12, &TLS13], rustls::ProtocolVersion::TLSv1_3),
    ] {
        let mut stream = connect(address, &authority.client(&offered)).unwrap();
        assert_eq!(stream.conn.protocol_version(), Some(agreed));
        assert_eq!(stream.conn.peer_certificates().unwrap()[0], made.der);
        let answer = ask(&mut stream, LIVE);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("strict-transport-security: max-age=63072000\r\n"), "{answer}");
    }
    // h2 is not chosen, also not when it is all that is offered.
    let mut offering = (*authority.client(&[&TLS13])).clone();
    offering.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = connect(address, &offering.clone().into()).unwrap();
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    offering.alpn_protocols = vec![b"h2".to_vec()];
    assert!(connect(address, &offering.into()).is_err());
    // Somebody else's client refuses us: it is the certificate that decides, not that there is one.
    assert!(connect(address, &Authority::new().client(&[&TLS13])).is_err());

    // SSL 3.0, TLS 1.0 and 1.1 as they begin; rustls cannot offer them.
    for minor in [0, 1, 2] {
        let mut body = vec![3, minor];
        body.extend([7; 32]);
        body.extend([0, 0, 4, 0xc0, 0x09, 0xc0, 0x13, 1, 0]);
        let mut hello = vec![22, 3, minor.min(1), 0, u8::try_from(body.len() + 4).unwrap(), 1, 0, 0];
        hello.push(u8::try_from(body.len()).unwrap());
        hello.extend(body);
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(&hello).unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        // RFC 8446 section 6: a fatal alert, and nothing after it.
        assert_eq!((answer[0], answer[5], answer.len()), (21, 2, 7), "{minor}: {answer:?}");
    }
    let plain = raw::exchange(&format!("http://{address}"), LIVE);
    assert!(!plain.contains("HTTP/1.1"), "{plain}");
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_renewed_certificate_is_served_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (old, new, stranger) = (authority.sign(), authority.sign(), authority.sign());
    write(folder.path(), &old.pem, &old.key);
    let mut serve = tls_command(folder.path());
    serve.env("SIGNET__SERVER__KEEP_ALIVE", "5m");
    let server = Process::start_command(serve, folder.path()).unwrap();
    let address = address(&server);
    let config = authority.client(&[&TLS13, &TLS12]);
    let mut kept = connect(address, &config).unwrap();
    assert_eq!(kept.conn.peer_certificates().unwrap()[0], old.der);
    assert!(ask(&mut kept, LIVE).starts_with("HTTP/1.1 200"));
    // Each time a client that remembers nothing: a resumed session shows the certificate of its first handshake.
    let served = || {
        connect(address, &authority.client(&[&TLS13, &TLS12])).unwrap().conn.peer_certificates().unwrap()[0]
            .clone()
    };
    let logged_within = |text: &str| {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !server.logged().contains(text) {
            assert!(Instant::now() < deadline, "no {text:?} in {}", server.logged());
            std::thread::sleep(Duration::from_millis(50)); // poll:
        }
    };

    // A pair that does not fit, then half a file: the old pair stays, and each is told of once.
    write(folder.path(), &new.pem, &stranger.key);
    logged_within("is not the key of the first certificate");
    fs::write(folder.path().join("chain.pem"), &new.pem[..new.pem.len() / 2]).unwrap();
    logged_within("holds no certificates");
    assert_eq!(served(), old.der);

    // A key that others could read, until its mode is set right: nothing else of the file changes.
    let (key, open) = (folder.path().join("key.pem"), folder.path().join("open.pem"));
    fs::write(&open, &new.key).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    fs::rename(&open, &key).unwrap();
    fs::write(folder.path().join("chain.pem"), &new.pem).unwrap();
    logged_within("has mode 0644");
    assert_eq!(served(), old.der);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    logged_within("the TLS certificate was replaced");
    assert_eq!(served(), new.der);
    assert!(ask(&mut kept, LIVE).starts_with("HTTP/1.1 200"), "a connection from before goes on");
    for once in ["is not the key of the first certificate", "holds no certificates", "has mode 0644"] {
        assert_eq!(server.logged().matches(once).count(), 1, "{}", server.logged());
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn what_is_wrong_with_a_certificate_or_its_key_is_told_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (made, other) = (authority.sign(), authority.sign());
    let root = authority.certificate.pem();
    let wrong_order = format!("{root}{}", made.pem);
    let stranger = format!("{}{}", made.pem, Authority::new().certificate.pem());
    let encrypted = made.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    for (chain, key, start, cure) in [
        ("", made.key.as_str(), "tls.certificate:", "BEGIN CERTIFICATE"),
        (made.key.as_str(), &made.key, "tls.certificate:", "BEGIN CERTIFICATE"),
        (made.pem.as_str(), "rubbish", "tls.key:", "unencrypted"),
        (&made.pem, &encrypted, "tls.key:", "unencrypted"),
        (&made.pem, &other.key, "tls.key:", "made together"),
        (&wrong_order, &made.key, "tls.certificate:", "server's own first"),
        (&stranger, &made.key, "tls.certificate:", "certificate 1 was not issued"),
    ] {
        write(folder.path(), chain, key);
        for subcommand in ["serve", "check-config"] {
            let mut command = tls_command(folder.path());
            command.arg(subcommand);
            let refused = run(command, "");
            assert_eq!(refused.status.code(), Some(1), "{subcommand}: {}", printed(&refused));
            let complaints = String::from_utf8(refused.stderr).unwrap();
            let told: Vec<_> = complaints.lines().filter(|line| line.starts_with("signet: ")).collect();
            assert_eq!(told.len(), 1, "{complaints}");
            assert!(told[0].contains(start) && told[0].contains(cure), "{told:?}");
            assert!(!complaints.contains("rubbish"));
        }
    }

    write(folder.path(), &made.pem, &made.key);
    let key = folder.path().join("key.pem");
    let check = || {
        let mut command = tls_command(folder.path());
        command.arg("check-config");
        let done = run(command, "");
        (done.status.code(), printed(&done))
    };
    for (mode, code) in [(0o600, 0), (0o640, 0), (0o400, 0), (0o644, 1), (0o604, 1), (0o660, 1)] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let (found, text) = check();
        assert_eq!(found, Some(code), "{mode:o}: {text}");
        assert_eq!(text.contains("chmod 600"), code == 1, "{text}");
    }
    fs::remove_file(&key).unwrap();
    assert!(check().1.contains("tls.key: cannot read key.pem"));
    fs::create_dir(&key).unwrap();
    assert!(check().1.contains("not a file"));
}

#[test]
fn an_old_certificate_is_warned_of_and_served() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let old = authority.sign_with(|wanted| {
        wanted.not_before = rcgen::date_time_ymd(2020, 1, 1);
        wanted.not_after = rcgen::date_time_ymd(2020, 4, 1);
    });
    write(folder.path(), &old.pem, &old.key);
    let mut check = tls_command(folder.path());
    check.arg("check-config");
    assert!(printed(&run(check, "")).contains("# warning: tls.certificate: chain.pem has expired"));
    let server = Process::start_command(tls_command(folder.path()), folder.path()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !server.logged().contains("has expired") {
        assert!(Instant::now() < deadline, "{}", server.logged());
        std::thread::sleep(Duration::from_millis(50)); // poll:
    }
    assert!(connect(address(&server), &authority.client(&[&TLS13])).is_err(), "the client sees it too");
}

#[test]
fn plain_http_is_sent_to_the_issuer_and_never_to_what_host_says() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let made = authority.sign();
    write(folder.path(), &made.pem, &made.key);
    let mut serve = tls_command(folder.path());
    serve.env("SIGNET_ISSUER", "https://login.example.com/auth");
    serve.env("SIGNET__TLS__REDIRECT_FROM", "127.0.0.1:0");
    let server = Process::start_command(serve, folder.path()).unwrap();
    let (_, redirect) = server.greeting.split_once("Redirects from ").unwrap();
    let redirect = redirect.lines().next().unwrap().to_owned();
    let ask = |method: &str, target: &str, host: &str| {
        let request = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        raw::exchange(&redirect, request)
    };
    for (target, location) in [
        ("/auth/docs?x=1&y=%0d%0aset-cookie", "/auth/docs?x=1&y=%0d%0aset-cookie"),
        ("/", "/"),
        ("//evil.example/%2e", "//evil.example/%2e"),
        ("http://evil.example/x", "/x"),
        ("http://evil.example", "/"),
        ("http://evil.example?@x", "/?@x"),
        ("*", "/*"),
    ] {
        for (method, host) in
            [("GET", "evil.example"), ("HEAD", "127.0.0.1"), ("GET", "login.example.com:80")]
        {
            let answer = ask(method, target, host);
            assert_eq!(raw::status(&answer), 308, "{answer}");
            assert!(
                answer.contains(&format!("location: https://login.example.com{location}\r\n")),
                "{answer}"
            );
            assert!(answer.contains("x-content-type-options: nosniff") && answer.contains("x-request-id"));
            assert!(
                !answer.contains("strict-transport"),
                "meaningless in clear (RFC 6797 section 7.2): {answer}"
            );
        }
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        let answer = ask(method, "/auth/api/v1/login", "login.example.com");
        assert_eq!(raw::status(&answer), 403, "{answer}");
        assert!(
            answer.contains("urn:signet:problem:https-required") && !answer.contains("location:"),
            "{answer}"
        );
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a119_whoever_dawdles_over_a_handshake_or_behind_it_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let made = authority.sign();
    write(folder.path(), &made.pem, &made.key);
    let mut serve = tls_command(folder.path());
    serve.env("SIGNET__SERVER__HEADER_TIMEOUT", "1s").env("SIGNET__SERVER__KEEP_ALIVE", "1s");
    let server = Process::start_command(serve, folder.path()).unwrap();
    let address = address(&server);
    let patience = Some(Duration::from_secs(20));
    let closed = |outcome: std::io::Result<usize>| match outcome {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
    };
    for begun in [&b""[..], &[22, 3, 1, 2, 0, 1, 0]] {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(patience).unwrap();
        socket.write_all(begun).unwrap();
        assert!(closed(socket.read_to_end(&mut Vec::new())), "{begun:?}");
    }
    for begun in ["", "GET /health/li", LIVE, &format!("{LIVE}G")] {
        let mut stream = connect(address, &authority.client(&[&TLS13])).unwrap();
        stream.write_all(begun.as_bytes()).unwrap();
        assert!(closed(stream.read_to_end(&mut Vec::new())), "{begun:?}");
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn whoever_dawdles_over_a_handshake_does_not_hold_up_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    let made = Authority::new().sign();
    write(folder.path(), &made.pem, &made.key);
    let mut serve = tls_command(folder.path());
    serve.env("SIGNET__SERVER__HEADER_TIMEOUT", "60s").env("SIGNET__SERVER__SHUTDOWN_TIMEOUT", "5m");
    let server = Process::start_command(serve, folder.path()).unwrap();
    let mut socket = TcpStream::connect(address(&server)).unwrap();
    socket.write_all(&[22, 3, 1, 2, 0, 1, 0]).unwrap();
    // By then a worker has taken the one before it, too.
    assert!(connect(address(&server), &Authority::new().client(&[&TLS13])).is_err());
    let asked = Instant::now();
    assert_eq!(server.stop(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
}
