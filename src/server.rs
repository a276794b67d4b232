//! The listening server: bind, workers, graceful stop.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App as HttpApp, HttpServer};
use tokio::net::TcpSocket;

use crate::app::App;
use crate::http;
use crate::http::middleware::observe::observe;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// Why the server does not listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program has the port.
    #[error(
        "server.listen: {0} is taken by another program: stop it, or set SIGNET_LISTEN to a free address"
    )]
    Taken(SocketAddr),
    /// The system refused the address.
    #[error("server.listen: cannot listen on {0}: {1}")]
    Refused(SocketAddr, #[source] io::Error),
}

/// A server that holds its port and waits to be run.
pub struct Bound {
    app: Arc<App>,
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Takes the port of `server.listen`; port 0 takes a free one. Must be called within a runtime.
    ///
    /// # Errors
    /// When the port is taken or the address is not ours.
    pub fn bind(app: Arc<App>) -> Result<Self, BindError> {
        let wanted = app.config.server.listen;
        let refused = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => BindError::Taken(wanted),
            _ => BindError::Refused(wanted, error),
        };
        let listener = listen(wanted).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { app, listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` resolves, then finishes what is under way within `server.shutdown_timeout`.
    ///
    /// # Errors
    /// When the system takes the listener away.
    pub fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<Server> {
        let settings = self.app.config.server.clone();
        let app = Data::from(self.app);
        let workers = match settings.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        let server = HttpServer::new(move || application(&app))
            .workers(workers)
            .client_request_timeout(settings.header_timeout)
            // An end of file is how most callers hang up; whoever does leaves the queue for a hash.
            .h1_allow_half_closed(false)
            .shutdown_timeout(settings.shutdown_timeout.as_secs())
            .shutdown_signal(stop)
            .listen(self.listener)?;
        Ok(server.run())
    }
}

/// What answers requests, whole: the route table within the layers around it.
pub fn application(
    app: &Data<App>,
) -> HttpApp<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    HttpApp::new().configure(|config| http::configure(config, app)).wrap(from_fn(observe))
}

/// As `TcpListener::bind`, which lets no more than 128 connections wait.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // On Windows it would let another program share the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}
