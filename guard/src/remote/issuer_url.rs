//! The issuer as a place to fetch from: RFC 8414 §2 and §3.

use ureq::http::Uri;
use ureq::http::uri::Scheme;

/// An issuer that keys may be fetched from: `https`, or `http` on a loopback host.
#[derive(Debug, Clone)]
pub(crate) struct IssuerUrl {
    text: String,
    uri: Uri,
}

impl IssuerUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let uri = plain_url(text)?;
        if uri.query().is_some() {
            return Err("an issuer has no query");
        }
        if text.ends_with('/') {
            return Err("leave out the trailing slash");
        }
        Ok(Self { text: text.to_owned(), uri })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.uri)
    }

    /// Where its metadata is: the well-known segment comes before the path (RFC 8414 §3.1).
    pub(crate) fn metadata_url(&self) -> String {
        let path = self.uri.path().trim_end_matches('/');
        let origin = self.text.strip_suffix(path).unwrap_or(&self.text);
        format!("{origin}/.well-known/oauth-authorization-server{path}")
    }

    /// Whether keys may be fetched from `url`, as this issuer's metadata says: same scheme, host and port, so that
    /// nobody who can write metadata can make this process call another host.
    pub(crate) fn may_send_to(&self, url: &str) -> Result<(), &'static str> {
        if origin(&plain_url(url)?) == origin(&self.uri) {
            Ok(())
        } else {
            Err("not on the issuer's own host and port")
        }
    }

    /// Whether `url` is below this issuer: same scheme, host and port, and a path that goes on where the issuer's ends,
    /// so that two issuers on one host are kept apart.
    #[cfg(feature = "status")]
    pub(crate) fn is_above(&self, url: &str) -> bool {
        let Ok(uri) = plain_url(url) else { return false };
        let own = self.uri.path().trim_end_matches('/');
        let Some(rest) = uri.path().strip_prefix(own) else { return false };
        // Servers and proxies differ in what they make of these; nobody writes them on purpose.
        let ambiguous =
            rest.contains(['\\', '%']) || rest.split('/').any(|segment| matches!(segment, "." | ".."));
        origin(&uri) == origin(&self.uri)
            && uri.query().is_none()
            && !ambiguous
            && rest.len() > 1
            && rest.starts_with('/')
    }
}

fn plain_url(text: &str) -> Result<Uri, &'static str> {
    // `Uri` drops a fragment without a word.
    if text.contains('#') {
        return Err("a fragment is not allowed");
    }
    let uri: Uri = text.parse().map_err(|_| "not a URL")?;
    let host = uri.host().unwrap_or_default();
    if host.is_empty() {
        return Err("not an absolute URL");
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("a user name is not allowed");
    }
    match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => Ok(uri),
        Some(scheme) if *scheme == Scheme::HTTP && is_loopback(&uri) => Ok(uri),
        Some(scheme) if *scheme == Scheme::HTTP => Err("`http` is for loopback hosts only: use `https`"),
        _ => Err("only `https`, or `http` on a loopback host"),
    }
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn origin(uri: &Uri) -> (Option<&str>, String, u16) {
    let default = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    (uri.scheme_str(), host, uri.port_u16().unwrap_or(default))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn https_or_loopback_only() {
        for good in [
            "https://id.example.com",
            "https://id.example.com/tenant/a",
            "https://id.example.com:8443",
            "http://127.0.0.1:8080",
            "http://127.9.9.9",
            "http://localhost:8080",
            "http://[::1]:8080",
        ] {
            assert!(IssuerUrl::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "x",
            "/x",
            "id.example.com",
            "http://id.example.com",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "http://10.0.0.1",
            "http://0.0.0.0",
            "ftp://id.example.com",
            "file:///etc/passwd",
            "https://",
            "https:///x",
            "https://a@b",
            "https://a:b@c",
            "https://a?b",
            "https://a#b",
            "https://a/",
            "https://a/b/",
            "http://127.0.0.1@evil.example",
            " https://a",
            "https://a b",
        ] {
            assert!(IssuerUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_well_known_segment_comes_before_the_path() {
        for (issuer, metadata) in [
            ("https://a.example", "https://a.example/.well-known/oauth-authorization-server"),
            ("http://[::1]:80", "http://[::1]:80/.well-known/oauth-authorization-server"),
            ("https://a.example/t/1", "https://a.example/.well-known/oauth-authorization-server/t/1"),
        ] {
            assert_eq!(IssuerUrl::parse(issuer).unwrap().metadata_url(), metadata);
        }
    }

    #[test]
    fn keys_come_from_the_issuers_origin_only() {
        let issuer = IssuerUrl::parse("https://a.example").unwrap();
        for good in ["https://a.example/jwks", "https://A.example:443/x?y=z"] {
            assert_eq!(issuer.may_send_to(good), Ok(()), "{good}");
        }
        for bad in [
            "http://a.example/jwks",
            "https://b.example/jwks",
            "https://a.example:444/",
            "https://a.example@b.example/",
            "https://a.example.b.example/",
            "http://127.0.0.1/",
            "/jwks",
            "file:///etc/passwd",
        ] {
            assert!(issuer.may_send_to(bad).is_err(), "{bad}");
        }
    }

    #[cfg(feature = "status")]
    #[test]
    fn what_is_below_an_issuer_starts_with_all_of_it() {
        for (issuer, url) in [
            ("https://a.example", "https://a.example/status/0"),
            ("https://a.example", "https://A.example:443/x"),
            ("https://a.example/t/1", "https://a.example/t/1/status/0"),
            ("http://127.0.0.1:80", "http://127.0.0.1/status/18446744073709551615"),
        ] {
            assert!(IssuerUrl::parse(issuer).unwrap().is_above(url), "{issuer} {url}");
        }
        for (issuer, url) in [
            ("https://a.example", "https://a.example"),
            ("https://a.example", "https://a.example/"),
            ("https://a.example", "https://b.example/status/0"),
            ("https://a.example", "http://a.example/status/0"),
            ("https://a.example", "https://a.example:444/status/0"),
            ("https://a.example", "https://a.example@b.example/status/0"),
            ("https://a.example", "https://a.example.b.example/status/0"),
            ("https://a.example", "https://a.example/status/0?x=1"),
            ("https://a.example", "https://a.example/status/0#1"),
            ("https://a.example", "/status/0"),
            ("https://a.example", ""),
            ("https://a.example/t/1", "https://a.example/t/1"),
            ("https://a.example/t/1", "https://a.example/t/10/status/0"),
            ("https://a.example/t/1", "https://a.example/t/2/status/0"),
            ("https://a.example/t/1", "https://a.example/status/0"),
            ("https://a.example/t/1", "https://a.example/t/1/../2/status/0"),
            ("https://a.example/t/1", "https://a.example/t/1/./status/0"),
            ("https://a.example/t/1", "https://a.example/t/1/%2e%2E/2/status/0"),
            ("https://a.example/t/1", "https://a.example/t/1\\..\\2"),
            ("https://a.example/t/1", "https://a.example/T/1/status/0"),
        ] {
            assert!(!IssuerUrl::parse(issuer).unwrap().is_above(url), "{issuer} {url}");
        }
    }
}
