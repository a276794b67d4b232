//! The set as it is sent.

use reqwest::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, ETAG, IF_NONE_MATCH, VARY};
use reqwest::{Method, StatusCode};

use crate::helpers::app::TestApp;

const SET: &str = "/.well-known/jwks.json";

#[tokio::test(flavor = "multi_thread")]
async fn the_set_is_compressed_for_those_who_ask_and_confirmed_in_either_form() {
    let app = TestApp::spawn().await;
    let plain = app.get(SET).await;
    let zipped = app.request(Method::GET, SET).header(ACCEPT_ENCODING, "gzip, br").send().await.unwrap();
    for answer in [&plain, &zipped] {
        assert_eq!(answer.headers()[VARY], "Accept-Encoding");
        assert_eq!(answer.headers()[CACHE_CONTROL], "public, max-age=300");
    }
    assert!(!plain.headers().contains_key(CONTENT_ENCODING));
    assert_eq!(zipped.headers()[CONTENT_ENCODING], "gzip");
    let tags = [&plain, &zipped].map(|answer| answer.headers()[ETAG].clone());
    assert_ne!(tags[0], tags[1], "other bytes, another tag");
    let (plain, zipped) = (plain.bytes().await.unwrap(), zipped.bytes().await.unwrap());
    assert!(zipped.len() < plain.len());
    assert_eq!(zipped[..2], [0x1f, 0x8b]);
    for tag in &tags {
        for accept in ["gzip", "identity"] {
            let request = app.request(Method::GET, SET).header(ACCEPT_ENCODING, accept);
            let answer = request.header(IF_NONE_MATCH, tag).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
            assert_eq!(answer.headers()[ETAG], tag);
            assert_eq!(answer.headers()[VARY], "Accept-Encoding");
            assert!(!answer.headers().contains_key(CONTENT_ENCODING));
        }
    }
}
