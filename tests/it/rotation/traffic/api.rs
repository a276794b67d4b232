//! Other people's APIs: actix-web routes behind our guard, which knows the issuer's URL alone.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use signet::rotation::GUARD_REFRESH;
use signet_guard::actix::AccessToken;
use signet_guard::{Clock, KeySource, RemoteKeys, Verifier};

/// The whole seconds of clocks that are no further apart than one, and the time of a fetch.
const MARGIN: Duration = Duration::from_secs(4);

pub(super) struct Api {
    address: SocketAddr,
    server: ServerHandle,
    keys: RemoteKeys,
    /// From what age on it fetches the set again.
    pub(super) holds: Duration,
}

impl Api {
    /// It holds each set for as long as anybody may who is told to keep it for `max_age`. Its cool-down sees to that: no
    /// key that it lacks is looked for sooner, so whatever it lacks it refuses.
    pub(super) fn at_the_limit(issuer: &str, clock: &Clock, max_age: Duration) -> Self {
        let holds = max_age + GUARD_REFRESH - MARGIN;
        Self::start(RemoteKeys::new(issuer).unwrap().cool_down(holds), clock, holds)
    }

    /// As the guard comes.
    pub(super) fn as_shipped(issuer: &str, clock: &Clock, max_age: Duration) -> Self {
        Self::start(RemoteKeys::new(issuer).unwrap(), clock, max_age)
    }

    fn start(keys: RemoteKeys, clock: &Clock, holds: Duration) -> Self {
        let issuer = keys.issuer().to_owned();
        let keys = keys.clock(clock.clone());
        let source = KeySource::Remote(keys.clone());
        let verifier = Verifier::builder(&issuer, &issuer, source).clock(clock.clone()).build().unwrap();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let make = move || {
                    let verifier = web::Data::new(verifier.clone());
                    App::new().app_data(verifier).route("/hello", web::get().to(hello))
                };
                let server = HttpServer::new(make).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
                let address = server.addrs()[0];
                let server = server.run();
                tell.send((address, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        let (address, server) = told.recv().unwrap();
        keys.start();
        Self { address, server, keys, holds }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hello", self.address)
    }

    /// How old its set is; `None` before it has one.
    pub(super) fn age(&self) -> Option<Duration> {
        self.keys.report().age
    }

    pub(super) fn fetches(&self) -> u64 {
        self.keys.report().fetches
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

async fn hello(_token: AccessToken) -> HttpResponse {
    HttpResponse::Ok().body("hello")
}
