//! Cross-site requests: a browser sends our cookies whoever asks it to. `SameSite=Strict` keeps them from other sites; this
//! keeps out neighbours under the same domain too, and browsers that are told to sign in to somebody else's account.

use actix_web::http::header::{HeaderMap, ORIGIN};

use super::error::Problem;
use crate::app::App;
use crate::audit::{self, Event};

/// Lets pass what comes from our own origin, from one in `server.allowed_origins`, or from no browser at all: browsers name
/// the origin of every `POST` (Fetch, section 3.2), and other programs hold no cookie they did not put there themselves.
///
/// # Errors
/// For everything else, `null` among it: nobody knows whose page that is.
pub(super) fn check(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let ours = app.config.issuer.origin();
    let listed = &app.config.server.allowed_origins;
    let is_welcome =
        |origin: &[u8]| origin == ours.as_bytes() || listed.iter().any(|listed| origin == listed.as_bytes());
    let from_welcome = headers.get_all(ORIGIN).all(|origin| is_welcome(origin.as_bytes()));
    let from_other_site = headers.get_all("sec-fetch-site").any(|site| site == "cross-site");
    if from_welcome && !from_other_site {
        return Ok(());
    }
    audit::record(&Event::CsrfRejected);
    Err(Problem::csrf_rejected())
}
