//! `/openapi.json`, and `/docs` that shows it: Swagger UI out of the binary, nothing from a third party.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use actix_web::http::header::CONTENT_SECURITY_POLICY;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::Problem;
use super::{conditional, openapi};
use crate::app::App;

/// Swagger UI sets styles from script and draws icons from `data:` URLs; everything else stays here.
const UI_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const INDEX: &str = include_str!("../../assets/docs.html");
const START: &str = include_str!("../../assets/docs.js");

/// The OpenAPI document
#[utoipa::path(
    get, path = "/openapi.json", tag = "operation", operation_id = "openapi",
    responses(
        (status = 200, description = "This document.", body = serde_json::Value),
        (status = 304, description = "Still the same (If-None-Match)."),
    ),
)]
pub(crate) async fn openapi(
    app: Data<App>,
    document: Data<OpenApiDocument>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (bytes, etag) = document.served(app.config.issuer.path()).ok_or_else(Problem::internal)?;
    Ok(conditional::json(&request, etag, bytes.clone()))
}

/// The OpenAPI document as bytes, and its entity tag. Made at the first request and kept, because neither the issuer
/// nor the code changes afterwards.
#[derive(Default)]
pub(super) struct OpenApiDocument(OnceLock<Option<(Bytes, String)>>);

impl OpenApiDocument {
    fn served(&self, issuer_path: &str) -> Option<&(Bytes, String)> {
        let make = || {
            let json = openapi::document(issuer_path).to_json().ok()?;
            let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest(&SHA256, json.as_bytes())));
            Some((Bytes::from(json), etag))
        };
        self.0.get_or_init(make).as_ref()
    }
}

/// The documentation, to read and to try
#[utoipa::path(
    get, path = "/docs", tag = "operation", operation_id = "docs",
    responses((status = 200, description = "A page.", content_type = "text/html", body = String)),
)]
pub(crate) async fn index() -> HttpResponse {
    page("text/html; charset=utf-8", Bytes::from_static(INDEX.as_bytes()))
}

/// The files that the page loads.
pub(crate) async fn file(name: Path<String>) -> Result<HttpResponse, Problem> {
    let wanted = match name.as_str() {
        "docs.js" => return Ok(page("text/javascript; charset=utf-8", Bytes::from_static(START.as_bytes()))),
        known @ ("swagger-ui-bundle.js" | "swagger-ui.css" | "favicon-32x32.png") => known,
        _ => return Err(Problem::not_found()),
    };
    match utoipa_swagger_ui::serve(wanted, Arc::new(utoipa_swagger_ui::Config::default())) {
        Ok(Some(file)) => Ok(page(
            &file.content_type,
            match file.bytes {
                Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                Cow::Owned(bytes) => Bytes::from(bytes),
            },
        )),
        _ => Err(Problem::not_found()),
    }
}

fn page(content_type: &str, body: Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(content_type)
        .insert_header((CONTENT_SECURITY_POLICY, UI_POLICY))
        .body(body)
}
