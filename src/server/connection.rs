//! From an accepted connection to HTTP: handshake, deadlines, and a line for what was no HTTP.
//!
//! actix-web's own `HttpServer` leaves no place for the deadline between requests (see
//! [`Deadline`](crate::http::deadline::Deadline)), so its parts are put together here.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use actix_http::HttpService;
use actix_http::error::{DispatchError, ParseError};
use actix_server::{GracefulShutdownSignal, ServerBuilder};
use actix_service::map_config;
use actix_web::App as HttpApp;
use actix_web::dev::{AppConfig, Service as _, ServiceFactory, fn_factory, fn_service};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::Application;
use super::watched::{Transport, Watched};
use crate::config::Server;
use crate::http::deadline::Deadline;

/// How long a connection lingers after an answer that did not wait for the whole request, so that its sender reads the
/// answer before the connection is reset (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(1);

/// How the connections of one listener are treated.
#[derive(Clone)]
pub(super) struct Manners {
    /// With it the listener speaks https.
    pub(super) acceptor: Option<TlsAcceptor>,
    pub(super) header_timeout: Duration,
    pub(super) keep_alive: Duration,
    pub(super) stopping: GracefulShutdownSignal,
}

impl Manners {
    pub(super) fn new(
        server: &Server,
        acceptor: Option<TlsAcceptor>,
        stopping: GracefulShutdownSignal,
    ) -> Self {
        Self { acceptor, header_timeout: server.header_timeout, keep_alive: server.keep_alive, stopping }
    }

    fn deadline(&self) -> Deadline {
        // The first head is actix-web's to time, which answers 408; this one is there if that does not end it.
        Deadline::new(self.header_timeout + 2 * LINGER, self.keep_alive + self.header_timeout)
    }
}

/// Adds a listener whose requests go to the application that `make` builds, once per worker.
pub(super) fn listen<T>(
    builder: ServerBuilder,
    listener: TcpListener,
    manners: Manners,
    make: impl Fn() -> HttpApp<T> + Clone + Send + 'static,
) -> io::Result<ServerBuilder>
where
    T: Application + 'static,
{
    let name = listener.local_addr()?.to_string();
    builder.listen(name, listener, move || {
        let (make, manners) = (make.clone(), manners.clone());
        fn_factory(move || {
            let stopping = manners.stopping.clone();
            let http = HttpService::build()
                .keep_alive(manners.keep_alive)
                .client_request_timeout(manners.header_timeout)
                .client_disconnect_timeout(LINGER)
                // An end of file is how most callers hang up; whoever does leaves the queue for a hash.
                .h1_allow_half_closed(false)
                // Or connections that lie idle would hold a stop up until they are closed by deadline.
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                .on_connect_ext(|connection: &Watched, extensions| {
                    extensions.insert(connection.deadline().clone());
                })
                .h1(map_config(make(), |()| AppConfig::default()));
            let manners = manners.clone();
            async move {
                let http = Rc::new(http.new_service(()).await?);
                Ok::<_, ()>(fn_service(move |stream: TcpStream| {
                    let (http, manners) = (http.clone(), manners.clone());
                    async move {
                        let peer = stream.peer_addr().ok();
                        if let Some(transport) = transport(stream, &manners).await {
                            let connection = Watched::new(transport, manners.deadline());
                            if let Err(error) = http.call((connection, peer)).await {
                                tell(peer, &error);
                            }
                        }
                        Ok::<_, ()>(())
                    }
                }))
            }
        })
    })
}

/// The handshake, if there is one to make. Whoever fails at it is not worth a line: scanners do all day.
async fn transport(stream: TcpStream, manners: &Manners) -> Option<Transport> {
    let Some(acceptor) = &manners.acceptor else { return Some(Transport::Plain(stream)) };
    let stopping = manners.stopping.clone();
    let handshake = tokio::select! {
        outcome = timeout(manners.header_timeout, acceptor.accept(stream)) => outcome,
        // Nothing is under way yet that a stop would have to wait for.
        () = stopping.notified() => return None,
    };
    match handshake {
        Ok(Ok(stream)) => Some(Transport::Tls(Box::new(stream))),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_elapsed) => None,
    }
}

/// What actix-web answers by itself, without asking the application: its 400 and 431 for what is no HTTP.
fn tell(peer: Option<SocketAddr>, error: &DispatchError) {
    let status = match error {
        DispatchError::Parse(ParseError::TooLarge) => 431,
        DispatchError::Parse(_) => 400,
        other => return tracing::debug!(error = %other, "a connection ended early"),
    };
    let address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
    tracing::info!(
        target: "signet::request",
        { client.address = %address, http.method = "other", http.route = "unmatched", http.status = status },
        "not HTTP/1.1"
    );
}
