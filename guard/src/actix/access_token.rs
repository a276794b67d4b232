//! The extractors.

use std::any::TypeId;
use std::ops::Deref;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::RequestId;
use super::extraction::Extraction;
use crate::authorization::bearer_token;
use crate::claims::AccessTokenClaims;
use crate::error::Refusal;
use crate::reason::Reason;
use crate::verifier::Verifier;

/// A proven access token. Only a verified request makes one; it dereferences to its [`AccessTokenClaims`].
///
/// `T` is the type of the API's own claims: all claims that are not fields of [`AccessTokenClaims`]. A token whose
/// claims do not fit is refused with 401. The default `()` takes any.
#[derive(Debug, Clone)]
pub struct AccessToken<T = ()> {
    claims: Arc<AccessTokenClaims>,
    own: T,
    verifier: Verifier,
    instance: Option<Arc<str>>,
}

impl<T> AccessToken<T> {
    /// The API's own claims.
    pub const fn own(&self) -> &T {
        &self.own
    }

    /// The claims, shared: for code that outlives the request.
    pub const fn claims(&self) -> &Arc<AccessTokenClaims> {
        &self.claims
    }

    /// Goes on only if the token has this scope.
    ///
    /// # Errors
    /// A [`Refusal`] with status 403 that names the scope.
    pub fn require_scope(&self, scope: &str) -> Result<(), Refusal> {
        self.claims.check_scope(scope).map_err(|refusal| self.refuse(refusal))
    }

    /// Goes on only if the token has this role, byte for byte.
    ///
    /// # Errors
    /// A [`Refusal`] with status 403 that names the role.
    pub fn require_role(&self, role: &str) -> Result<(), Refusal> {
        self.claims.check_role(role).map_err(|refusal| self.refuse(refusal))
    }

    fn refuse(&self, refusal: Refusal) -> Refusal {
        self.verifier.refused(refusal.at_instance(self.instance.clone()))
    }
}

impl<T> Deref for AccessToken<T> {
    type Target = AccessTokenClaims;

    fn deref(&self) -> &AccessTokenClaims {
        &self.claims
    }
}

/// A proven access token, or nobody: for routes that also serve strangers.
///
/// It is nobody only when no `Authorization` header was sent. A token that is not good is refused as it would be
/// by [`AccessToken`]. (`Option<AccessToken>` would let it pass as nobody: do not use that.)
#[derive(Debug, Clone)]
pub struct MaybeAccessToken<T = ()>(Option<AccessToken<T>>);

impl<T> MaybeAccessToken<T> {
    /// The token, unless nobody asked.
    pub const fn token(&self) -> Option<&AccessToken<T>> {
        self.0.as_ref()
    }

    /// The token by value, unless nobody asked.
    pub fn into_token(self) -> Option<AccessToken<T>> {
        self.0
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for AccessToken<T> {
    type Error = Refusal;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        extract(request, |guard, token| token.ok_or_else(|| guard.refuse(Refusal::new(Reason::NoToken))))
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for MaybeAccessToken<T> {
    type Error = Refusal;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        extract(request, |_, token| Ok(Self(token)))
    }
}

fn extract<T, O>(
    request: &HttpRequest,
    finish: fn(&Guard, Option<AccessToken<T>>) -> Result<O, Refusal>,
) -> Extraction<O>
where
    T: DeserializeOwned + 'static,
    O: 'static,
{
    let guard = match Guard::of(request) {
        Ok(guard) => guard,
        Err(refusal) => return Extraction::done(Err(refusal)),
    };
    let headers = request.headers().get_all(AUTHORIZATION).map(|value| value.as_bytes());
    let outcome = match bearer_token(headers) {
        Err(refusal) => Err(guard.refuse(refusal)),
        Ok(None) => finish(&guard, None),
        Ok(Some(token)) => match guard.verifier.verify_at_once(token) {
            Some(outcome) => guard.accept(outcome).and_then(|token| finish(&guard, Some(token))),
            None => {
                let token = token.to_owned();
                return Extraction::waiting(async move {
                    let outcome = guard.verifier.verify(&token).await;
                    finish(&guard, Some(guard.accept(outcome)?))
                });
            }
        },
    };
    Extraction::done(outcome)
}

/// What an extraction knows before it looks at the token.
struct Guard {
    verifier: Verifier,
    instance: Option<Arc<str>>,
}

impl Guard {
    fn of(request: &HttpRequest) -> Result<Self, Refusal> {
        let instance = request.extensions().get::<RequestId>().map(|id| Arc::clone(&id.0));
        let plain = request.app_data::<Verifier>();
        match plain.or_else(|| request.app_data::<web::Data<Verifier>>().map(|shared| shared.get_ref())) {
            Some(verifier) => Ok(Self { verifier: verifier.clone(), instance }),
            None => Err(Refusal::new(Reason::NoVerifier).at_instance(instance).logged()),
        }
    }

    fn accept<T: DeserializeOwned + 'static>(
        &self,
        outcome: Result<Arc<AccessTokenClaims>, Refusal>,
    ) -> Result<AccessToken<T>, Refusal> {
        let claims = outcome.map_err(|refusal| refusal.at_instance(self.instance.clone()))?;
        let own = own_claims(&claims).map_err(|refusal| self.refuse(refusal))?;
        let (verifier, instance) = (self.verifier.clone(), self.instance.clone());
        Ok(AccessToken { claims, own, verifier, instance })
    }

    fn refuse(&self, refusal: Refusal) -> Refusal {
        self.verifier.refused(refusal.at_instance(self.instance.clone()))
    }
}

fn own_claims<T: DeserializeOwned + 'static>(claims: &AccessTokenClaims) -> Result<T, Refusal> {
    // serde reads `()` from null alone, and "no claims of my own" must fit every token.
    let own = if TypeId::of::<T>() == TypeId::of::<()>() {
        T::deserialize(Value::Null)
    } else {
        T::deserialize(&claims.own)
    };
    own.map_err(|_| Refusal::new(Reason::OwnClaims))
}
