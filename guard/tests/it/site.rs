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
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Page {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: b"{}".to_vec() }
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self { status: 302, headers: vec![("location", to.to_owned())], body: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

#[derive(Default)]
struct State {
    pages: HashMap<String, Page>,
    requests: Vec<String>,
    /// How many requests were answered that nothing has changed.
    not_modified: usize,
    /// While shut, requests wait for their answer.
    shut: bool,
    /// Connections are closed without a word.
    is_down: bool,
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

    pub(crate) fn go_down(&self) {
        self.state.0.lock().unwrap().is_down = true;
    }

    pub(crate) fn come_up(&self) {
        self.state.0.lock().unwrap().is_down = false;
    }

    pub(crate) fn not_modified(&self) -> usize {
        self.state.0.lock().unwrap().not_modified
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
        let mut held = None;
        loop {
            let line = lines.next()?.ok()?;
            if line.is_empty() {
                break;
            }
            held =
                held.or_else(|| Some(line.to_ascii_lowercase().strip_prefix("if-none-match: ")?.to_owned()));
        }
        let (state, opened) = &*self.state;
        let mut state = state.lock().ok()?;
        if state.is_down {
            return None;
        }
        state.requests.push(path.clone());
        let mut state = opened.wait_while(state, |state| state.shut).ok()?;
        let mut page = state.pages.get(&path).cloned().unwrap_or_else(|| Page::status(404));
        if held.is_some_and(|held| page.headers.contains(&("etag", held))) {
            state.not_modified += 1;
            page.status = 304;
            page.body.clear();
        }
        drop(state);
        let headers: String =
            page.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let (status, length) = (page.status, page.body.len());
        write!(
            connection,
            "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
        )
        .ok()?;
        connection.write_all(&page.body).ok()
    }
}
