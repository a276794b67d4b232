//! The issuer as a place to fetch from: RFC 8414 §2 and §3.

use std::net::{IpAddr, Ipv4Addr};

use ureq::http::Uri;
use ureq::http::uri::Scheme;

/// Another host that an issuer's keys may come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JwksHost(Origin);

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
        if text.ends_with("//") {
            return Err("it ends in two slashes");
        }
        Ok(Self { text: text.to_owned(), uri })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.uri)
    }

    /// Without the one slash that its identifier may end in. What belongs to the issuer is found below this (RFC 8414 §3.1,
    /// OpenID Connect Discovery 1.0 §4.1); whatever names the issuer names it as it is.
    pub(crate) fn without_slash(&self) -> &str {
        self.text.strip_suffix('/').unwrap_or(&self.text)
    }

    /// Where its metadata is: the well-known segment comes before the path (RFC 8414 §3.1).
    pub(crate) fn metadata_url(&self) -> String {
        let path = self.uri.path().trim_end_matches('/');
        let text = self.without_slash();
        let origin = text.strip_suffix(path).unwrap_or(text);
        format!("{origin}/.well-known/oauth-authorization-server{path}")
    }

    /// Where an OpenID provider that knows no RFC 8414 has it: after the path (OpenID Connect Discovery 1.0 §4.1).
    pub(crate) fn openid_url(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.without_slash())
    }

    /// Whether keys may be fetched from `url`, as this issuer's metadata says: same scheme, host and port, or one of
    /// `hosts`, so that nobody who can write metadata can make this process call another host.
    pub(crate) fn may_send_to(&self, url: &str, hosts: &[JwksHost]) -> Result<(), &'static str> {
        let url = plain_url(url)?;
        if origin(&url) == origin(&self.uri) || hosts.iter().any(|host| host.0 == origin(&url)) {
            Ok(())
        } else {
            Err("not on the issuer's own host and port, and no `jwks_host` names it")
        }
    }

    /// Another host that this issuer's keys may be fetched from, with a port unless it is 443. An address that is not
    /// public would let a name on the Internet lead into the network this runs in.
    pub(crate) fn jwks_host(&self, host: &str) -> Result<JwksHost, &'static str> {
        if host.contains(['/', '?', '#', '@', '\\']) {
            return Err("give a host, or a host and a port");
        }
        let problem = "not a host, or a host and a port";
        let mut uri = plain_url(&format!("https://{host}")).map_err(|_| problem)?;
        if !self.is_loopback() && is_private(&uri) {
            return Err("not a public address");
        }
        if is_loopback(&uri) {
            let scheme = self.uri.scheme_str().unwrap_or("https");
            uri = plain_url(&format!("{scheme}://{host}")).map_err(|_| problem)?;
        }
        Ok(JwksHost(origin(&uri)))
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

/// Whether the host is an address that is not of the public Internet, or a name that always means this machine.
fn is_private(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if host == "localhost" || host.ends_with(".localhost") {
        return true;
    }
    match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(IpAddr::V4(address)) => is_private_v4(address),
        Ok(IpAddr::V6(address)) => match address.to_ipv4() {
            Some(mapped) => is_private_v4(mapped),
            // 2000::/3 is all that is given out; the rest is local or reserved (RFC 4291 §2.4).
            None => address.segments()[0] & 0xe000 != 0x2000,
        },
        // `127.1` and `0x7f000001` are addresses to some resolvers; the last label of a name has a letter (RFC 3696 §2).
        Err(_) => host.rsplit('.').next().is_none_or(|last| {
            last.is_empty() || last.starts_with("0x") || last.bytes().all(|byte| byte.is_ascii_digit())
        }),
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || matches!(first, 0 | 224..=255)
        // Carrier-grade NAT (RFC 6598) and benchmarks (RFC 2544).
        || (first == 100 && (64..128).contains(&second))
        || (first == 198 && (18..20).contains(&second))
}

type Origin = (String, String, u16);

fn origin(uri: &Uri) -> Origin {
    let default = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    (uri.scheme_str().unwrap_or_default().to_owned(), host, uri.port_u16().unwrap_or(default))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn https_or_loopback_only() {
        for good in [
            "https://id.example.com",
            "https://id.example.com/",
            "https://id.example.com/tenant/a",
            "https://id.example.com/tenant/a/",
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
            "https://a//",
            "https://a/b//",
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
            ("https://a.example/", "https://a.example/.well-known/oauth-authorization-server"),
            ("http://[::1]:80", "http://[::1]:80/.well-known/oauth-authorization-server"),
            ("https://a.example/t/1", "https://a.example/.well-known/oauth-authorization-server/t/1"),
            ("https://a.example/t/1/", "https://a.example/.well-known/oauth-authorization-server/t/1"),
        ] {
            let url = IssuerUrl::parse(issuer).unwrap();
            assert_eq!((url.as_str(), url.metadata_url()), (issuer, metadata.to_owned()));
        }
    }

    #[test]
    fn openid_connect_has_it_after_the_path() {
        for (issuer, metadata) in [
            ("https://a.example", "https://a.example/.well-known/openid-configuration"),
            ("https://a.example/", "https://a.example/.well-known/openid-configuration"),
            ("https://a.example/t/1", "https://a.example/t/1/.well-known/openid-configuration"),
            ("https://a.example/t/1/", "https://a.example/t/1/.well-known/openid-configuration"),
        ] {
            assert_eq!(IssuerUrl::parse(issuer).unwrap().openid_url(), metadata);
        }
    }

    #[test]
    fn a102_keys_come_from_the_issuers_origin_only() {
        let issuer = IssuerUrl::parse("https://a.example").unwrap();
        for good in ["https://a.example/jwks", "https://A.example:443/x?y=z"] {
            assert_eq!(issuer.may_send_to(good, &[]), Ok(()), "{good}");
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
            assert!(issuer.may_send_to(bad, &[]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a102_another_host_is_named_by_the_api_and_public() {
        let issuer = IssuerUrl::parse("https://a.example").unwrap();
        let hosts = ["www.googleapis.com", "keys.example:8443", "8.8.8.8", "[2606:4700::1]"];
        let hosts: Vec<_> = hosts.iter().map(|host| issuer.jwks_host(host).unwrap()).collect();
        for (url, allowed) in [
            ("https://a.example/jwks", true),
            ("https://WWW.googleapis.com/oauth2/v3/certs", true),
            ("https://www.googleapis.com:443/x", true),
            ("https://keys.example:8443/x", true),
            ("https://keys.example/x", false),
            ("http://www.googleapis.com/oauth2/v3/certs", false),
            ("https://www.googleapis.com:444/", false),
            ("https://googleapis.com/", false),
            ("https://www.googleapis.com.evil.example/", false),
            ("https://www.googleapis.com@evil.example/", false),
        ] {
            assert_eq!(issuer.may_send_to(url, &hosts).is_ok(), allowed, "{url}");
        }
        for bad in [
            "",
            "/",
            "https://b.example",
            "b.example/jwks",
            "a@b.example",
            "b.example#",
            "b.example?x",
            "b example",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "x.localhost",
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[fe80::1]",
            "[fd00::1]",
            "[::ffff:10.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::a00:1]",
            "[ff02::1]",
            "10.1.2.3:443",
        ] {
            assert!(issuer.jwks_host(bad).is_err(), "{bad}");
        }
        // In tests of one's own all is on one machine.
        let local = IssuerUrl::parse("http://127.0.0.1:8080").unwrap();
        let hosts =
            [local.jwks_host("127.0.0.1:9090").unwrap(), local.jwks_host("www.googleapis.com").unwrap()];
        for (url, allowed) in [
            ("http://127.0.0.1:9090/jwks", true),
            ("http://127.0.0.1:9091/jwks", false),
            ("https://www.googleapis.com/oauth2/v3/certs", true),
            ("http://www.googleapis.com/oauth2/v3/certs", false),
        ] {
            assert_eq!(local.may_send_to(url, &hosts).is_ok(), allowed, "{url}");
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
