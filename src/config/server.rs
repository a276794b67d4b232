//! `[server]`: where Signet listens and how long it waits.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use url::Url;

use super::fault::Problem;
use super::network::Network;
use super::parse::{duration, integer, list, parsed, quote, quote_list, show_duration, show_size, size};
use super::reader::Reader;

/// `[server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The address and port to listen on.
    pub listen: SocketAddr,
    /// Values of the `Host` header answered besides the issuer's own, in lower case, with a port unless it is 443.
    pub hosts: Vec<String>,
    /// Origins whose scripts may call `/api/v1` (CORS); none by default.
    pub allowed_origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed; none by default.
    pub trusted_proxies: Vec<Network>,
    /// Most connections at once, over all listeners and workers.
    pub max_connections: usize,
    /// Threads that answer requests; 0 means one per core.
    pub workers: usize,
    /// Longest request body, in bytes.
    pub max_body: usize,
    /// Longest wait for the headers of a request.
    pub header_timeout: Duration,
    /// Longest wait for the body of a request.
    pub body_timeout: Duration,
    /// How long a connection may lie idle between two requests.
    pub keep_alive: Duration,
    /// Longest wait for requests under way when stopping.
    pub shutdown_timeout: Duration,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            hosts: Vec::new(),
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            // More than the ten thousand that one idler can open for as long as `header_timeout` lets them be; at 11 KiB
            // each, 20 with TLS (measured, before they have sent anything), memory that a small machine has.
            max_connections: 16_384,
            workers: 0,
            max_body: 64 << 10,
            header_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(10),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

impl Server {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let default = Self::default();
        let wait = |least, most| duration(Duration::from_secs(least)..=Duration::from_secs(most));
        Self {
            listen: reader.take("server.listen", parsed(address)).unwrap_or(default.listen),
            hosts: reader.take("server.hosts", list(host)).unwrap_or(default.hosts),
            allowed_origins: reader.take("server.allowed_origins", list(origin)).unwrap_or_default(),
            trusted_proxies: reader.take("server.trusted_proxies", list(Network::parse)).unwrap_or_default(),
            max_connections: reader
                .take("server.max_connections", integer(16..=1_000_000))
                .unwrap_or(default.max_connections),
            workers: reader.take("server.workers", integer(0..=1024)).unwrap_or(default.workers),
            max_body: reader.take("server.max_body", size(1 << 10..=16 << 20)).unwrap_or(default.max_body),
            header_timeout: reader
                .take("server.header_timeout", wait(1, 60))
                .unwrap_or(default.header_timeout),
            body_timeout: reader.take("server.body_timeout", wait(1, 300)).unwrap_or(default.body_timeout),
            keep_alive: reader.take("server.keep_alive", wait(1, 300)).unwrap_or(default.keep_alive),
            shutdown_timeout: reader
                .take("server.shutdown_timeout", wait(0, 300))
                .unwrap_or(default.shutdown_timeout),
        }
    }

    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        vec![
            ("server.listen", quote(&self.listen.to_string())),
            ("server.hosts", quote_list(&self.hosts)),
            ("server.allowed_origins", quote_list(&self.allowed_origins)),
            (
                "server.trusted_proxies",
                quote_list(&self.trusted_proxies.iter().map(Network::to_string).collect::<Vec<_>>()),
            ),
            ("server.max_connections", self.max_connections.to_string()),
            ("server.workers", self.workers.to_string()),
            ("server.max_body", quote(&show_size(self.max_body))),
            ("server.header_timeout", quote(&show_duration(self.header_timeout))),
            ("server.body_timeout", quote(&show_duration(self.body_timeout))),
            ("server.keep_alive", quote(&show_duration(self.keep_alive))),
            ("server.shutdown_timeout", quote(&show_duration(self.shutdown_timeout))),
        ]
    }
}

pub(super) fn address(text: &str) -> Result<SocketAddr, Problem> {
    text.parse().map_err(|_| {
        Problem::new("is not an IP address with a port", "write it like 127.0.0.1:8080 or [::1]:8080")
    })
}

fn host(text: &str) -> Result<String, Problem> {
    let wrong = || {
        Problem::new(
            "holds something that is not a host in lower case",
            "write each like login.example.com or login.example.com:8443; a * is not possible",
        )
    };
    let url = Url::parse(&format!("https://{text}/")).map_err(|_| wrong())?;
    let host = url.host_str().ok_or_else(wrong)?;
    let shown = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    // `url` takes a star for part of a name; compared as such, it would match nothing.
    if shown == text && !text.contains('*') { Ok(shown) } else { Err(wrong()) }
}

fn origin(text: &str) -> Result<String, Problem> {
    let wrong = || {
        Problem::new(
            "holds something that is not an origin",
            "write each like https://app.example.com, without a path; a * is not possible",
        )
    };
    let url = Url::parse(text).map_err(|_| wrong())?;
    let is_web = matches!(url.scheme(), "https" | "http") && !text.contains('*');
    if is_web && url.origin().ascii_serialization() == text { Ok(text.to_owned()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_as_a_host_header_carries_them() {
        for text in ["login.example.com", "login.example.com:8443", "10.0.0.1:80", "[::1]:8080"] {
            assert_eq!(host(text).as_deref(), Ok(text));
        }
        for text in
            ["", "Login.example.com", "https://x", "a/b", "a b", "a@b", "a:443", "*.example.com", "a/", "a?b"]
        {
            assert!(host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn origins_have_no_path_and_no_star() {
        for text in ["https://app.example.com", "http://localhost:3000", "https://app.example.com:8443"] {
            assert_eq!(origin(text).as_deref(), Ok(text));
        }
        for text in [
            "*",
            "null",
            "",
            "https://app.example.com/",
            "https://*",
            "https://*.example.com",
            "app.example.com",
            "file:///x",
            "https://a.example.com:443",
            "https://u@a.example.com",
        ] {
            assert!(origin(text).is_err(), "{text}");
        }
    }
}
