//! `signet serve`.

use std::sync::Arc;

use tokio::signal;

use super::{Failure, say};
use crate::app::App;
use crate::background::Background;
use crate::config::{Config, Registration};
use crate::flow::signing_keys::{self, Loaded};
use crate::flow::{self_check, status};
use crate::server::{self, Bound};

pub(super) async fn run(config: Config) -> Result<(), Failure> {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    server::raise_file_limit();
    let app = Arc::new(super::build(config).await?);
    let loaded = signing_keys::load_or_create(&app).await.map_err(Failure::of)?;
    status::load(&app).await.map_err(Failure::of)?;
    let server = Bound::bind(app.clone()).map_err(Failure::of)?;
    if loaded == Loaded::Created {
        self_check::run(&app).await.map_err(Failure::of)?;
        say("Self-check: signed a token, verified it with the published keys, refused a tampered one.")?;
    }
    // Before the greeting: whoever reads it may want to stop us already.
    let stop = stop_signal()?;
    greet(&app, &server)?;
    let background = Background::start(&app);
    let db = app.db.clone();
    drop(app);
    server.run(stop).map_err(Failure::of)?.await.map_err(Failure::of)?;
    background.stop().await;
    db.close().await;
    tracing::info!("stopped");
    Ok(())
}

fn greet(app: &App, server: &Bound) -> Result<(), Failure> {
    let (config, issuer) = (&app.config, &app.config.issuer);
    let (scheme, address) = (server.scheme(), server.address());
    if let Some(address) = server.redirect_address() {
        say(format_args!("Redirects from http://{address}"))?;
    }
    say(format_args!("Signet {} listens on {scheme}://{address}", env!("CARGO_PKG_VERSION")))?;
    say(format_args!("Issuer:        {}", issuer.as_str()))?;
    say(format_args!("JWK Set:       {}", issuer.join("/.well-known/jwks.json")))?;
    say(format_args!("Documentation: {}", issuer.join("/docs")))?;
    match config.registration {
        Registration::Open => say(format_args!(
            "Make an account:\n  curl -s {} -H 'content-type: application/json' \\\n    \
             -d '{{\"email\":\"ann@example.com\",\"password\":\"a quiet walk by the sea\"}}'",
            issuer.join("/api/v1/register")
        )),
        Registration::Closed => say("Make an account:  signet user create ann@example.com"),
    }
}

/// SIGTERM or Ctrl-C.
fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    #[cfg(unix)]
    let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate()).map_err(Failure::of)?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = signal::ctrl_c().await;
        tracing::info!("stopping: finishing what is under way");
    })
}
