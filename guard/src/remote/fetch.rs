//! One fetch: metadata, then the JWK Set. Blocking; runs on tokio's blocking pool.

use std::time::{Duration, Instant};

use serde::Deserialize;

use super::http::{Client, RequestError};
use super::issuer_url::IssuerUrl;
use crate::key_set::{KeySet, KeySetError};

/// For both requests together.
const TIME: Duration = Duration::from_secs(5);
const MAX_BODY: u64 = 256 * 1024;

/// Why a fetch brought no keys.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    Request(#[from] RequestError),
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
    client: Client,
    time: Duration,
}

impl Fetcher {
    pub(super) fn new(issuer: IssuerUrl) -> Self {
        let client = Client::new(&issuer);
        Self { issuer, client, time: TIME }
    }

    pub(super) fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    pub(super) fn fetch(&self) -> Result<KeySet, FetchError> {
        self.fetch_within(self.time)
    }

    pub(super) fn fetch_within(&self, time: Duration) -> Result<KeySet, FetchError> {
        let deadline = Instant::now() + time;
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

    fn get(&self, url: &str, deadline: Instant) -> Result<Vec<u8>, RequestError> {
        let left = deadline.saturating_duration_since(Instant::now());
        Ok(self.client.get(url, &[("accept", "application/json")], left, MAX_BODY)?.body)
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
            matches!(&error, FetchError::Request(RequestError::Request { source, .. })
                if matches!(**source, ureq::Error::Timeout(_))),
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
        assert!(matches!(error, FetchError::Request(RequestError::Request { .. })), "{error}");
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
        assert!(matches!(error, FetchError::Request(RequestError::Request { .. })), "{error}");
        assert_eq!(plain.join().unwrap()[..2], [0x16, 0x03], "a TLS handshake was begun");
    }
}
