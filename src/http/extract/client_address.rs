//! Who called.

use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr};

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, X_FORWARDED_FOR};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};

use crate::config::Network;

/// The IP address a request came from, in canonical form: that of the connection, or, when a proxy of
/// `server.trusted_proxies` made the connection, the one that the proxy names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Walks from the connection towards the caller: as long as the address at hand is a trusted proxy's, what it
    /// added at the right end of `X-Forwarded-For` is the next. The first that is no proxy is the client. Whatever
    /// stands to the left of that was written by the client and means nothing.
    ///
    /// When the header ends early, or holds something that is no address, the last address known is the client: a
    /// caller gets no address of its own choosing that way, and nobody is let off a limit. `Forwarded` (RFC 7239) is
    /// not read: proxies that do not know it pass on what a caller wrote there.
    pub(crate) fn of(peer: Option<IpAddr>, headers: &HeaderMap, proxies: &[Network]) -> Self {
        let mut client = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).to_canonical();
        let is_proxy = |address: IpAddr| proxies.iter().any(|network| network.contains(address));
        if !is_proxy(client) {
            return Self(client);
        }
        // Several lines are one list (RFC 9110 §5.3).
        let lines: Vec<_> = headers.get_all(X_FORWARDED_FOR).collect();
        let hops = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for hop in hops {
            match address(hop) {
                Some(next) => client = next,
                None => {
                    tracing::debug!("a trusted proxy's X-Forwarded-For holds something that is no address");
                    break;
                }
            }
            if !is_proxy(client) {
                break;
            }
        }
        Self(client)
    }
}

/// An address, also with a port behind it, which some proxies add.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim_matches([' ', '\t']);
    let address =
        text.parse::<IpAddr>().or_else(|_| text.parse::<std::net::SocketAddr>().map(|found| found.ip()));
    address.ok().map(|address| address.to_canonical())
}

impl FromRequest for ClientAddress {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    /// [`observe`](crate::http::middleware::observe::observe) found it out before.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let known = request.extensions().get::<Self>().copied();
        let peer = || Self::of(request.peer_addr().map(|peer| peer.ip()), request.headers(), &[]);
        ready(Ok(known.unwrap_or_else(peer)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::config::{Config, ConfigSource};

    fn proxies() -> Vec<Network> {
        let listed = "10.0.0.0/24,192.0.2.1,fd00::/8".to_owned();
        let env = vec![("SIGNET__SERVER__TRUSTED_PROXIES".to_owned(), listed)];
        Config::load(&ConfigSource { file: None, env }).unwrap().server.trusted_proxies
    }

    fn client(peer: &str, lines: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(line).unwrap());
        }
        ClientAddress::of(Some(peer.parse().unwrap()), &headers, &proxies()).0.to_string()
    }

    #[test]
    fn a010_the_client_is_the_rightmost_address_that_is_no_proxy() {
        let cases: [(&str, &[&[u8]], &str); 12] = [
            ("203.0.113.5", &[b"198.51.100.1"], "203.0.113.5"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[b"198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &[b"1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &[b"1.1.1.1", b"198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &[b"1.1.1.1 ,198.51.100.1,10.0.0.9,\t192.0.2.1 "], "198.51.100.1"),
            ("10.0.0.1", &[b"10.0.0.2, 10.0.0.3"], "10.0.0.2"),
            ("10.0.0.1", &[b"198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", &[b"[2001:db8::1]:4711"], "2001:db8::1"),
            ("::ffff:10.0.0.1", &[b"::ffff:198.51.100.1"], "198.51.100.1"),
            ("fd00::1", &[b"2001:db8::1"], "2001:db8::1"),
            ("192.0.2.2", &[b"198.51.100.1"], "192.0.2.2"),
        ];
        for (peer, lines, expected) in cases {
            assert_eq!(client(peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn a010_what_is_no_address_leaves_the_last_one_known() {
        let long = vec![b'1'; 10_000];
        let cases: [&[u8]; 10] = [
            b"a",
            b"",
            b"fe80::1%eth0",
            b"1.2.3",
            b"1.2.3.4:x",
            b"unknown",
            b"\"1.2.3.4\"",
            b"0x7f.1",
            &long,
            b"\xff",
        ];
        for wrong in cases {
            assert_eq!(client("10.0.0.1", &[wrong]), "10.0.0.1");
            assert_eq!(client("10.0.0.1", &[&[b"198.51.100.1,", wrong].concat()]), "10.0.0.1");
            assert_eq!(client("10.0.0.1", &[&[wrong, b",198.51.100.1"].concat()]), "198.51.100.1");
            assert_eq!(client("10.0.0.1", &[&[b"198.51.100.1,", wrong, b",10.0.0.9"].concat()]), "10.0.0.9");
            assert_eq!(client("203.0.113.5", &[wrong]), "203.0.113.5");
        }
    }

    proptest! {
        /// Whatever a caller writes, the address that the proxy saw is the one that counts.
        #[test]
        fn a010_no_text_changes_what_the_proxy_added(text in "[ -~]{0,60}", second in "[0-9a-f:., %\\[\\]]{0,60}") {
            let added = b"198.51.100.1".as_slice();
            let one_line = [text.as_bytes(), b",", second.as_bytes(), b", ", added].concat();
            prop_assert_eq!(client("10.0.0.1", &[&one_line]), "198.51.100.1");
            prop_assert_eq!(client("10.0.0.1", &[text.as_bytes(), second.as_bytes(), added]), "198.51.100.1");
            prop_assert_eq!(client("203.0.113.5", &[&one_line]), "203.0.113.5");
        }
    }
}
