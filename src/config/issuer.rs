//! The issuer identifier.

use std::fmt;

use url::{Host, Url};

use super::fault::Problem;

/// The issuer identifier (`iss`; RFC 8414 §2): one URL, fixed for the life of the service, from which every other
/// URL is built. `https` unless it names this machine; no query, no fragment, no user, no trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    host: String,
    path: String,
    is_loopback: bool,
}

impl Issuer {
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let url = Url::parse(text)
            .map_err(|_| Problem::new("is not a URL", "write it like https://login.example.com"))?;
        let Some(host) = url.host() else {
            return Err(Problem::new("names no host", "write it like https://login.example.com"));
        };
        if !matches!(url.scheme(), "https" | "http") {
            return Err(Problem::new("is neither https nor http", "begin it with https://"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Problem::new("has a query or a fragment", "remove everything from ? or # on"));
        }
        if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
            return Err(Problem::new("holds a user name or password", "remove everything between // and @"));
        }
        if text.ends_with('/') {
            return Err(Problem::new(
                "ends with a slash",
                "remove it: the issuer is compared letter by letter",
            ));
        }
        let is_loopback = match &host {
            Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        if url.scheme() == "http" && !is_loopback {
            return Err(Problem::new("is http, yet not on this machine", "begin it with https://"));
        }
        let path = url.path().trim_end_matches('/');
        let origin = url.origin().ascii_serialization();
        if format!("{origin}{path}") != text {
            return Err(Problem::new(
                "is not in its normal form",
                "write scheme and host in lower case, no default port, no dot segments, no trailing dot or slash",
            ));
        }
        let host = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        Ok(Self { text: text.to_owned(), host, path: path.to_owned(), is_loopback })
    }

    /// The identifier, letter for letter as tokens carry it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host as a `Host` header carries it: with the port unless it is the scheme's own.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path all routes live under: empty at the root, otherwise with a leading and without a trailing slash.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Scheme, host and port: the issuer without its path.
    pub fn origin(&self) -> &str {
        self.text.strip_suffix(self.path.as_str()).unwrap_or(&self.text)
    }

    /// Whether it is an https URL.
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https:")
    }

    /// Whether it names this machine: `localhost`, `*.localhost`, `127.0.0.0/8` or `::1`.
    pub fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// The URL of a route; `path` begins with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }
}

impl Default for Issuer {
    fn default() -> Self {
        Self {
            text: "http://127.0.0.1:8080".to_owned(),
            host: "127.0.0.1:8080".to_owned(),
            path: String::new(),
            is_loopback: true,
        }
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_issuer() {
        let cases = [
            ("https://login.example.com", "login.example.com", "", false),
            ("https://login.example.com:8443/auth/eu", "login.example.com:8443", "/auth/eu", false),
            ("http://localhost:8080", "localhost:8080", "", true),
            ("http://login.localhost", "login.localhost", "", true),
            ("http://[::1]:8080", "[::1]:8080", "", true),
            ("http://127.9.9.9", "127.9.9.9", "", true),
            ("https://xn--bcher-kva.example", "xn--bcher-kva.example", "", false),
        ];
        for (text, host, path, is_loopback) in cases {
            let issuer = Issuer::parse(text).unwrap();
            assert_eq!(
                (issuer.as_str(), issuer.host(), issuer.path(), issuer.is_loopback()),
                (text, host, path, is_loopback)
            );
        }
        assert_eq!(Issuer::parse("http://127.0.0.1:8080").unwrap(), Issuer::default());
        let deep = Issuer::parse("https://login.example.com:8443/auth/eu").unwrap();
        assert!(deep.is_https() && deep.origin() == "https://login.example.com:8443");
        assert_eq!(Issuer::default().join("/token"), "http://127.0.0.1:8080/token");
    }

    #[test]
    fn what_is_not_an_issuer() {
        let cases = [
            "",
            "login.example.com",
            "ftp://login.example.com",
            "http://login.example.com",
            "http://127.0.0.1.example.com",
            "http://10.0.0.1",
            "https://login.example.com/",
            "https://login.example.com/auth/",
            "https://login.example.com//",
            "https://LOGIN.example.com",
            "HTTPS://login.example.com",
            "https://login.example.com:443",
            "https://login.example.com/a/../b",
            "https://login.example.com?x=1",
            "https://login.example.com/#",
            "https://user@login.example.com",
            "https://@login.example.com",
            "https://bücher.example",
            " https://login.example.com",
            "https://login.example.com\n",
            "https://",
            "mailto:ann@example.com",
        ];
        for text in cases {
            assert!(Issuer::parse(text).is_err(), "{text:?}");
        }
    }
}
