//! Where a request came from, for the records.

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::USER_AGENT;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use signet_guard::actix::RequestId;

use super::ClientAddress;
use crate::caller::{Caller, UserAgent};

impl FromRequest for Caller {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    /// What [`observe`](crate::http::middleware::observe::observe) found out, and how the program calls itself.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let id = extensions.get::<RequestId>();
        ready(Ok(Self {
            address: extensions.get::<ClientAddress>().map(|address| address.0),
            user_agent: request
                .headers()
                .get(USER_AGENT)
                .and_then(|value| UserAgent::parse(value.as_bytes())),
            request_id: id.and_then(|id| id.0.strip_prefix("urn:uuid:").map(str::to_owned)),
        }))
    }
}
