//! The cookies that carry a credential for browsers: what they are called and who gets them.

use std::time::Duration;

use actix_web::http::header::{COOKIE, HeaderMap};

use crate::config::Issuer;

/// A cookie of ours.
#[derive(Clone, Copy)]
pub(super) struct Cookie {
    /// Its name without a prefix.
    name: &'static str,
}

impl Cookie {
    /// A cookie of this name.
    pub(super) const fn named(name: &'static str) -> Self {
        Self { name }
    }

    /// Its value in the request. Two cookies of the name mean that somebody else set one of them: neither counts. What is
    /// none of ours is no fault, whatever its length and bytes.
    pub(super) fn presented<'h>(self, issuer: &Issuer, headers: &'h HeaderMap) -> Option<&'h str> {
        let name = format!("{}{}=", prefix(issuer), self.name);
        // By bytes: another cookie that is not UTF-8 must not hide ours.
        let mut ours = headers
            .get_all(COOKIE)
            .flat_map(|value| value.as_bytes().split(|&byte| byte == b';'))
            .filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes()));
        match (ours.next(), ours.next()) {
            (Some(value), None) => std::str::from_utf8(value).ok(),
            _ => None,
        }
    }

    /// The value of `Set-Cookie`. Only our own pages and scripts send it back, none can read it, and no other site makes a
    /// browser send it. A life of zero removes it.
    pub(super) fn set(self, issuer: &Issuer, value: &str, life: Duration) -> String {
        let secure = if issuer.is_https() { "; Secure" } else { "" };
        let (prefix, name, life) = (prefix(issuer), self.name, life.as_secs());
        format!("{prefix}{name}={value}; Path=/; Max-Age={life}; HttpOnly; SameSite=Strict{secure}")
    }
}

/// `__Host-` binds a cookie to this very host: no neighbour under the same domain can set one, and none is sent without
/// TLS (RFC 6265bis §4.1.3.2). Browsers keep such a name only with `Secure`, which a loopback issuer cannot have.
fn prefix(issuer: &Issuer) -> &'static str {
    if issuer.is_https() { "__Host-" } else { "" }
}
