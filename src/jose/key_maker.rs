//! Making signing keys beside the request threads.

use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt as _;

use signet_guard::Algorithm;

use super::{GenerateError, PrivateKey};
use crate::cpu_pool::{CpuPool, Pending, PoolSettings};

/// By how much its thread yields to the rest of the process.
const NICE: i32 = 10;

/// Makes one key at a time, on a thread of its own that lives for as long as that takes.
#[derive(Default)]
pub struct KeyMaker(Mutex<Option<Making>>);

enum Making {
    /// It is not known to be made.
    Begun { algorithm: Algorithm, answer: Pending<Result<PrivateKey, GenerateError>>, _thread: CpuPool<()> },
    /// It was made, and could not be used yet.
    Made(PrivateKey),
}

impl KeyMaker {
    /// A key for `algorithm`, if for RS256 of so many bits, when it is made. `None`: it is being made; ask again.
    ///
    /// # Errors
    /// When it could not be made. The next call begins anew.
    pub fn take(&self, algorithm: Algorithm, bits: u32) -> Result<Option<PrivateKey>, GenerateError> {
        let mut making = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match making.take() {
            Some(Making::Made(key)) if key.public_jwk().algorithm() == algorithm => return Ok(Some(key)),
            Some(Making::Begun { algorithm: begun, mut answer, _thread }) if begun == algorithm => {
                return match (&mut answer).now_or_never() {
                    Some(answer) => answer.unwrap_or(Err(GenerateError::Interrupted)).map(Some),
                    None => {
                        *making = Some(Making::Begun { algorithm, answer, _thread });
                        Ok(None)
                    }
                };
            }
            _ => {}
        }
        let settings = PoolSettings { name: "make-key", threads: 1, queue: 1, nice: NICE, idle_after: None };
        let thread = CpuPool::start(&settings, || ()).map_err(|_| GenerateError::Interrupted)?;
        let answer = thread
            .submit(move |()| PrivateKey::generate(algorithm, bits))
            .map_err(|_| GenerateError::Interrupted)?;
        *making = Some(Making::Begun { algorithm, answer, _thread: thread });
        Ok(None)
    }

    /// The key could not be used: it is what the next call of [`KeyMaker::take`] answers.
    pub fn put_back(&self, key: PrivateKey) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Making::Made(key));
    }

    /// Nobody wants the key any more, made or not.
    pub fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_is_made_once_and_beside_its_caller() {
        let maker = KeyMaker::default();
        assert!(maker.take(Algorithm::Rs256, 2048).unwrap().is_none(), "it did not wait");
        let key = loop {
            match maker.take(Algorithm::Rs256, 2048).unwrap() {
                Some(key) => break key,
                None => tokio::task::yield_now().await,
            }
        };
        let jwk = key.public_jwk();
        assert_eq!(jwk.algorithm(), Algorithm::Rs256);
        maker.put_back(key);
        assert_eq!(maker.take(Algorithm::Rs256, 2048).unwrap().unwrap().public_jwk().kid(), jwk.kid());
        assert!(maker.take(Algorithm::Rs256, 1024).unwrap().is_none());
        let refused = loop {
            match maker.take(Algorithm::Rs256, 1024) {
                Ok(made) => assert!(made.is_none()),
                Err(error) => break error,
            }
            tokio::task::yield_now().await;
        };
        assert!(matches!(refused, GenerateError::Size(1024)));
        maker.forget();
    }

    #[tokio::test]
    async fn a_key_for_another_algorithm_is_not_handed_out_instead() {
        let maker = KeyMaker::default();
        assert!(maker.take(Algorithm::Es256, 0).unwrap().is_none());
        let key = loop {
            match maker.take(Algorithm::EdDsa, 0).unwrap() {
                Some(key) => break key,
                None => tokio::task::yield_now().await,
            }
        };
        assert_eq!(key.public_jwk().algorithm(), Algorithm::EdDsa);
        maker.put_back(key);
        assert!(maker.take(Algorithm::Es256, 0).unwrap().is_none());
    }
}
