//! One fetch: metadata, then the JWK Set. Blocking.

use std::time::{Duration, Instant};

use serde::Deserialize;

use super::freshness;
use super::http::{Answer, Client, IF_NONE_MATCH, RequestError};
use super::issuer_url::{IssuerUrl, JwksHost};
use crate::key_set::{KeySet, KeySetError};

/// For all requests together.
const TIME: Duration = Duration::from_secs(5);
const MAX_BODY: u64 = 256 * 1024;

/// Why a fetch brought no keys.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("{url}: answered a page for people (text/html)")]
    Html { url: String },
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

impl FetchError {
    /// The kind of the error, for a report: it says nothing that the issuer wrote.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Request(error) => error.code(),
            Self::Html { .. } => "html",
            Self::Metadata { .. } => "metadata",
            Self::OtherIssuer { .. } => "other-issuer",
            Self::JwksUri { .. } => "jwks-uri",
            Self::KeySet { .. } => "key-set",
            Self::NoKey { .. } => "no-key",
        }
    }

    /// Whether the issuer answered that it has no such document. One that serves an application at the root of its host may
    /// say so with a page or lead to one.
    const fn is_absent(&self) -> bool {
        match self {
            Self::Request(RequestError::Status { status, .. }) => {
                matches!(*status, 300..=499) && !matches!(*status, 408 | 429)
            }
            Self::Html { .. } => true,
            _ => false,
        }
    }
}

/// The two members of RFC 8414 §2 that matter here; OpenID Connect Discovery 1.0 §3 has them too.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// By which name the issuer knows the set that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    url: String,
    etag: String,
}

/// What a fetch brought, and how long the issuer says it lives.
pub(super) struct Fetched {
    /// `None` when the set that is held is still right.
    pub(super) set: Option<FetchedSet>,
    pub(super) told: Option<Duration>,
}

pub(super) struct FetchedSet {
    pub(super) keys: KeySet,
    pub(super) body: Vec<u8>,
    pub(super) tag: Option<Tag>,
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

    pub(super) const fn issuer(&self) -> &IssuerUrl {
        &self.issuer
    }

    /// Fetches the set, from the issuer's own host or one of `hosts`, unless it is still the one that `held` names.
    pub(super) fn fetch(&self, hosts: &[JwksHost], held: Option<&Tag>) -> Result<Fetched, FetchError> {
        let deadline = Instant::now() + self.time;
        let url = self.metadata(deadline)?.jwks_uri;
        if let Err(problem) = self.issuer.may_send_to(&url, hosts) {
            return Err(FetchError::JwksUri { url, problem });
        }
        let held = held.filter(|tag| tag.url == url).map(|tag| (IF_NONE_MATCH, tag.etag.as_str()));
        let answer = self.get(&url, held, deadline)?;
        let told = freshness::told(answer.headers("cache-control"), answer.header("age"));
        if !answer.is_modified {
            return Ok(Fetched { set: None, told });
        }
        let keys = match KeySet::from_json(&answer.body) {
            Ok(set) if set.is_empty() => return Err(FetchError::NoKey { url }),
            Ok(set) => set,
            Err(source) => return Err(FetchError::KeySet { url, source }),
        };
        let tag = answer.header("etag").map(|etag| Tag { url, etag: etag.to_owned() });
        Ok(Fetched { set: Some(FetchedSet { keys, tag, body: answer.body }), told })
    }

    /// From where RFC 8414 has it, or else from where OpenID Connect Discovery has it.
    fn metadata(&self, deadline: Instant) -> Result<Metadata, FetchError> {
        match self.metadata_at(self.issuer.metadata_url(), deadline) {
            Err(absent) if absent.is_absent() => {
                let other = self.metadata_at(self.issuer.openid_url(), deadline);
                // With neither there, the first place is the one to name.
                other.map_err(|error| if error.is_absent() { absent } else { error })
            }
            outcome => outcome,
        }
    }

    fn metadata_at(&self, url: String, deadline: Instant) -> Result<Metadata, FetchError> {
        let metadata: Metadata = match serde_json::from_slice(&self.get(&url, None, deadline)?.body) {
            Ok(metadata) => metadata,
            Err(source) => return Err(FetchError::Metadata { url, source }),
        };
        // RFC 8414 §3.3: identical, or the whole document counts for nothing.
        if metadata.issuer != self.issuer.as_str() {
            return Err(FetchError::OtherIssuer { url, found: metadata.issuer });
        }
        Ok(metadata)
    }

    fn get(&self, url: &str, held: Option<(&str, &str)>, deadline: Instant) -> Result<Answer, FetchError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let accept = ("accept", "application/json, application/jwk-set+json");
        let headers = [Some(accept), held];
        let headers: Vec<_> = headers.into_iter().flatten().collect();
        let answer = self.client.get(url, &headers, left, MAX_BODY)?;
        // Issuers label their JSON as they like, as plain text or as bytes. A page for people is none, whatever it holds.
        let is_html = answer.header("content-type").is_some_and(|value| {
            let media_type = value.split(';').next().unwrap_or_default().trim();
            ["text/html", "application/xhtml+xml"].iter().any(|html| media_type.eq_ignore_ascii_case(html))
        });
        if is_html && answer.is_modified {
            return Err(FetchError::Html { url: url.to_owned() });
        }
        Ok(answer)
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
        let error = fetcher(&issuer, Duration::from_millis(50)).fetch(&[], None).map(drop).unwrap_err();
        assert!(error.code() == "timeout", "{error}");
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
        let error = fetcher(&issuer, Duration::from_millis(200)).fetch(&[], None).map(drop).unwrap_err();
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
        let error = fetcher(&issuer, TIME).fetch(&[], None).map(drop).unwrap_err();
        assert!(matches!(error, FetchError::Request(RequestError::Request { .. })), "{error}");
        assert_eq!(plain.join().unwrap()[..2], [0x16, 0x03], "a TLS handshake was begun");
    }
}
