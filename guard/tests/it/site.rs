//! A small web site on loopback that plays the issuer, well or badly, and counts who asks.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use serde_json::{Value, json};

pub(crate) const METADATA: &str = "/.well-known/oauth-authorization-server";
pub(crate) const JWKS: &str = "/jwks";

#[derive(Clone)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Page {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, location: None, body: body.into() }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, location: None, body: b"{}".to_vec() }
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self { status: 302, location: Some(to.to_owned()), body: Vec::new() }
    }
}

#[derive(Default)]
struct State {
    pages: HashMap<String, Page>,
    requests: Vec<String>,
    /// While shut, requests wait for their answer.
    shut: bool,
}

#[derive(Clone)]
pub(crate) struct Site {
    url: String,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Site {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let site = Self { url, state: Arc::default() };
        let inside = site.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let site = inside.clone();
                thread::spawn(move || site.serve(connection));
            }
        });
        site
    }

    /// A site that publishes these keys as it should.
    pub(crate) fn with_keys(keys: &[Value]) -> Self {
        let site = Self::start();
        site.put(METADATA, site.metadata(&site.url, &format!("{}{JWKS}", site.url)));
        site.put_keys(keys);
        site
    }

    pub(crate) fn metadata(&self, issuer: &str, jwks_uri: &str) -> Page {
        let text =
            json!({ "issuer": issuer, "jwks_uri": jwks_uri, "response_types_supported": [] }).to_string();
        Page::ok(text)
    }

    pub(crate) fn put(&self, path: &str, page: Page) {
        self.state.0.lock().unwrap().pages.insert(path.to_owned(), page);
    }

    pub(crate) fn put_keys(&self, keys: &[Value]) {
        self.put(JWKS, Page::ok(json!({ "keys": keys }).to_string()));
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn shut(&self) {
        self.state.0.lock().unwrap().shut = true;
    }

    pub(crate) fn open(&self) {
        self.state.0.lock().unwrap().shut = false;
        self.state.1.notify_all();
    }

    /// How often `path` was asked for.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.state.0.lock().unwrap().requests.iter().filter(|request| *request == path).count()
    }

    pub(crate) fn total(&self) -> usize {
        self.state.0.lock().unwrap().requests.len()
    }

    fn serve(&self, mut connection: TcpStream) -> Option<()> {
        let mut lines = BufReader::new(connection.try_clone().ok()?).lines();
        let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
        while !lines.next()?.ok()?.is_empty() {}
        let (state, opened) = &*self.state;
        let mut state = state.lock().ok()?;
        state.requests.push(path.clone());
        let state = opened.wait_while(state, |state| state.shut).ok()?;
        let page = state.pages.get(&path).cloned().unwrap_or_else(|| Page::status(404));
        drop(state);
        let location = page.location.map(|to| format!("location: {to}\r\n")).unwrap_or_default();
        let (status, length) = (page.status, page.body.len());
        write!(
            connection,
            "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n{location}\r\n"
        )
        .ok()?;
        connection.write_all(&page.body).ok()
    }
}
