//! `Prefer: wait=…` (RFC 7240 §4.3).

use std::time::Duration;

use actix_web::HttpRequest;

/// How long the caller would wait for something to tell. What cannot be understood is no preference (§2).
pub(super) fn wait(request: &HttpRequest) -> Option<Duration> {
    let values = request.headers().get_all("prefer").filter_map(|value| value.to_str().ok());
    // A preference that comes again counts the first time.
    let first = values.flat_map(|value| value.split(',')).find_map(|preference| {
        // What follows a semicolon are parameters, of which `wait` has none.
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim())
    })?;
    let digits = first.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(first);
    digits.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_first_wait_counts_and_nonsense_is_no_preference() {
        let of = |values: &[&'static str]| {
            let request =
                values.iter().fold(TestRequest::get(), |it, value| it.append_header(("prefer", *value)));
            wait(&request.to_http_request()).map(|wait| wait.as_secs())
        };
        for (values, seconds) in [
            (&["wait=10"][..], Some(10)),
            (&["respond-async, WAIT = \"5\" ; x=y, wait=7"], Some(5)),
            (&["return=minimal", "wait=0"], Some(0)),
            (&["wait=-1"], None),
            (&["wait=soon, wait=3"], None),
            (&["wait"], None),
            (&["wait="], None),
            (&["wait=\"5"], None),
            (&["waiting=5"], None),
            (&["wait=99999999999999999999999"], None),
            (&[], None),
        ] {
            assert_eq!(of(values), seconds, "{values:?}");
        }
    }
}
