//! TLS in this process: the certificate from its files, and what is spoken.
//!
//! TLS 1.2 and 1.3 with the suites of Mozilla's intermediate guidelines, which are the provider's own; no early data
//! (RFC 8446 §8: it can be replayed). The provider is named here, not taken from the process: two crates that disagree
//! about a process-wide one would stop it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use signet_guard::Timestamp;

use crate::config::TlsFiles;

pub(super) mod reload;
mod x509;

/// More is no file of ours.
const MOST_BYTES: u64 = 1 << 20;

/// Why there is no https.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, or not ours to read.
    #[error("{key}: cannot read {}: {source}", path.display())]
    Read {
        /// The setting that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others can read the key, or change it.
    #[error("tls.key: {} has mode {mode:04o}, so that others get at the key: chmod 600 it, or 640 for a group of its own", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file holds no certificate, or something else that calls itself one.
    #[error("tls.certificate: {} holds no certificates that can be read: name a PEM file with BEGIN CERTIFICATE in it", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The server's own certificate is such that clients will not take it.
    #[error(
        "tls.certificate: the first certificate in {} cannot be used ({source}): make it anew, as X.509 version 3",
        path.display()
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What rustls finds wrong.
        source: rustls::Error,
    },
    /// A certificate was not signed by the one after it.
    #[error(
        "tls.certificate: in {}, certificate {number} was not issued by the one after it: put the server's own first, \
         then each one that issued the one before it, and nothing else",
        path.display()
    )]
    Order {
        /// The file.
        path: PathBuf,
        /// Which one, from 1.
        number: usize,
    },
    /// The file holds no private key, or one that is encrypted or of a strange kind.
    #[error(
        "tls.key: {} holds no private key that can be used: name a PEM file with an unencrypted RSA, ECDSA or Ed25519 \
         key in it",
        path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is another certificate's.
    #[error("tls.key: {} is not the key of the first certificate in tls.certificate: name the two that were made together", path.display())]
    Mismatch {
        /// The key file.
        path: PathBuf,
    },
    /// The crypto engine cannot do what every handshake needs.
    #[error("tls: {0}")]
    Engine(#[source] rustls::Error),
}

/// A certificate and its key, ready for handshakes. `Debug` shows neither.
pub struct Certificate {
    key: Arc<CertifiedKey>,
    path: PathBuf,
    validity: std::ops::RangeInclusive<i64>,
}

impl Certificate {
    /// Reads and checks the two files.
    ///
    /// # Errors
    /// See [`TlsError`]; each prints as one line that names setting and cure.
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        Self::load_with(files, &aws_lc_rs::default_provider())
    }

    fn load_with(files: &TlsFiles, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let path = &files.certificate;
        let unreadable = || TlsError::NoCertificate { path: path.clone() };
        let pem = read("tls.certificate", path, |_| Ok(()))?;
        let chain =
            CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().map_err(|_| unreadable())?;
        let read_chain = chain.iter().map(|der| x509::Certificate::read(der)).collect::<Option<Vec<_>>>();
        let read_chain = read_chain.ok_or_else(unreadable)?;
        let validity = read_chain.first().ok_or_else(unreadable)?.validity.clone();
        let key = private_key(&files.key, provider)?;
        let key = CertifiedKey::new(chain.clone(), key);
        // First, because a chain in the wrong order has both faults, and this one is told better.
        let disorder = read_chain.windows(2).position(|pair| pair[0].issuer != pair[1].subject);
        if let Some(index) = disorder {
            return Err(TlsError::Order { path: path.clone(), number: index + 1 });
        }
        match key.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                return Err(TlsError::Mismatch { path: files.key.clone() });
            }
            Err(source) => return Err(TlsError::Unusable { path: path.clone(), source }),
        }
        Ok(Self { key: Arc::new(key), path: path.clone(), validity })
    }

    /// What callers will not like about it. They may have clocks of their own, so it is served all the same.
    pub fn warning(&self, now: Timestamp) -> Option<String> {
        let fault = match now.as_seconds() {
            now if now > *self.validity.end() => "has expired",
            now if now < *self.validity.start() => "is not valid yet",
            _ => return None,
        };
        Some(format!("tls.certificate: {} {fault}: callers will refuse it", self.path.display()))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("path", &self.path).finish_non_exhaustive()
    }
}

fn private_key(
    path: &Path,
    provider: &CryptoProvider,
) -> Result<Arc<dyn rustls::sign::SigningKey>, TlsError> {
    let unusable = || TlsError::NoKey { path: path.to_owned() };
    let pem = read("tls.key", path, |file| refuse_exposed(path, file))?;
    let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| unusable())?;
    provider.key_provider.load_private_key(der).map_err(|_| unusable())
}

fn read(
    key: &'static str,
    path: &Path,
    check: impl FnOnce(&File) -> Result<(), TlsError>,
) -> Result<zeroize::Zeroizing<Vec<u8>>, TlsError> {
    let unreadable = |source| TlsError::Read { key, path: path.to_owned(), source };
    // Looked at before it is opened: opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")));
    }
    let file = File::open(path).map_err(unreadable)?;
    check(&file)?;
    let length = file.metadata().map_err(unreadable)?.len().min(MOST_BYTES);
    let mut text = zeroize::Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1));
    file.take(MOST_BYTES).read_to_end(&mut text).map_err(unreadable)?;
    Ok(text)
}

/// Unlike a root key, a TLS key is often shared with a group by whoever renews it (`ssl-cert`, a mounted secret).
#[cfg(unix)]
fn refuse_exposed(path: &Path, file: &File) -> Result<(), TlsError> {
    use std::os::unix::fs::PermissionsExt as _;
    let unreadable = |source| TlsError::Read { key: "tls.key", path: path.to_owned(), source };
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
    if mode & 0o027 == 0 { Ok(()) } else { Err(TlsError::Exposed { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn refuse_exposed(_: &Path, _: &File) -> Result<(), TlsError> {
    Ok(())
}

/// What is spoken, with whatever certificate `certificates` has at the moment of a handshake.
pub(super) fn settings(certificates: Arc<reload::Certificates>) -> Result<ServerConfig, TlsError> {
    let mut settings = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsError::Engine)?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    settings.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(settings)
}
