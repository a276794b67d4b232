//! `Prefer: wait=…` (RFC 7240 §4.3).

use std::time::Duration;

use actix_web::HttpRequest;

/// How long the caller would wait for something to tell. What cannot be understood is no preference (§2): not the value
/// alone, but the whole of a header that does not follow the grammar, because there is no telling where its parts begin.
pub(super) fn wait(request: &HttpRequest) -> Option<Duration> {
    wait_of(request.headers().get_all("prefer").map(|line| line.as_bytes()))
}

fn wait_of<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Duration> {
    // A preference that comes again counts the first time.
    let mut first = None;
    for line in lines {
        let mut line = Reader(line);
        loop {
            // Elements of a list may be empty (RFC 9110 §5.6.1.2).
            line.take_while(|byte| is_space(byte) || byte == b',');
            if line.0.is_empty() {
                break;
            }
            let (name, value) = line.preference()?;
            if first.is_none() && name.eq_ignore_ascii_case(b"wait") {
                first = Some(value);
            }
        }
    }
    let digits = first??;
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(&digits).ok().filter(|_| is_number)?.parse().ok().map(Duration::from_secs)
}

/// What is left of a line. A method that finds no more of what it reads answers `None`, and the line is malformed.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// `token [ BWS "=" BWS word ] *( OWS ";" [ OWS parameter ] )`, up to the comma behind it.
    fn preference(&mut self) -> Option<(&'a [u8], Option<Vec<u8>>)> {
        let preference = self.pair()?;
        loop {
            self.take_while(is_space);
            match self.next() {
                Some(b';') => {}
                Some(b',') | None => return Some(preference),
                Some(_) => return None,
            }
            self.take_while(is_space);
            if self.0.first().copied().is_some_and(is_token) {
                self.pair()?;
            }
        }
    }

    /// `token [ BWS "=" BWS word ]`.
    fn pair(&mut self) -> Option<(&'a [u8], Option<Vec<u8>>)> {
        let name = self.token()?;
        self.take_while(is_space);
        if self.0.first() != Some(&b'=') {
            return Some((name, None));
        }
        self.next();
        self.take_while(is_space);
        let value = if self.0.first() == Some(&b'"') { self.quoted()? } else { self.token()?.to_vec() };
        Some((name, Some(value)))
    }

    fn token(&mut self) -> Option<&'a [u8]> {
        Some(self.take_while(is_token)).filter(|token| !token.is_empty())
    }

    /// A quoted-string (RFC 9110 §5.6.4), without its quotes and escapes.
    fn quoted(&mut self) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        self.next();
        loop {
            match self.next()? {
                b'"' => return Some(text),
                b'\\' => text.push(self.next().filter(|byte| is_text(*byte))?),
                byte if is_text(byte) => text.push(byte),
                _ => return None,
            }
        }
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|byte| !belongs(*byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// A character of a token (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What may stand between quotes: anything but control characters.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    use super::*;

    fn of(lines: &[&[u8]]) -> Option<u64> {
        let request = lines.iter().fold(TestRequest::get(), |request, line| {
            request.append_header(("prefer", HeaderValue::from_bytes(line).unwrap()))
        });
        wait(&request.to_http_request()).map(|wait| wait.as_secs())
    }

    #[test]
    fn the_first_wait_counts_and_nonsense_is_no_preference() {
        for (lines, seconds) in [
            (&["wait=10"][..], Some(10)),
            (&["respond-async, WAIT = \"5\" ; x=y, wait=7"], Some(5)),
            (&["return=minimal", "wait=0"], Some(0)),
            (&["wait=-1"], None),
            (&["wait=+1"], None),
            (&["wait=soon, wait=3"], None),
            (&["wait, wait=3"], None),
            (&["wait"], None),
            (&["wait="], None),
            (&["wait=\"\""], None),
            (&["wait=\"5"], None),
            (&["waiting=5"], None),
            (&["wait=99999999999999999999999"], None),
            (&[",, wait=4 ,\t,"], Some(4)),
            (&["wait=4;"], Some(4)),
            (&["wait=4; ; a ;b=\"c;d\""], Some(4)),
            (&[""], None),
            (&[], None),
        ] {
            let bytes: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
            assert_eq!(of(&bytes), seconds, "{lines:?}");
        }
    }

    #[test]
    fn commas_and_semicolons_between_quotes_part_nothing() {
        for (line, seconds) in [
            (r#"x="a, wait=9""#, None),
            (r#"x="a, wait=9", wait=1"#, Some(1)),
            (r#"x="a\", wait=9", wait=1"#, Some(1)),
            (r#"x="a\\", wait=1"#, Some(1)),
            (r#"x; y="; wait=9, wait=9"; z, wait=1"#, Some(1)),
            (r#"wait="\1\0""#, Some(10)),
            (r#"wait="1,2", wait=3"#, None),
        ] {
            assert_eq!(of(&[line.as_bytes()]), seconds, "{line}");
        }
    }

    #[test]
    fn a_malformed_header_counts_for_nothing_at_all() {
        for line in [
            r#"wait=1, x="a"#,
            r#"wait=1, x="a\"#,
            r#"wait=1, x="a"b"#,
            "wait=1 2",
            "wait=1, =2",
            "wait=1, x=",
            "wait=1, x=y=z",
            "wait=1; =",
            "wait=1, (x)",
            "wait=1, \u{e9}",
        ] {
            assert_eq!(of(&[line.as_bytes()]), None, "{line}");
            assert_eq!(of(&[b"wait=1", line.as_bytes()]), None, "{line}");
        }
        assert_eq!(of(&[b"x=\"\xff\", wait=1"]), Some(1), "no text, but well-formed");
    }

    /// As a sender writes it: any text between quotes, or a token.
    fn word() -> impl Strategy<Value = String> {
        let quoted = "[ -~\t]{0,12}".prop_map(|text: String| {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{escaped}\"")
        });
        prop_oneof![quoted, "[!#$%&'*+.^_`|~0-9a-zA-Z-]{1,8}"]
    }

    /// A preference that is not `wait`, with parameters.
    fn other() -> impl Strategy<Value = String> {
        let parameters = prop::collection::vec(("[a-z]{1,4}", word()), 0..3);
        ("x[a-z]{0,6}", prop::option::of(word()), parameters).prop_map(|(name, value, parameters)| {
            let value = value.map_or(String::new(), |value| format!("={value}"));
            let more: String = parameters.iter().map(|(name, value)| format!("; {name} = {value}")).collect();
            format!("{name}{value}{more}")
        })
    }

    proptest! {
        #[test]
        fn a_wait_is_found_among_any_other_preferences(
            before in prop::collection::vec(other(), 0..4), seconds: u64,
            after in prop::collection::vec(other(), 0..4), is_one_line: bool,
        ) {
            let wait = format!("Wait={seconds}; x=\"wait=1\"");
            let all: Vec<String> = before.iter().chain([&wait]).chain(&after).cloned().collect();
            let lines = if is_one_line { vec![all.join(",")] } else { all };
            let bytes: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
            prop_assert_eq!(of(&bytes), Some(seconds), "{:?}", lines);
            let others: Vec<_> = before.iter().chain(&after).map(|line| line.as_bytes()).collect();
            prop_assert_eq!(of(&others), None, "{:?}", others);
        }

        #[test]
        fn no_header_is_too_strange_to_be_read(lines: Vec<Vec<u8>>, near in "(wait|[=,;\" \\\\]|x|1){0,20}") {
            for lines in [&lines[..], &[near.into_bytes()]] {
                let _ = wait_of(lines.iter().map(Vec::as_slice));
            }
        }
    }
}
