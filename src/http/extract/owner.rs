//! Who acts on their own account.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{Error, FromRequest, HttpRequest};
use signet_guard::actix::AccessToken;

use crate::account::UserId;
use crate::caller::Caller;
use crate::flow::access_token::ACCOUNT_SCOPE;
use crate::flow::reauthentication::Owner;
use crate::grant::SessionId;
use crate::http::error::Problem;

impl FromRequest for Owner {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    /// A token that our own guard accepts and that has the scope for it. The scope is asked for here and not in the
    /// handlers: none can forget it, and nobody without it learns what is wrong with a body.
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let token = AccessToken::<()>::from_request(request, payload);
        let caller = Caller::from_request(request, payload);
        Box::pin(async move {
            let token = token.await?;
            token.require_scope(ACCOUNT_SCOPE)?;
            Ok(Self {
                user: UserId::parse(&token.sub).map_err(|_| Problem::account_gone())?,
                session: token.sid.as_deref().and_then(SessionId::parse),
                authenticated_at: token.auth_time,
                caller: caller.await?,
            })
        })
    }
}
