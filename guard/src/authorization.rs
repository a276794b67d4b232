//! The `Authorization` header: RFC 6750 §2.1, RFC 9110 §11.6.2.

use crate::error::Refusal;
use crate::reason::Reason;

/// Finds the bearer token in the values of a request's `Authorization` headers. `None`: no such header was sent.
/// A token in a query or a form is never looked for.
///
/// ```
/// let token = signet_guard::bearer_token([b"Bearer abc.def.ghi".as_slice()]);
/// assert_eq!(token.unwrap(), Some("abc.def.ghi"));
/// assert_eq!(signet_guard::bearer_token([]).unwrap(), None);
/// ```
///
/// # Errors
/// A [`Refusal`] with status 400 for two headers or one that is not `Bearer`, spaces and one token; with status
/// 401 for another scheme.
pub fn bearer_token<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<&'a str>, Refusal> {
    let mut values = values.into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::new(Reason::SeveralCredentials));
    }
    one_bearer_token(value).map(Some).map_err(Refusal::new)
}

fn one_bearer_token(value: &[u8]) -> Result<&str, Reason> {
    let value = std::str::from_utf8(value).map_err(|_| Reason::MalformedCredentials)?;
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    if scheme.is_empty() || !scheme.bytes().all(is_tchar) {
        return Err(Reason::MalformedCredentials);
    }
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(Reason::OtherScheme);
    }
    let token = rest.trim_start_matches(' ');
    if !is_token68(token) {
        return Err(Reason::MalformedCredentials);
    }
    Ok(token)
}

/// RFC 9110 §5.6.2.
const fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// `b64token` of RFC 6750 §2.1. Every byte is looked at, without branches, so that the compiler can take sixteen at
/// a time: this runs on every request.
fn is_token68(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let allowed = |byte: u8| {
        byte.is_ascii_alphanumeric()
            | (byte == b'-')
            | (byte == b'.')
            | (byte == b'_')
            | (byte == b'~')
            | (byte == b'+')
            | (byte == b'/')
    };
    !body.is_empty() && body.bytes().fold(true, |fine, byte| fine & allowed(byte))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn one_token_in_any_letter_case_of_the_scheme() {
        for value in ["Bearer a.b-c_d~e+f/g==", "bearer a.b-c_d~e+f/g==", "BEARER    a.b-c_d~e+f/g=="] {
            assert_eq!(one_bearer_token(value.as_bytes()), Ok("a.b-c_d~e+f/g=="), "{value}");
        }
    }

    #[test]
    fn other_schemes_are_told_apart_from_broken_headers() {
        for value in ["Basic dTpw", "DPoP a.b.c", "Bearers a.b.c", "Negotiate", "a.b.c"] {
            assert_eq!(one_bearer_token(value.as_bytes()), Err(Reason::OtherScheme), "{value}");
        }
        for value in [
            "",
            " ",
            "Bearer",
            "Bearer ",
            "Bearer\ta",
            "Bearer a\t",
            "Bearer a ",
            " Bearer a",
            "Bearer a b",
            "Bearer a,b",
            "Bearer a, Bearer b",
            "Bearer, a",
            "Bearer =",
            "Bearer a=b",
            "Bearer \"a\"",
            "Bearer é",
            "Bearer:a",
        ] {
            assert_eq!(one_bearer_token(value.as_bytes()), Err(Reason::MalformedCredentials), "{value:?}");
        }
        assert_eq!(one_bearer_token(b"Bearer \xff"), Err(Reason::MalformedCredentials));
    }
}
