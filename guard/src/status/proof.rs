//! What makes a status list the issuer's: draft-ietf-oauth-status-list §8.3.

use std::time::{Duration, Instant};

use super::list::{StatusList, StatusListError};
use crate::algorithm::Algorithm;
use crate::clock::{Clock, Timestamp};
use crate::compact_jws::CompactJws;
use crate::error::Refusal;
use crate::key_source::KeySource;
use crate::reason::Reason;

/// The longest token of a list that is looked at, in bytes. Signet's have at most 16 KiB.
pub(super) const MAX_TOKEN: usize = 512 * 1024;

/// Why a token is not the list that was asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListError {
    #[error("not text")]
    NotText,
    #[error("{0}")]
    Token(Reason),
    #[error("there are no keys to check it with")]
    NoKeys,
    #[error("{0}")]
    Claims(#[from] StatusListError),
    #[error("`iss` is {0:?}")]
    OtherIssuer(String),
    #[error("`sub` is {0:?}")]
    OtherList(String),
    #[error("`iat` is in the future: compare the clocks")]
    IssuedInFuture,
    #[error("it has expired")]
    Expired,
}

/// What a list is checked with: the same as the tokens.
pub(crate) struct Proof {
    pub(crate) keys: KeySource,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) clock: Clock,
    pub(crate) leeway: Duration,
}

impl Proof {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The list that `token` is, if `issuer` signed it for `uri`. Fetches keys for as long as `deadline` allows.
    pub(super) fn list(
        &self,
        token: &[u8],
        issuer: &str,
        uri: &str,
        deadline: Instant,
    ) -> Result<StatusList, ListError> {
        let token = std::str::from_utf8(token).map_err(|_| ListError::NotText)?;
        let jws = CompactJws::split_within(MAX_TOKEN, token.trim_ascii_end()).map_err(ListError::Token)?;
        let header = jws.header().map_err(ListError::Token)?;
        header.is_status_list().map_err(ListError::Token)?;
        let signature = jws.signature(&header, &self.algorithms).map_err(ListError::Token)?;
        let left = deadline.saturating_duration_since(Instant::now());
        let keys = self.keys.fetched_here(signature.key_id(), left).ok_or(ListError::NoKeys)?;
        signature.proven_by(&keys).map_err(|refusal: Refusal| ListError::Token(refusal.reason()))?;
        let list = StatusList::from_json(&jws.payload().map_err(ListError::Token)?)?;
        if list.issuer() != issuer {
            return Err(ListError::OtherIssuer(list.issuer().to_owned()));
        }
        if list.subject() != uri {
            return Err(ListError::OtherList(list.subject().to_owned()));
        }
        let now = self.now();
        if list.issued_at() > now.plus(self.leeway) {
            return Err(ListError::IssuedInFuture);
        }
        if list.expires_at() <= now.minus(self.leeway) {
            return Err(ListError::Expired);
        }
        Ok(list)
    }
}
