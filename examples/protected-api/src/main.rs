//! An API that lets in whoever holds a good access token, knowing nothing but the issuer's URL. A token that was revoked,
//! by a logout say, is refused within about a second: the verifier follows the issuer's status lists.
//!
//! `SIGNET_ISSUER` (default `http://127.0.0.1:8080`) is the issuer, `LISTEN` (default `127.0.0.1:3000`) the address.

use std::env;
use std::error::Error;

use actix_web::{App, HttpServer, Responder, get, web};
use serde_json::json;
use signet_guard::actix::AccessToken;
use signet_guard::{Refusal, Verifier};

/// For everybody who is signed in.
#[get("/hello")]
async fn hello(token: AccessToken) -> impl Responder {
    web::Json(json!({ "hello": token.sub }))
}

/// For those only whose token has the role `admin`.
#[get("/admin")]
async fn admin(token: AccessToken) -> Result<impl Responder, Refusal> {
    token.require_role("admin")?;
    Ok(web::Json(json!({ "hello": token.sub, "roles": token.roles })))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let issuer = env::var("SIGNET_ISSUER").unwrap_or_else(|_| "http://127.0.0.1:8080".to_owned());
    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());

    let verifier = web::Data::new(Verifier::for_issuer(&issuer)?);
    let app = move || App::new().app_data(verifier.clone()).service(hello).service(admin);
    let server = HttpServer::new(app).bind(&listen)?;

    println!("Protected API on http://{listen}/hello, for tokens of {issuer}");
    server.run().await?;
    Ok(())
}
