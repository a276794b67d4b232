//! Who calls: what the records say about where a request came from.

use std::net::IpAddr;

/// Where a request came from, for the audit log and for a person who looks at their sessions. Nothing is decided by it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The address, in canonical form; `None`: the command line.
    pub address: Option<IpAddr>,
    /// What the program calls itself, if anything.
    pub user_agent: Option<UserAgent>,
    /// The id of the request, which its log line carries too.
    pub request_id: Option<String>,
}

/// What a program calls itself (RFC 9110 §10.1.5), shortened to what a person reads. The caller chose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAgent(String);

impl UserAgent {
    /// The longest that is kept, in bytes.
    pub const MAX_BYTES: usize = 200;

    /// The visible ASCII of it. `None` when nothing is left.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let is_shown = |byte: &&u8| **byte == b' ' || byte.is_ascii_graphic();
        let kept = bytes.iter().filter(is_shown).take(Self::MAX_BYTES).copied().map(char::from);
        let kept = kept.collect::<String>().trim().to_owned();
        (!kept.is_empty()).then_some(Self(kept))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_calls_itself_is_cut_to_one_short_line() {
        let shown = |bytes: &[u8]| UserAgent::parse(bytes).map(|agent| agent.as_str().to_owned());
        assert_eq!(shown(b"curl/8.5"), Some("curl/8.5".to_owned()));
        assert_eq!(shown(b" a\r\nb\x1b[1m\xff "), Some("ab[1m".to_owned()));
        assert_eq!(shown(&[b'x'; 1000]).map(|text| text.len()), Some(200));
        assert_eq!([shown(b""), shown(b" \t\x00")], [None, None]);
    }
}
