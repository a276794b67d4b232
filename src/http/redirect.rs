//! What plain http is answered when Signet speaks https: go there.

use actix_web::http::Method;
use actix_web::http::header::LOCATION;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use super::error::Problem;
use crate::app::App;

/// Mounts the redirect on an application of its own, instead of the route table.
pub fn configure(config: &mut ServiceConfig, app: &Data<App>) {
    config.app_data(app.clone()).default_service(web::to(send_on));
}

/// The same path at the issuer's origin, which comes from the settings and never from `Host`. 308 keeps the method
/// (RFC 9110 §15.4.9). Whatever carries a body is refused instead: it has crossed the line in clear already, and a
/// redirect would hide from its sender that it did.
async fn send_on(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Problem::https_required());
    }
    // Without a slash (`*`, `http://host?x`) it would become part of the host.
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    let slash = if target.starts_with('/') { "" } else { "/" };
    let location = format!("{}{slash}{target}", app.config.issuer.origin());
    Ok(HttpResponse::PermanentRedirect().insert_header((LOCATION, location)).finish())
}
