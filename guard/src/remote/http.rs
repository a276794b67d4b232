//! One blocking request to the issuer: bounded in time and size, no redirect, over TLS unless it is a loopback.

use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{TlsConfig, TlsProvider};

use super::issuer_url::IssuerUrl;

/// Why a request brought no answer that could be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("{url}: {source}")]
    Request { url: String, source: Box<ureq::Error> },
    #[error("{url}: answered {status}, expected 200")]
    Status { url: String, status: u16 },
}

/// What came with a status of 200.
pub(crate) struct Answer {
    pub(crate) body: Vec<u8>,
    #[cfg(feature = "status")]
    pub(crate) etag: Option<String>,
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
        if status != 200 {
            return Err(RequestError::Status { url: url.to_owned(), status });
        }
        #[cfg(feature = "status")]
        let etag = response.headers().get("etag").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = response.body_mut().with_config().limit(limit).read_to_vec().map_err(failed)?;
        Ok(Answer {
            body,
            #[cfg(feature = "status")]
            etag,
        })
    }
}
