//! The listening server: bind, workers, graceful stop.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::App as HttpApp;
use actix_web::body::BoxBody;
use actix_web::dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use tokio::net::TcpSocket;
use tokio_rustls::TlsAcceptor;

use crate::app::App;
use crate::http;
use crate::http::middleware::observe::{observe, observe_redirect};

mod connection;
mod limits;
mod tls;
mod watched;

pub use limits::raise_file_limit;
pub use tls::{Certificate, TlsError};

use connection::Manners;
use tls::reload::Certificates;

/// The module of actix-web that calls each caller who does not speak HTTP an error, without the address. `connection`
/// writes a line that says more.
pub const SAID_BETTER: &str = "actix_http::h1";

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// How much of an answer the system takes from us before its reader does, in bytes. Left alone it grows to megabytes for
/// each connection, and whoever takes them slowly would seem to take nothing for a while.
const SEND_BUFFER: u32 = 64 << 10;

/// Why the server does not listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program has the port.
    #[error("{0}: {1} is taken by another program: stop it, or {2}")]
    Taken(&'static str, SocketAddr, &'static str),
    /// The system refused the address.
    #[error("{0}: cannot listen on {1}: {2}")]
    Refused(&'static str, SocketAddr, #[source] io::Error),
    /// The certificate or its key is not right.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A server that holds its ports and waits to be run.
pub struct Bound {
    app: Arc<App>,
    listener: TcpListener,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    redirect: Option<TcpListener>,
}

impl Bound {
    /// Takes the port of `server.listen`, and that of `tls.redirect_from`; port 0 takes a free one. Must be called
    /// within a runtime, which looks after the certificate from then on.
    ///
    /// # Errors
    /// When a port is taken, an address is not ours, or the certificate and its key are not right.
    pub fn bind(app: Arc<App>) -> Result<Self, BindError> {
        let acceptor = match &app.config.tls.files {
            Some(files) => {
                let certificates = Certificates::watch(files.clone(), app.clock.clone())?;
                Some(TlsAcceptor::from(Arc::new(tls::settings(certificates)?)))
            }
            None => None,
        };
        let cure = "set SIGNET_LISTEN to a free address";
        let (listener, address) = take("server.listen", app.config.server.listen, cure)?;
        let redirect = match app.config.tls.redirect_from {
            Some(wanted) => Some(take("tls.redirect_from", wanted, "set it to a free address")?.0),
            None => None,
        };
        Ok(Self { app, listener, address, acceptor, redirect })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it redirects from plain http.
    pub fn redirect_address(&self) -> Option<SocketAddr> {
        self.redirect.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// `https` or `http`: what `address` speaks.
    pub fn scheme(&self) -> &'static str {
        if self.acceptor.is_some() { "https" } else { "http" }
    }

    /// Serves until `stop` resolves, then finishes what is under way within `server.shutdown_timeout`.
    ///
    /// # Errors
    /// When the system takes a listener away.
    pub fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<Server> {
        self.run_with(stop, application)
    }

    /// The same with what `make` makes of [`application`]: another route beside ours, say, or a layer around it all.
    ///
    /// # Errors
    /// As [`Bound::run`].
    pub fn run_with<T>(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
        make: impl Fn(&Data<App>) -> HttpApp<T> + Clone + Send + 'static,
    ) -> io::Result<Server>
    where
        T: Application + 'static,
    {
        let settings = self.app.config.server.clone();
        let connections = limits::connections(&self.app.config);
        // Those who wait for a change leave most connections to those who want something.
        self.app.status_board.waiting.allow(connections / 4);
        let app = Data::from(self.app);
        let stopping = app.clone();
        let stop = async move {
            stop.await;
            stopping.status_board.waiting.stop();
        };
        let workers = match settings.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        let builder = Server::build()
            .workers(workers)
            .max_concurrent_connections(connections.div_ceil(workers))
            .shutdown_timeout(settings.shutdown_timeout.as_secs())
            .shutdown_signal(stop);
        let manners = Manners::new(&settings, self.acceptor, builder.graceful_shutdown_signal());
        let plain = Manners { acceptor: None, ..manners.clone() };
        let served = app.clone();
        let builder = connection::listen(builder, self.listener, manners, move || make(&served))?;
        let builder = match self.redirect {
            Some(listener) => connection::listen(builder, listener, plain, move || redirect(&app))?,
            None => builder,
        };
        Ok(builder.run())
    }
}

/// What an actix-web application of ours is to the compiler, whatever was added to it or put around it.
pub trait Application:
    ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = actix_web::Error,
        InitError = (),
    >
{
}

impl<T> Application for T where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<BoxBody>,
            Error = actix_web::Error,
            InitError = (),
        >
{
}

/// What answers requests, whole: the route table within the layers around it.
pub fn application(app: &Data<App>) -> HttpApp<impl Application + use<>> {
    HttpApp::new().configure(|config| http::configure(config, app)).wrap(from_fn(observe))
}

/// What answers on `tls.redirect_from`.
fn redirect(app: &Data<App>) -> HttpApp<impl Application + use<>> {
    HttpApp::new().configure(|config| http::redirect::configure(config, app)).wrap(from_fn(observe_redirect))
}

fn take(
    key: &'static str,
    wanted: SocketAddr,
    cure: &'static str,
) -> Result<(TcpListener, SocketAddr), BindError> {
    let refused = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::Taken(key, wanted, cure),
        _ => BindError::Refused(key, wanted, error),
    };
    let listener = listen(wanted).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

/// As `TcpListener::bind`, which lets no more than 128 connections wait.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // On Windows it would let another program share the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // What is accepted inherits it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}
