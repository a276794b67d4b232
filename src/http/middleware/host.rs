//! Whether a request means us.
//!
//! Nothing is ever built from the `Host` header; this check keeps a page of another name (DNS rebinding) from talking
//! to a service on the visitor's own machine, and caches from mixing names up.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::Uri;
use actix_web::http::header::{HOST, HeaderMap};

use crate::config::Config;

/// Whom a request means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Us.
    Ours,
    /// Some other host.
    Strange,
    /// Nobody can tell: there is no `Host` header, or more than one.
    Unclear,
}

/// Whether the request's target is one of ours: the issuer's host, one of `server.hosts`, or, on a loopback listener,
/// any IP literal or `localhost`. Health checks are asked by address, and tell nobody anything: any name will do.
///
/// # Source
/// RFC 9110 §7.2, §7.4 (421), §4.2.3 (the default port may be written), RFC 9112 §3.2 (one `Host`, or 400), §3.2.2 (an
/// absolute-form target overrules `Host`).
pub fn target(config: &Config, headers: &HeaderMap, uri: &Uri) -> Target {
    if uri.path().starts_with("/health/") {
        return Target::Ours;
    }
    let mut hosts = headers.get_all(HOST);
    let host = match (hosts.next().map(|host| host.to_str()), hosts.next()) {
        (Some(Ok(host)), None) => host,
        _ => return Target::Unclear,
    };
    let default_port = if config.issuer.is_https() { ":443" } else { ":80" };
    let names_us = |host: &str| {
        let named = |ours: &str| {
            host.eq_ignore_ascii_case(ours)
                || host.strip_suffix(default_port).is_some_and(|host| host.eq_ignore_ascii_case(ours))
        };
        named(config.issuer.host())
            || config.server.hosts.iter().any(|ours| named(ours))
            || (config.server.listen.ip().is_loopback() && is_local(host))
    };
    if names_us(host) && uri.authority().is_none_or(|authority| names_us(authority.as_str())) {
        Target::Ours
    } else {
        Target::Strange
    }
}

fn is_local(host: &str) -> bool {
    let port_is_digits = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port_is_digits(port) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4())
        || name
            .strip_prefix('[')
            .and_then(|n| n.strip_suffix(']'))
            .is_some_and(|n| n.parse::<IpAddr>().is_ok())
        || host.parse::<SocketAddr>().is_ok()
}
