//! What a status list says: draft-ietf-oauth-status-list §4.2 and §5.1.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::strict_json;

/// The largest list in memory: a million statuses of one bit each. Signet's have 8 KiB.
const MAX_BYTES: usize = 128 * 1024;

/// Why claims are no status list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatusListError {
    /// Not one JSON object, or a name comes twice in it.
    #[error("the claims are not one JSON object without repeated names")]
    Malformed,
    /// A claim is absent, has the wrong JSON type or is out of bounds.
    #[error("the claim `{0}` is missing or not what it must be")]
    Claim(&'static str),
    /// `lst` is not base64url of a zlib stream.
    #[error("`lst` is not base64url of a zlib stream")]
    NotCompressed,
    /// More than 128 KiB when inflated.
    #[error("the list has more than 128 KiB")]
    TooLarge,
}

/// The claims of a status list token: one status for each token that names an index of the list.
///
/// # Source
/// draft-ietf-oauth-status-list §4.2 and §5.1.
#[derive(Clone, PartialEq, Eq)]
pub struct StatusList {
    issuer: String,
    subject: String,
    issued_at: Timestamp,
    expires_at: Timestamp,
    /// How many bits one status takes: 1, 2, 4 or 8.
    bits: u8,
    bytes: Vec<u8>,
}

impl StatusList {
    /// Reads the claims set of a status list token whose signature was checked. `iss`, `sub`, `iat` and `exp` must be
    /// there, as Signet writes them; the draft leaves some of them optional.
    ///
    /// # Errors
    /// [`StatusListError`] when something is missing, of the wrong type or too large.
    pub fn from_json(claims: &[u8]) -> Result<Self, StatusListError> {
        let claims = strict_json::object(claims).map_err(|_| StatusListError::Malformed)?;
        let list = claims.get("status_list").ok_or(StatusListError::Claim("status_list"))?;
        let bits = match list.get("bits").and_then(Value::as_u64) {
            Some(bits @ (1 | 2 | 4 | 8)) => bits as u8,
            _ => return Err(StatusListError::Claim("bits")),
        };
        let lst = list.get("lst").and_then(Value::as_str).ok_or(StatusListError::Claim("lst"))?;
        Ok(Self {
            issuer: text(&claims, "iss")?,
            subject: text(&claims, "sub")?,
            issued_at: instant(&claims, "iat")?,
            expires_at: instant(&claims, "exp")?,
            bits,
            bytes: inflated(lst)?,
        })
    }

    /// Whose list it is: `iss`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where it is served: `sub`.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// When it was issued: `iat`.
    pub const fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// From when on it should not be relied on: `exp`.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The status at this index, 0 for valid (§7.1); `None` beyond the end of the list.
    pub fn get(&self, index: u64) -> Option<u8> {
        let in_one = u64::from(8 / self.bits);
        let byte = *self.bytes.get(usize::try_from(index / in_one).ok()?)?;
        // The lowest bits of a byte are those of the lowest index.
        let shift = (index % in_one) as u32 * u32::from(self.bits);
        Some((byte >> shift) & (0xff >> (8 - self.bits)))
    }

    /// How many statuses there are.
    pub const fn len(&self) -> u64 {
        self.bytes.len() as u64 * (8 / self.bits as u64)
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl fmt::Debug for StatusList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusList")
            .field("subject", &self.subject)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

fn text(claims: &Map<String, Value>, name: &'static str) -> Result<String, StatusListError> {
    claims.get(name).and_then(Value::as_str).map(str::to_owned).ok_or(StatusListError::Claim(name))
}

fn instant(claims: &Map<String, Value>, name: &'static str) -> Result<Timestamp, StatusListError> {
    let seconds = claims.get(name).and_then(Value::as_i64).filter(|seconds| *seconds >= 0);
    seconds.map(Timestamp::from_seconds).ok_or(StatusListError::Claim(name))
}

fn inflated(lst: &str) -> Result<Vec<u8>, StatusListError> {
    use miniz_oxide::inflate::TINFLStatus;
    let compressed = URL_SAFE_NO_PAD.decode(lst).map_err(|_| StatusListError::NotCompressed)?;
    decompress_to_vec_zlib_with_limit(&compressed, MAX_BYTES).map_err(|failure| match failure.status {
        TINFLStatus::HasMoreOutput => StatusListError::TooLarge,
        _ => StatusListError::NotCompressed,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use miniz_oxide::deflate::compress_to_vec_zlib;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn lst(bytes: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(compress_to_vec_zlib(bytes, 9))
    }

    fn claims(bits: Value, lst: Value) -> Value {
        json!({
            "iss": "https://a.example", "sub": "https://a.example/status/0", "iat": 1, "exp": 301, "ttl": 60,
            "status_list": { "bits": bits, "lst": lst },
        })
    }

    fn read(claims: &Value) -> Result<StatusList, StatusListError> {
        StatusList::from_json(claims.to_string().as_bytes())
    }

    /// The examples of the draft, §4.1 and §4.2.
    #[test]
    fn the_drafts_own_examples_read_as_it_says() {
        let one = read(&claims(json!(1), json!("eNrbuRgAAhcBXQ"))).unwrap();
        let statuses: Vec<_> = (0..16).map(|index| one.get(index).unwrap()).collect();
        assert_eq!(statuses, [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]);
        assert_eq!((one.len(), one.get(16), one.get(u64::MAX)), (16, None, None));
        let two = read(&claims(json!(2), json!("eNo76fITAAPfAgc"))).unwrap();
        let statuses: Vec<_> = (0..12).map(|index| two.get(index).unwrap()).collect();
        assert_eq!(statuses, [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]);
    }

    #[test]
    fn a_claim_that_is_not_what_it_must_be_is_named() {
        let good = claims(json!(1), json!(lst(&[0; 8])));
        assert!(read(&good).is_ok());
        for (name, values) in [
            ("iss", [Value::Null, json!(1), json!([])]),
            ("sub", [Value::Null, json!(1), json!({})]),
            ("iat", [Value::Null, json!(-1), json!("1")]),
            ("exp", [Value::Null, json!(1.5), json!("1")]),
            ("status_list", [Value::Null, json!([]), json!(1)]),
        ] {
            for value in values {
                let mut odd = good.clone();
                odd[name] = value;
                assert!(matches!(read(&odd), Err(StatusListError::Claim(_))), "{odd}");
            }
            let mut absent = good.clone();
            absent.as_object_mut().unwrap().remove(name);
            assert_eq!(read(&absent).unwrap_err(), StatusListError::Claim(name));
        }
        for bits in [json!(0), json!(3), json!(5), json!(16), json!(-1), json!(1.0), json!("1"), Value::Null]
        {
            assert_eq!(read(&claims(bits, json!(lst(&[0])))).unwrap_err(), StatusListError::Claim("bits"));
        }
        assert_eq!(read(&claims(json!(1), json!(1))).unwrap_err(), StatusListError::Claim("lst"));
        for text in ["", "[]", "null", "{", r#"{"iss":"a","iss":"b"}"#] {
            assert_eq!(StatusList::from_json(text.as_bytes()).unwrap_err(), StatusListError::Malformed);
        }
    }

    #[test]
    fn what_is_no_zlib_stream_is_no_list() {
        let good = lst(&[1, 2, 3]);
        let cut = &good[..good.len() - 4];
        for odd in ["", "!", "AAAA", "eNrbuRgAAhcBXQ=", "eNrbuRgAAhcBXR", "eNrbuRgAAhcBX", cut] {
            assert_eq!(
                read(&claims(json!(1), json!(odd))).unwrap_err(),
                StatusListError::NotCompressed,
                "{odd}"
            );
        }
    }

    #[test]
    fn a_bomb_is_given_up_at_the_limit() {
        assert_eq!(
            read(&claims(json!(1), json!(lst(&vec![0; MAX_BYTES])))).unwrap().len(),
            8 * MAX_BYTES as u64
        );
        for size in [MAX_BYTES + 1, 256 * MAX_BYTES] {
            let bomb = lst(&vec![0; size]);
            assert!(bomb.len() < 64 * 1024);
            assert_eq!(read(&claims(json!(1), json!(bomb))).unwrap_err(), StatusListError::TooLarge);
        }
    }

    proptest! {
        #[test]
        fn every_status_is_found_where_it_was_put(bytes in prop::collection::vec(any::<u8>(), 0..200), width in 0_u32..4) {
            let bits = 1_u8 << width;
            let list = read(&claims(json!(bits), json!(lst(&bytes)))).unwrap();
            prop_assert_eq!(list.len(), bytes.len() as u64 * 8 / u64::from(bits));
            // Put together again, the statuses are the bytes.
            let mut again = vec![0_u8; bytes.len()];
            for index in 0..list.len() {
                let place = index as usize * usize::from(bits);
                again[place / 8] |= list.get(index).unwrap() << (place % 8);
            }
            prop_assert_eq!(again, bytes);
            prop_assert_eq!(list.get(list.len()), None);
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in any::<Vec<u8>>(), stream in any::<Vec<u8>>(), bits in any::<u64>()) {
            let _ = StatusList::from_json(&bytes);
            let _ = read(&claims(json!(bits), json!(URL_SAFE_NO_PAD.encode(stream))));
        }
    }
}
