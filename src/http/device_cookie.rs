//! The cookie that carries a device proof for browsers.

use actix_web::http::header::HeaderMap;

use super::cookie::Cookie;
use crate::config::Issuer;
use crate::flow::device::{DeviceProof, PROOF_LIFE, PresentedDevice};

const DEVICE: Cookie = Cookie::named("signet-device");

/// The proof in the request's cookies.
pub(super) fn presented(issuer: &Issuer, headers: &HeaderMap) -> Option<PresentedDevice> {
    DEVICE.presented(issuer, headers).and_then(PresentedDevice::parse)
}

/// The value of `Set-Cookie`.
pub(super) fn set(issuer: &Issuer, proof: &DeviceProof) -> String {
    DEVICE.set(issuer, proof.as_str(), PROOF_LIFE)
}
