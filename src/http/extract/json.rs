//! The body of a request: one flat JSON object of bounded size, read within a deadline.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt as _;
use zeroize::Zeroizing;

use super::Fields;
use crate::app::App;
use crate::http::error::Problem;

/// The members of the request's JSON object.
///
/// Extraction fails with a problem document: 415 when the body is not declared as plain `application/json`, 413 when
/// it is larger than `server.max_body`, 408 when it takes longer than `server.body_timeout`, 400 when it is not one
/// JSON object or names a member twice.
pub struct JsonBody(pub Fields);

impl FromRequest for JsonBody {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let acceptable = declared_json(request);
        let body = body(request, payload);
        Box::pin(async move {
            acceptable?;
            Fields::parse(&body.await?).map(JsonBody)
        })
    }
}

/// The members of the request's JSON object, or none when there is no body at all.
///
/// A body that is there must be declared, as for [`JsonBody`]; and what is declared must be JSON, also when there is nothing
/// of it, because a form, which another site's page can send, always declares itself.
pub struct OptionalJsonBody(pub Fields);

impl FromRequest for OptionalJsonBody {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_declared = request.headers().contains_key(CONTENT_TYPE);
        let acceptable = declared_json(request);
        let body = body(request, payload);
        Box::pin(async move {
            if is_declared {
                acceptable.clone()?;
            }
            let body = body.await?;
            if body.is_empty() {
                return Ok(Self(Fields::none()));
            }
            acceptable?;
            Fields::parse(&body).map(Self)
        })
    }
}

/// The body within its limits of size and time.
fn body(
    request: &HttpRequest,
    payload: &mut Payload,
) -> impl Future<Output = Result<Zeroizing<Vec<u8>>, Problem>> + use<> {
    let app = request.app_data::<Data<App>>().cloned();
    let payload = payload.take();
    async move {
        let app = app.ok_or_else(Problem::internal)?;
        let (limit, deadline) = (app.config.server.max_body, app.config.server.body_timeout);
        tokio::time::timeout(deadline, read(payload, limit))
            .await
            .map_err(|_elapsed| Problem::body_too_slow())?
    }
}

/// RFC 9110 §8.3: parameters such as `charset=utf-8` change nothing for JSON. A content coding would hide a body's
/// real size, and nobody compresses two lines.
fn declared_json(request: &HttpRequest) -> Result<(), Problem> {
    let headers = request.headers();
    let mut types = headers.get_all(CONTENT_TYPE);
    let essence = match (types.next(), types.next()) {
        (Some(value), None) => value.to_str().unwrap_or("").split(';').next().unwrap_or("").trim(),
        _ => "",
    };
    let plain = headers.get(CONTENT_ENCODING).is_none_or(|coding| coding == "identity");
    if essence.eq_ignore_ascii_case("application/json") && plain {
        Ok(())
    } else {
        Err(Problem::unsupported_media_type())
    }
}

/// Passwords travel here: the collected bytes are wiped, and grow no copies of themselves on the way.
async fn read(mut payload: Payload, limit: usize) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::unreadable_body())?;
        if body.len() + chunk.len() > limit {
            return Err(Problem::body_too_large(limit));
        }
        if body.capacity() < body.len() + chunk.len() {
            let mut larger = Zeroizing::new(Vec::with_capacity((2 * (body.len() + chunk.len())).min(limit)));
            larger.extend_from_slice(&body);
            body = larger;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
