//! What a refused caller is sent: the challenge of RFC 6750 §3 and the problem document of RFC 9457.

use std::fmt;

use serde::Serialize;

/// The realm of a challenge when the verifier was given none.
pub(crate) const DEFAULT_REALM: &str = "api";

/// The value of a `WWW-Authenticate` header for the scheme `Bearer`. Always one line of printable ASCII, whatever
/// it was made from.
///
/// # Source
/// RFC 6750 §3; quoted strings per RFC 9110 §5.6.4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge(String);

impl Challenge {
    /// A challenge that says where, and nothing else: for a request that carried no token.
    pub fn new(realm: &str) -> Self {
        Self(format!("Bearer realm=\"{}\"", quoted(realm)))
    }

    /// Adds the error code and its text in words.
    #[must_use]
    pub fn error(mut self, code: &str, description: &str) -> Self {
        self.0.push_str(&format!(
            ", error=\"{}\", error_description=\"{}\"",
            unquotable(code),
            unquotable(description)
        ));
        self
    }

    /// Adds the scope that would have been enough.
    #[must_use]
    pub fn scope(mut self, scope: &str) -> Self {
        self.0.push_str(&format!(", scope=\"{}\"", unquotable(scope)));
        self
    }

    /// The header value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `quoted-string` content: quote and backslash escaped, anything but printable ASCII replaced.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            ' '..='~' => out.push(character),
            _ => out.push('?'),
        }
    }
    out
}

/// RFC 6750 §3 allows neither quote nor backslash in `error`, `error_description` and `scope`, escaped or not.
fn unquotable(text: &str) -> String {
    let keep = |character: char| match character {
        '"' | '\\' => '\'',
        ' '..='~' => character,
        _ => '?',
    };
    text.chars().map(keep).collect()
}

/// A problem document: the JSON body of an `application/problem+json` answer.
///
/// # Source
/// RFC 9457 §3.1; `type` is `about:blank`, so `title` is the status in words (§4.2.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
}

impl Problem {
    pub(crate) fn new(status: u16, detail: String, instance: Option<String>) -> Self {
        let title = match status {
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            503 => "Service Unavailable",
            _ => "Internal Server Error",
        };
        Self { kind: "about:blank", title, status, detail, instance }
    }

    /// The document as JSON bytes.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings and a number always serialise; an empty body would still carry the right status.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_its_quotes() {
        let challenge = Challenge::new("a\"b\\c\r\nd").error("invalid_token", "x\", y=\"z\\").scope("r\"w\n");
        assert_eq!(
            challenge.as_str(),
            "Bearer realm=\"a\\\"b\\\\c??d\", error=\"invalid_token\", error_description=\"x', y='z'\", \
             scope=\"r'w?\""
        );
    }

    #[test]
    fn a_problem_without_instance_has_no_such_member() {
        let json = Problem::new(401, "d".to_owned(), None).to_json();
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"d"}"#
        );
    }
}
