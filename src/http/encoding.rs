//! Content codings a caller accepts (RFC 9110 §12.5.3).

use actix_web::HttpRequest;
use actix_web::http::header::ACCEPT_ENCODING;

/// Whether the caller accepts gzip.
pub(super) fn accepts_gzip(request: &HttpRequest) -> bool {
    let values = request.headers().get_all(ACCEPT_ENCODING);
    is_gzip_in(values.filter_map(|value| value.to_str().ok()))
}

/// What is named goes before `*`; a weight of zero refuses.
fn is_gzip_in<'a>(lists: impl Iterator<Item = &'a str>) -> bool {
    let (mut named, mut any) = (None, None);
    for item in lists.flat_map(|list| list.split(',')) {
        let mut parts = item.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let is_accepted = weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0));
        if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
            named = Some(is_accepted);
        } else if coding == "*" {
            any = Some(is_accepted);
        }
    }
    named.or(any).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::is_gzip_in;

    #[test]
    fn gzip_is_sent_to_those_who_ask_for_it() {
        for (lists, accepted) in [
            (&[][..], false),
            (&["gzip"], true),
            (&["br, GZIP;q=0.5"], true),
            (&["br", "x-gzip"], true),
            (&["gzip;q=0"], false),
            (&["gzip; q=0.000, *"], false),
            (&["*"], true),
            (&["*;q=0"], false),
            (&["identity"], false),
            (&["gzip;q=much"], false),
        ] {
            assert_eq!(is_gzip_in(lists.iter().copied()), accepted, "{lists:?}");
        }
    }
}
