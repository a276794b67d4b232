//! Status lists: a bit for each grant, and the token that carries a list of them (draft-ietf-oauth-status-list).

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use miniz_oxide::deflate::compress_to_vec_zlib;
use serde::Serialize;
use signet_guard::Timestamp;

/// 65,536 grants to a list, one bit each.
const BYTES: usize = 65_536 / 8;

/// zlib's highest, as §4.1 recommends; it is paid once for each change of a list.
const LEVEL: u8 = 9;

/// The bits of one list: 1 means revoked.
///
/// # Source
/// draft-ietf-oauth-status-list §4.1: entry `i` is bit `i mod 8` of byte `i / 8`, least significant first.
#[derive(Clone)]
pub struct StatusBits {
    bytes: Box<[u8]>,
    /// Made by whoever needs it first, and then for as long as the list does not change.
    compressed: OnceLock<String>,
}

impl StatusBits {
    /// A list in which these entries are revoked. What lies beyond its end is left out.
    pub fn of(revoked: impl IntoIterator<Item = u64>) -> Self {
        let mut bytes = vec![0_u8; BYTES].into_boxed_slice();
        for index in revoked {
            if let Some(byte) = usize::try_from(index / 8).ok().and_then(|at| bytes.get_mut(at)) {
                *byte |= 1 << (index % 8);
            }
        }
        Self { bytes, compressed: OnceLock::new() }
    }

    /// Whether an entry is revoked. `None`: the list has no such entry.
    pub fn is_set(&self, index: u64) -> Option<bool> {
        let byte = self.bytes.get(usize::try_from(index / 8).ok()?)?;
        Some(byte & (1 << (index % 8)) != 0)
    }

    /// `lst`: compressed in the zlib format (RFC 1950), base64url.
    fn lst(&self) -> &str {
        self.compressed.get_or_init(|| URL_SAFE_NO_PAD.encode(compress_to_vec_zlib(&self.bytes, LEVEL)))
    }
}

impl fmt::Debug for StatusBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let revoked: u32 = self.bytes.iter().map(|byte| byte.count_ones()).sum();
        write!(f, "StatusBits({revoked} revoked)")
    }
}

/// A status list token in the making.
#[derive(Debug, Clone)]
pub struct StatusListToken {
    /// Who says so: the issuer of the tokens that point here.
    pub issuer: String,
    /// Where the list is served; the tokens' `uri`.
    pub subject: String,
    /// From when it counts.
    pub issued_at: Timestamp,
    /// For how long it counts after that.
    pub life: Duration,
    /// After how long it is worth asking again.
    pub time_to_live: Duration,
    /// What it says.
    pub bits: Arc<StatusBits>,
}

/// §5.1.
#[derive(Serialize)]
pub(super) struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    iat: i64,
    exp: i64,
    ttl: u64,
    status_list: StatusList<'a>,
}

#[derive(Serialize)]
struct StatusList<'a> {
    bits: u8,
    lst: &'a str,
}

impl StatusListToken {
    /// Compresses the list if nobody has done so.
    pub(super) fn claims(&self) -> Claims<'_> {
        Claims {
            iss: &self.issuer,
            sub: &self.subject,
            iat: self.issued_at.as_seconds(),
            exp: self.issued_at.plus(self.life).as_seconds(),
            ttl: self.time_to_live.as_secs(),
            status_list: StatusList { bits: 1, lst: self.bits.lst() },
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use miniz_oxide::inflate::decompress_to_vec_zlib;

    use super::*;

    /// §4.1, the example of a list of one-bit entries: 0xB9 0xA3.
    #[test]
    fn bits_stand_where_the_draft_puts_them() {
        let bits = StatusBits::of([0, 3, 4, 5, 7, 8, 9, 13, 15]);
        assert_eq!(bits.bytes[..3], [0xB9, 0xA3, 0]);
        for index in 0..65_536 {
            assert_eq!(bits.is_set(index), Some([0, 3, 4, 5, 7, 8, 9, 13, 15].contains(&index)), "{index}");
        }
        assert_eq!(bits.is_set(65_536), None);
        assert_eq!(StatusBits::of([65_536, u64::MAX]).bytes, StatusBits::of([]).bytes);
    }

    #[test]
    fn what_is_compressed_is_the_whole_list_in_the_zlib_format() {
        let bits = StatusBits::of([0, 9, 65_535]);
        let compressed = URL_SAFE_NO_PAD.decode(bits.lst()).unwrap();
        // RFC 1950 §2.2: deflate with a window of 32 KiB, and a multiple of 31.
        assert_eq!(
            (compressed[0], (u16::from(compressed[0]) * 256 + u16::from(compressed[1])) % 31),
            (0x78, 0)
        );
        assert_eq!(decompress_to_vec_zlib(&compressed).unwrap(), *bits.bytes);
    }
}
