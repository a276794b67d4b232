//! HTTP: the route table, and what turns requests into typed input and results into answers.
//!
//! A handler parses, calls one flow, and maps its answer. It never sets an error status itself: errors become
//! [`Problem`](error::Problem)s in `error`.

use std::collections::BTreeMap;

use actix_web::http::Method;
use actix_web::middleware::DefaultHeaders;
use actix_web::web::{self, ServiceConfig};
use actix_web::{Route, guard};

use crate::app::App;

pub mod deadline;
pub mod error;
pub mod extract;
pub mod middleware;
pub mod redirect;

mod conditional;
mod cookie;
mod cors;
mod csrf;
mod device_cookie;
mod docs;
mod encoding;
mod health;
mod logout;
pub mod openapi;
mod own_account;
mod parts;
mod prefer;
mod refresh;
mod refresh_cookie;
mod registration;
mod sign_in;
mod status;
mod token_response;
mod user_document;
mod well_known;

/// Who may read the answer from a script of another origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cors {
    /// Nobody.
    Never,
    /// Everybody, without credentials.
    Anyone,
    /// The origins in `server.allowed_origins`, without credentials.
    Allowed,
    /// The origins in `server.allowed_origins`, with the cookie of the refresh token.
    AllowedWithCookie,
}

/// How long an answer may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caching {
    /// `no-store`.
    Never,
    /// `no-cache`: kept, but asked about before each use.
    Revalidate,
    /// `public, max-age=` `tokens.jwks_max_age`, unless the answer says otherwise.
    Public,
}

/// Under which path a route lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Under {
    /// Below the issuer's path, and at the root for a proxy that strips it.
    Issuer,
    /// The well-known segment goes before the issuer's path (RFC 8414 §3.1).
    WellKnown,
}

/// One line of the route table.
pub struct RouteEntry {
    /// The method. `GET` also answers `HEAD`.
    pub method: Method,
    /// The path, relative to the issuer.
    pub path: &'static str,
    /// Where the path is mounted.
    pub under: Under,
    /// How long the answer may be kept.
    pub caching: Caching,
    /// Who may read it across origins.
    pub cors: Cors,
    handler: fn() -> Route,
}

const fn get(path: &'static str, caching: Caching, cors: Cors, handler: fn() -> Route) -> RouteEntry {
    RouteEntry { method: Method::GET, path, under: Under::Issuer, caching, cors, handler }
}

const fn well_known(path: &'static str, handler: fn() -> Route) -> RouteEntry {
    let (method, under) = (Method::GET, Under::WellKnown);
    RouteEntry { method, path, under, caching: Caching::Public, cors: Cors::Anyone, handler }
}

const fn post(path: &'static str, cors: Cors, handler: fn() -> Route) -> RouteEntry {
    RouteEntry { method: Method::POST, path, under: Under::Issuer, caching: Caching::Never, cors, handler }
}

const fn change(method: Method, path: &'static str, handler: fn() -> Route) -> RouteEntry {
    RouteEntry { method, path, under: Under::Issuer, caching: Caching::Never, cors: Cors::Allowed, handler }
}

/// Every route there is.
#[rustfmt::skip]
pub const ROUTES: &[RouteEntry] = &[
    get("/.well-known/jwks.json", Caching::Public, Cors::Anyone, || web::to(well_known::jwks)),
    well_known("/.well-known/oauth-authorization-server", || web::to(well_known::metadata)),

    get("/status",        Caching::Never,      Cors::Anyone, || web::to(status::changes)),
    get("/status/{list}", Caching::Revalidate, Cors::Anyone, || web::to(status::list)),

    post("/api/v1/register", Cors::Allowed, || web::to(registration::register)),
    post("/api/v1/login",    Cors::AllowedWithCookie, || web::to(sign_in::login)),
    post("/api/v1/refresh",  Cors::AllowedWithCookie, || web::to(refresh::refresh)),
    post("/api/v1/logout",   Cors::AllowedWithCookie, || web::to(logout::logout)),

    get("/api/v1/me", Caching::Never, Cors::Allowed,  || web::to(own_account::account::show)),
    change(Method::PATCH,  "/api/v1/me",               || web::to(own_account::account::update)),
    change(Method::DELETE, "/api/v1/me",               || web::to(own_account::account::delete)),
    change(Method::PUT,    "/api/v1/me/password",      || web::to(own_account::password::change)),
    get("/api/v1/me/sessions", Caching::Never, Cors::Allowed, || web::to(own_account::sessions::list)),
    change(Method::DELETE, "/api/v1/me/sessions",      || web::to(own_account::sessions::end_all)),
    change(Method::DELETE, "/api/v1/me/sessions/{id}", || web::to(own_account::sessions::end_one)),

    get("/health/live",  Caching::Never, Cors::Never, || web::to(health::live)),
    get("/health/ready", Caching::Never, Cors::Never, || web::to(health::ready)),

    get("/openapi.json",  Caching::Revalidate, Cors::Anyone, || web::to(docs::openapi)),
    get("/docs",          Caching::Revalidate, Cors::Never,  || web::to(docs::index)),
    get("/docs/{file}",   Caching::Revalidate, Cors::Never,  || web::to(docs::file)),
];

/// Mounts the route table on an application.
pub fn configure(config: &mut ServiceConfig, app: &web::Data<App>) {
    config.app_data(app.clone()).app_data(app.verifier.clone());
    config.app_data(web::Data::new(docs::OpenApiDocument::default()));
    for (path, entries) in mounted(app.config.issuer.path()) {
        let mut resource = web::resource(path);
        let mut allow = Vec::new();
        for entry in &entries {
            allow.push(entry.method.as_str());
            resource = if entry.method == Method::GET {
                allow.push("HEAD");
                resource.route((entry.handler)().guard(guard::Any(guard::Get()).or(guard::Head())))
            } else {
                resource.route((entry.handler)().guard(guard::Method(entry.method.clone())))
            };
        }
        let allow = allow.join(", ");
        resource = resource.default_service(web::to(move || {
            let allow = allow.clone();
            async move { Err::<&str, _>(error::Problem::method_not_allowed(allow)) }
        }));
        let rule = entries.first().map_or((Caching::Never, Cors::Never), |entry| (entry.caching, entry.cors));
        let headers = middleware::caching::header(rule.0, app.config.tokens.jwks_max_age);
        let headers = cors::wildcard(rule.1).into_iter().fold(headers, DefaultHeaders::add);
        config.service(resource.wrap(headers).wrap(cors::rule(rule.1, &app.config.server.allowed_origins)));
    }
    config.default_service(web::to(|| async { Err::<&str, _>(error::Problem::not_found()) }));
}

/// The table by full path: a route of an issuer with a path answers there and at the root.
fn mounted(issuer_path: &str) -> BTreeMap<String, Vec<&'static RouteEntry>> {
    let mut paths: BTreeMap<String, Vec<&'static RouteEntry>> = BTreeMap::new();
    for entry in ROUTES {
        paths.entry(entry.path.to_owned()).or_default().push(entry);
        if !issuer_path.is_empty() {
            let full = match entry.under {
                Under::Issuer => format!("{issuer_path}{}", entry.path),
                Under::WellKnown => format!("{}{issuer_path}", entry.path),
            };
            paths.entry(full).or_default().push(entry);
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_of_one_path_share_its_rules() {
        for (path, entries) in mounted("/auth") {
            for entry in &entries {
                assert_eq!((entry.caching, entry.cors), (entries[0].caching, entries[0].cors), "{path}");
            }
        }
    }
}
