//! One blocking request to the issuer: bounded in time and size, no redirect, over TLS unless it is a loopback.

use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::http::HeaderMap;
use ureq::tls::{TlsConfig, TlsProvider};

use super::issuer_url::IssuerUrl;

pub(crate) const IF_NONE_MATCH: &str = "if-none-match";

/// Why a request brought no answer that could be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("{url}: {source}")]
    Request { url: String, source: Box<ureq::Error> },
    #[error("{url}: answered {status}, expected 200")]
    Status { url: String, status: u16 },
}

impl RequestError {
    /// The kind of the error.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Status { status: 300..=399, .. } => "redirect",
            Self::Status { .. } => "status",
            Self::Request { source, .. } => match &**source {
                ureq::Error::Timeout(_) => "timeout",
                ureq::Error::BodyExceedsLimit(_) => "too-large",
                ureq::Error::Tls(_) | ureq::Error::Rustls(_) => "tls",
                ureq::Error::HostNotFound | ureq::Error::ConnectionFailed | ureq::Error::Io(_) => {
                    "unreachable"
                }
                _ => "protocol",
            },
        }
    }
}

/// What came with a status of 200, or of 304 where a version was named that is held already (RFC 9110 §15.4.5).
pub(crate) struct Answer {
    pub(crate) body: Vec<u8>,
    pub(crate) is_modified: bool,
    headers: HeaderMap,
}

impl Answer {
    /// The first header of this name that is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    /// All headers of this name that are text.
    pub(crate) fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
    }
}

pub(crate) struct Client(Agent);

impl Client {
    pub(crate) fn new(issuer: &IssuerUrl) -> Self {
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
        Self(config.build().new_agent())
    }

    /// Asks for `url`. `time` is for all of it, from the look-up of the host to the last of at most `limit` bytes.
    pub(crate) fn get(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        time: Duration,
        limit: u64,
    ) -> Result<Answer, RequestError> {
        let failed = |source| RequestError::Request { url: url.to_owned(), source: Box::new(source) };
        let request =
            headers.iter().fold(self.0.get(url), |request, (name, value)| request.header(*name, *value));
        // No time at all would mean no limit.
        let time = time.max(Duration::from_millis(1));
        let mut response = request.config().timeout_global(Some(time)).build().call().map_err(failed)?;
        let status = response.status().as_u16();
        let is_modified = status != 304;
        if status != 200 && (is_modified || !headers.iter().any(|(name, _)| *name == IF_NONE_MATCH)) {
            return Err(RequestError::Status { url: url.to_owned(), status });
        }
        let body = response.body_mut().with_config().limit(limit).read_to_vec().map_err(failed)?;
        Ok(Answer { body, is_modified, headers: std::mem::take(response.headers_mut()) })
    }
}
