//! `[tls]`: whether Signet speaks https itself.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::issuer::Issuer;
use super::parse::{parsed, quote, text};
use super::reader::Reader;
use super::server::address;

/// `[tls]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and its key; without them `server.listen` speaks plain http.
    pub files: Option<TlsFiles>,
    /// An address that sends plain http requests on to the issuer. Only with `files`.
    pub redirect_from: Option<SocketAddr>,
}

/// Where the certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the server's certificate first, then each one that signed the one before it.
    pub certificate: PathBuf,
    /// PEM: the private key of the first certificate.
    pub key: PathBuf,
}

impl Tls {
    pub(super) fn read(reader: &mut Reader, issuer: &Issuer) -> Self {
        let mut file = |key| reader.take(key, text).filter(|path| !path.is_empty()).map(PathBuf::from);
        let (certificate, key) = (file("tls.certificate"), file("tls.key"));
        let redirect_from = reader.take("tls.redirect_from", parsed(optional_address)).flatten();
        let files = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (Some(_), None) => {
                reader.fault("tls.certificate", "is set without tls.key", "set both, or none");
                None
            }
            (None, Some(_)) => {
                reader.fault("tls.key", "is set without tls.certificate", "set both, or none");
                None
            }
            (None, None) => {
                if redirect_from.is_some() {
                    reader.fault(
                        "tls.redirect_from",
                        "is set, but there is no https here to send callers to",
                        "set tls.certificate and tls.key, or remove it",
                    );
                }
                None
            }
        };
        if files.is_some() && !issuer.is_https() {
            reader.fault(
                "tls.certificate",
                "is set, but issuer begins with http://",
                "begin the issuer with https://: verifiers fetch the keys from there",
            );
        }
        Self { files, redirect_from }
    }

    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let path = |of: fn(&TlsFiles) -> &PathBuf| {
            quote(&self.files.as_ref().map(|files| of(files).to_string_lossy()).unwrap_or_default())
        };
        let redirect_from = self.redirect_from.map(|address| address.to_string()).unwrap_or_default();
        vec![
            ("tls.certificate", path(|files| &files.certificate)),
            ("tls.key", path(|files| &files.key)),
            ("tls.redirect_from", quote(&redirect_from)),
        ]
    }
}

fn optional_address(text: &str) -> Result<Option<SocketAddr>, super::fault::Problem> {
    if text.is_empty() { Ok(None) } else { address(text).map(Some) }
}
