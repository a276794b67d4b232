//! Replicas behind one address: chance says to which of them a connection goes.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

/// An address that is known before there are replicas: they are told that it is their issuer's.
pub(super) struct Balancer {
    listener: TcpListener,
    /// `http://127.0.0.1:PORT`.
    pub(super) url: String,
}

impl Balancer {
    pub(super) fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { url: format!("http://{}", listener.local_addr().unwrap()), listener }
    }

    /// Begins to balance between them, for as long as the process lives.
    pub(super) fn serve(self, replicas: [&str; 2]) {
        let replicas = replicas.map(|url| url.strip_prefix("http://").unwrap().to_owned());
        thread::spawn(move || {
            for caller in self.listener.incoming() {
                let replica = &replicas[usize::from(rand::random::<bool>())];
                // A replica that is gone hangs up on its callers.
                let _ = caller.and_then(|caller| join(caller, TcpStream::connect(replica)?));
            }
        });
    }
}

fn join(caller: TcpStream, replica: TcpStream) -> io::Result<()> {
    let back = (replica.try_clone()?, caller.try_clone()?);
    for (mut from, mut to) in [(caller, replica), back] {
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}
