//! The cookie that carries a device proof for browsers.

use actix_web::http::header::{COOKIE, HeaderMap};

use crate::config::Issuer;
use crate::flow::device::{DeviceProof, PROOF_LIFE, PresentedDevice};

/// `__Host-` binds it to this very host: no neighbour under the same domain can set one, and none is sent without TLS
/// (RFC 6265bis §4.1.3.2). Browsers keep such a name only with `Secure`, which a loopback issuer cannot have.
fn name(issuer: &Issuer) -> &'static str {
    if is_secure(issuer) { "__Host-signet-device" } else { "signet-device" }
}

fn is_secure(issuer: &Issuer) -> bool {
    issuer.as_str().starts_with("https:")
}

/// The proof in the request's cookies. Two cookies of the name mean that somebody else set one of them: neither counts.
/// What is no proof is no fault either, whatever its length and bytes.
pub(super) fn presented(issuer: &Issuer, headers: &HeaderMap) -> Option<PresentedDevice> {
    let name = name(issuer).as_bytes();
    // By bytes: another cookie that is not UTF-8 must not hide ours.
    let mut ours = headers
        .get_all(COOKIE)
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b';'))
        .filter_map(|pair| pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"="));
    match (ours.next(), ours.next()) {
        (Some(value), None) => PresentedDevice::parse(std::str::from_utf8(value).ok()?),
        _ => None,
    }
}

/// The value of `Set-Cookie`. Only our own pages and scripts send it back, none can read it, and no other site makes a
/// browser send it.
pub(super) fn set(issuer: &Issuer, proof: &DeviceProof) -> String {
    let secure = if is_secure(issuer) { "; Secure" } else { "" };
    let (name, value, life) = (name(issuer), proof.as_str(), PROOF_LIFE.as_secs());
    format!("{name}={value}; Path=/; Max-Age={life}; HttpOnly; SameSite=Strict{secure}")
}
