//! The few things we must know about a certificate that rustls keeps to itself: who signed whom, and until when.

use std::ops::RangeInclusive;

/// Parts of an X.509 certificate (RFC 5280 §4.1).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Certificate<'a> {
    /// The name of whoever signed it, as encoded.
    pub(super) issuer: &'a [u8],
    /// The name of whoever it is about, as encoded.
    pub(super) subject: &'a [u8],
    /// When it is good, in seconds since 1970.
    pub(super) validity: RangeInclusive<i64>,
}

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT`: the version.
const VERSION: u8 = 0xa0;

impl<'a> Certificate<'a> {
    /// Reads a certificate in DER; `None` when it is none. No signature is looked at.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let (certificate, _) = tagged(der, SEQUENCE)?;
        let (mut rest, _) = tagged(certificate, SEQUENCE)?;
        if rest.first() == Some(&VERSION) {
            rest = value(rest)?.2;
        }
        let (_serial, rest) = skip(rest)?;
        let (_algorithm, rest) = skip(rest)?;
        let (issuer, rest) = tagged(rest, SEQUENCE)?;
        let (validity, rest) = tagged(rest, SEQUENCE)?;
        let (subject, _) = tagged(rest, SEQUENCE)?;
        let (from, validity) = time(validity)?;
        let (until, _) = time(validity)?;
        Some(Self { issuer, subject, validity: from..=until })
    }
}

/// Tag, content and what follows of the first value (X.690 §8.1).
fn value(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

fn tagged(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = value(der)?;
    (tag == wanted).then_some((content, rest))
}

fn skip(der: &[u8]) -> Option<(u8, &[u8])> {
    let (tag, _, rest) = value(der)?;
    Some((tag, rest))
}

/// `YYMMDDHHMMSSZ` until 2049, `YYYYMMDDHHMMSSZ` from then on (RFC 5280 §4.1.2.5).
fn time(der: &[u8]) -> Option<(i64, &[u8])> {
    let (tag, text, rest) = value(der)?;
    let digits = text.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (year, rest_of_date) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year = number(year);
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        (GENERALIZED_TIME, 14) => {
            let (year, rest) = digits.split_at_checked(4)?;
            (number(year), rest)
        }
        _ => return None,
    };
    let mut parts = rest_of_date.chunks(2).map(number);
    let (month, day) = (parts.next()?, parts.next()?);
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some((days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second, rest))
}

fn number(digits: &[u8]) -> i64 {
    digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
}

/// In the proleptic Gregorian calendar. Counting years from March puts the leap day at their end.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_times_are_read() {
        // From 1975, in two digits, until 4096, in four.
        let made = rcgen::generate_simple_self_signed(["login.example.com".to_owned()]).unwrap();
        let der = made.cert.der();
        let read = Certificate::read(der).unwrap();
        assert_eq!(read.issuer, read.subject);
        assert_eq!(read.validity, 157_766_400..=67_090_118_400);
        for length in 0..der.len() {
            assert!(Certificate::read(&der[..length]).is_none(), "{length}");
        }
    }

    #[test]
    fn times_are_read() {
        let read = |tag: u8, text: &str| {
            let length = u8::try_from(text.len()).unwrap();
            let der = [&[tag, length], text.as_bytes()].concat();
            time(&der).map(|(seconds, _)| seconds)
        };
        assert_eq!(read(UTC_TIME, "240229120001Z"), Some(1_709_208_001));
        assert_eq!(read(UTC_TIME, "491231235959Z"), Some(2_524_607_999));
        assert_eq!(read(UTC_TIME, "500101000000Z"), Some(-631_152_000));
        assert_eq!(read(GENERALIZED_TIME, "20500101000000Z"), Some(2_524_608_000));
        for (tag, text) in [
            (UTC_TIME, "20500101000000Z"),
            (UTC_TIME, "2402291200Z"),
            (UTC_TIME, "240229120001"),
            (UTC_TIME, "241329120001Z"),
            (UTC_TIME, "2402291200+1Z"),
            (GENERALIZED_TIME, "20500101000000.5Z"),
            (0x0c, "240229120001Z"),
        ] {
            assert_eq!(read(tag, text), None, "{text}");
        }
    }

    #[test]
    fn days_are_counted() {
        for (date, days) in
            [((1970, 1, 1), 0), ((1969, 12, 31), -1), ((2000, 3, 1), 11_017), ((2100, 3, 1), 47_541)]
        {
            assert_eq!(days_since_1970(date.0, date.1, date.2), days, "{date:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(der: Vec<u8>) {
            let _ = Certificate::read(&der);
            let _ = time(&der);
        }
    }
}
