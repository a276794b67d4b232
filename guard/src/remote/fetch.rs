//! One fetch: metadata, then the JWK Set. Blocking; runs on tokio's blocking pool.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use ureq::Agent;
use ureq::tls::{TlsConfig, TlsProvider};

use super::issuer_url::IssuerUrl;
use crate::key_set::{KeySet, KeySetError};

/// For both requests together.
const TIME: Duration = Duration::from_secs(5);
const MAX_BODY: u64 = 256 * 1024;

/// Why a fetch brought no keys.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{url}: {source}")]
    Request { url: String, source: Box<ureq::Error> },
    #[error("{url}: answered {status}, expected 200")]
    Status { url: String, status: u16 },
    #[error("{url}: not the metadata of an authorization server: {source}")]
    Metadata { url: String, source: serde_json::Error },
    #[error("{url}: names another issuer, {found:?}")]
    OtherIssuer { url: String, found: String },
    #[error("jwks_uri {url:?}: {problem}")]
    JwksUri { url: String, problem: &'static str },
    #[error("{url}: {source}")]
    KeySet { url: String, source: KeySetError },
    #[error("{url}: holds no usable key")]
    NoKey { url: String },
}

/// The two members of RFC 8414 §2 that matter here.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

pub(super) struct Fetcher {
    issuer: IssuerUrl,
    agent: Agent,
    time: Duration,
}

impl Fetcher {
    pub(super) fn new(issuer: IssuerUrl) -> Self {
        // The provider is named here, because a process-wide one may be missing or be another's choice.
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(provider))
            .build();
        let mut config = Agent::config_builder()
            .tls_config(tls)
            .https_only(!issuer.is_loopback())
            .max_redirects(0)
            .http_status_as_error(false)
            .max_idle_connections(0)
            .max_response_header_size(16 * 1024)
            .user_agent(concat!("signet-guard/", env!("CARGO_PKG_VERSION")));
        if issuer.is_loopback() {
            config = config.proxy(None);
        }
        Self { issuer, agent: config.build().new_agent(), time: TIME }
    }

    pub(super) fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    pub(super) fn fetch(&self) -> Result<KeySet, FetchError> {
        let deadline = Instant::now() + self.time;
        let url = self.issuer.metadata_url();
        let metadata: Metadata = match serde_json::from_slice(&self.get(&url, deadline)?) {
            Ok(metadata) => metadata,
            Err(source) => return Err(FetchError::Metadata { url, source }),
        };
        // RFC 8414 §3.3: identical, or the whole document counts for nothing.
        if metadata.issuer != self.issuer.as_str() {
            return Err(FetchError::OtherIssuer { url, found: metadata.issuer });
        }
        let url = metadata.jwks_uri;
        if let Err(problem) = self.issuer.may_send_to(&url) {
            return Err(FetchError::JwksUri { url, problem });
        }
        match KeySet::from_json(&self.get(&url, deadline)?) {
            Ok(set) if set.is_empty() => Err(FetchError::NoKey { url }),
            Ok(set) => Ok(set),
            Err(source) => Err(FetchError::KeySet { url, source }),
        }
    }

    fn get(&self, url: &str, deadline: Instant) -> Result<Vec<u8>, FetchError> {
        let failed = |source| FetchError::Request { url: url.to_owned(), source: Box::new(source) };
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let request = self.agent.get(url).header("accept", "application/json");
        let mut response = request.config().timeout_global(Some(left)).build().call().map_err(failed)?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(FetchError::Status { url: url.to_owned(), status });
        }
        response.body_mut().with_config().limit(MAX_BODY).read_to_vec().map_err(failed)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn fetcher(issuer: &str, time: Duration) -> Fetcher {
        Fetcher { time, ..Fetcher::new(IssuerUrl::parse(issuer).unwrap()) }
    }

    #[test]
    fn a100_an_issuer_that_never_answers_is_given_up() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}", silent.local_addr().unwrap());
        let error = fetcher(&issuer, Duration::from_millis(50)).fetch().unwrap_err();
        assert!(
            matches!(&error, FetchError::Request { source, .. } if matches!(**source, ureq::Error::Timeout(_))),
            "{error}"
        );
    }

    #[test]
    fn a100_an_issuer_that_never_ends_its_answer_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let slow = thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{").unwrap();
            // Until the other side hangs up.
            let _ = connection.read_to_end(&mut Vec::new());
        });
        let error = fetcher(&issuer, Duration::from_millis(200)).fetch().unwrap_err();
        slow.join().unwrap();
        assert!(matches!(error, FetchError::Request { .. }), "{error}");
    }

    /// The TLS provider is the one named in `new`; with none, ureq would panic.
    #[test]
    fn an_issuer_that_speaks_no_tls_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("https://{}", listener.local_addr().unwrap());
        let plain = thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut hello = [0; 5];
            connection.read_exact(&mut hello).unwrap();
            connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            hello
        });
        let error = fetcher(&issuer, TIME).fetch().unwrap_err();
        assert!(matches!(error, FetchError::Request { .. }), "{error}");
        assert_eq!(plain.join().unwrap()[..2], [0x16, 0x03], "a TLS handshake was begun");
    }
}
