//! The OpenAPI document, generated from the handlers. `openapi.json` in the repository is a copy that a test compares.

use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, Ref, ServerBuilder};
use utoipa::{Modify, OpenApi};

use super::own_account::{account, password, sessions};
use super::{docs, health, logout, refresh, registration, sign_in, status, well_known};
use crate::http::error::{self, Problem};
use crate::http::extract::FieldFault;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Signet",
        description = "Sign in, get a token, verify it anywhere. Every error is a problem document (RFC 9457).",
        license(name = "MIT OR Apache-2.0"),
    ),
    paths(
        well_known::jwks, well_known::metadata, status::changes, status::list,
        registration::register, sign_in::login, refresh::refresh, logout::logout,
        account::show, account::update, account::delete, password::change,
        sessions::list, sessions::end_one, sessions::end_all,
        health::live, health::ready,
        docs::openapi, docs::index,
    ),
    components(schemas(Problem, FieldFault)),
    tags(
        (name = "accounts", description = "Make an account, sign in."),
        (name = "own account", description = "Read and change one's own account, guarded by its access token."),
        (name = "verifiers", description = "What an API needs to verify tokens offline."),
        (name = "operation", description = "For the operator."),
    ),
    modifiers(&Bearer, &SharedAnswers),
)]
struct Api;

/// The document as served by an issuer that lives under `path` (empty at the root).
///
/// The server is named relative to the document, so that trying a call from `/docs` stays in the page's own origin by
/// whichever of its names the service was reached.
pub fn document(path: &str) -> Document {
    let mut document = Api::openapi();
    let url = if path.is_empty() { "/" } else { path };
    document.servers = Some(vec![ServerBuilder::new().url(url).build()]);
    document
}

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// Answers that any route may give, so that no handler has to repeat them.
struct SharedAnswers;

impl Modify for SharedAnswers {
    fn modify(&self, document: &mut Document) {
        for item in document.paths.paths.values_mut() {
            let PathItem { get, post, put, patch, delete, .. } = item;
            for operation in [get, post, put, patch, delete].into_iter().flatten() {
                share(operation, "405", "Another method.");
                share(operation, "421", "The Host header names none of this service's hosts.");
                share(operation, "500", "Something went wrong here.");
                share(operation, "503", "Temporarily unavailable; see Retry-After.");
                if operation.security.is_some() {
                    share(
                        operation,
                        "400",
                        "More than one token was sent, or the request is not valid; see errors.",
                    );
                    share(operation, "401", "No valid token, or its account is not active any more.");
                    share(
                        operation,
                        "403",
                        "The token lacks the scope signet:account, or a proof is needed that was not given: \
                         reauthentication-required.",
                    );
                }
                if operation.request_body.is_some() {
                    share(operation, "400", "The request is not valid; see errors.");
                    share(operation, "408", "The body took too long.");
                    share(operation, "413", "The body is too large.");
                    share(operation, "415", "The body is not declared as JSON.");
                }
            }
        }
    }
}

fn share(operation: &mut Operation, status: &str, description: &str) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response =
        ResponseBuilder::new().description(description).content(error::CONTENT_TYPE, content).build();
    operation.responses.responses.entry(status.to_owned()).or_insert_with(|| response.into());
}
