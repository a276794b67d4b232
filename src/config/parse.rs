//! Reads and prints the kinds of value that settings have.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::fault::Problem;
use super::reader::Raw;

/// Text.
pub(super) fn text(raw: &Raw) -> Result<String, Problem> {
    match raw {
        Raw::Env(text) | Raw::Toml(toml::Value::String(text)) => Ok(text.clone()),
        Raw::Toml(_) => Err(Problem::new("is not text", "write it between quotation marks")),
    }
}

/// Text, then `parse`, which says what is wrong with it and what would be right.
pub(super) fn parsed<T>(parse: impl Fn(&str) -> Result<T, Problem>) -> impl Fn(&Raw) -> Result<T, Problem> {
    move |raw| parse(&text(raw)?)
}

/// A path. NUL cannot be part of one.
pub(super) fn path(raw: &Raw) -> Result<PathBuf, Problem> {
    let text = text(raw)?;
    if text.is_empty() || text.contains('\0') {
        return Err(Problem::new("is not a path", "name a file or folder"));
    }
    Ok(PathBuf::from(text))
}

/// A list of texts: a TOML array, or one text with commas.
pub(super) fn list<T>(each: impl Fn(&str) -> Result<T, Problem>) -> impl Fn(&Raw) -> Result<Vec<T>, Problem> {
    move |raw| match raw {
        Raw::Toml(toml::Value::Array(items)) => items
            .iter()
            .map(|item| match item {
                toml::Value::String(text) => each(text),
                _ => Err(Problem::new(
                    "holds something that is not text",
                    "write each between quotation marks",
                )),
            })
            .collect(),
        Raw::Toml(toml::Value::String(text)) | Raw::Env(text) => {
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(&each).collect()
        }
        Raw::Toml(_) => Err(Problem::new("is not a list", "write it as [\"…\", \"…\"]")),
    }
}

/// A whole number within `range`.
pub(super) fn integer<T: TryFrom<i64>>(range: RangeInclusive<i64>) -> impl Fn(&Raw) -> Result<T, Problem> {
    move |raw| {
        let number = match raw {
            Raw::Toml(toml::Value::Integer(number)) => Some(*number),
            Raw::Toml(toml::Value::String(text)) | Raw::Env(text) => text.trim().parse().ok(),
            Raw::Toml(_) => None,
        };
        number
            .filter(|number| range.contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| out_of_range("a whole number", range.start(), range.end()))
    }
}

/// A span of time within `range`: `"500ms"`, `"10s"`, `"10m"`, `"2h"`, `"30d"`.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&Raw) -> Result<Duration, Problem> {
    move |raw| {
        let wrong = || {
            let (least, most) = (show_duration(*range.start()), show_duration(*range.end()));
            out_of_range("a number with its unit (ms, s, m, h, d)", least, most)
        };
        let text = text(raw).map_err(|_| wrong())?;
        let (number, unit) = number_and_unit(&text).ok_or_else(wrong)?;
        let factor = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let span = number.checked_mul(factor).map(Duration::from_millis).ok_or_else(wrong)?;
        if range.contains(&span) { Ok(span) } else { Err(wrong()) }
    }
}

/// The same from a command line. `Err`: what is wrong with the text, and what would be right.
///
/// # Errors
/// When the text is no span within `range`.
pub fn parse_duration(text: &str, range: RangeInclusive<Duration>) -> Result<Duration, String> {
    duration(range)(&Raw::Env(text.to_owned()))
        .map_err(|Problem { problem, cure }| format!("{problem}; {cure}"))
}

/// A number of bytes within `range`: `"64KiB"`, `"1MiB"`, or bytes as a plain number.
pub(super) fn size(range: RangeInclusive<usize>) -> impl Fn(&Raw) -> Result<usize, Problem> {
    move |raw| {
        let wrong = || {
            let (least, most) = (show_size(*range.start()), show_size(*range.end()));
            out_of_range("a number of bytes, KiB or MiB", least, most)
        };
        let text = match raw {
            Raw::Toml(toml::Value::Integer(bytes)) => bytes.to_string(),
            other => text(other).map_err(|_| wrong())?,
        };
        let (number, unit) = number_and_unit(&text).ok_or_else(wrong)?;
        let factor = match unit {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        let bytes =
            number.checked_mul(factor).and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(wrong)?;
        if range.contains(&bytes) { Ok(bytes) } else { Err(wrong()) }
    }
}

/// One of a few words.
pub(super) fn word<T: Copy>(words: &'static [(&'static str, T)]) -> impl Fn(&Raw) -> Result<T, Problem> {
    move |raw| {
        let text = text(raw)?;
        words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
            let known: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            Problem::new("is none of the words it may be", format!("write {}", known.join(" or ")))
        })
    }
}

fn out_of_range(what: &str, least: impl Display, most: impl Display) -> Problem {
    Problem::new(
        format!("is not {what} within its bounds"),
        format!("choose something from {least} to {most}"),
    )
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim()))
}

/// A span of time in its largest whole unit, as [`duration`] reads it.
pub(super) fn show_duration(span: Duration) -> String {
    let millis = span.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    match units.iter().find(|(factor, _)| millis != 0 && millis.is_multiple_of(*factor)) {
        Some((factor, unit)) => format!("{}{unit}", millis / factor),
        None if millis == 0 => "0s".to_owned(),
        None => format!("{millis}ms"),
    }
}

/// A number of bytes in its largest whole unit, as [`size`] reads it.
pub(super) fn show_size(bytes: usize) -> String {
    match [(1 << 20, "MiB"), (1 << 10, "KiB")]
        .iter()
        .find(|(factor, _)| bytes != 0 && bytes.is_multiple_of(*factor))
    {
        Some((factor, unit)) => format!("{}{unit}", bytes / factor),
        None => bytes.to_string(),
    }
}

/// A TOML string.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A TOML array of strings.
pub(super) fn quote_list(items: &[String]) -> String {
    let quoted: Vec<_> = items.iter().map(|item| quote(item)).collect();
    format!("[{}]", quoted.join(", "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn env(text: &str) -> Raw {
        Raw::Env(text.to_owned())
    }

    #[test]
    fn durations_are_read_with_their_unit() {
        let read = duration(Duration::ZERO..=Duration::from_secs(30 * 86_400));
        let cases =
            [("500ms", 500), ("10s", 10_000), (" 10 m ", 600_000), ("2h", 7_200_000), ("30d", 2_592_000_000)];
        for (text, millis) in cases {
            assert_eq!(read(&env(text)).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in
            ["", "10", "s", "-1s", "1.5s", "31d", "10S", "10 fortnights", "99999999999999999999s", "٣s"]
        {
            assert!(read(&env(text)).is_err(), "{text}");
        }
        assert!(duration(Duration::ZERO..=Duration::MAX)(&env("18446744073709551615d")).is_err());
        assert!(read(&Raw::Toml(toml::Value::Integer(10))).is_err(), "a bare number has no unit");
    }

    #[test]
    fn sizes_are_read_with_their_unit() {
        let read = size(1..=1 << 24);
        for (text, bytes) in [("64KiB", 65_536), ("1MiB", 1 << 20), ("100", 100), ("7B", 7)] {
            assert_eq!(read(&env(text)).unwrap(), bytes, "{text}");
        }
        assert_eq!(read(&Raw::Toml(toml::Value::Integer(100))).unwrap(), 100);
        for text in ["", "0", "64kb", "1MB", "17MiB", "-5", "1.5MiB"] {
            assert!(read(&env(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_back() {
        for millis in [0, 1, 999, 1_000, 1_500, 60_000, 3_600_000, 86_400_000, 90_000] {
            let span = Duration::from_millis(millis);
            assert_eq!(duration(Duration::ZERO..=Duration::MAX)(&env(&show_duration(span))).unwrap(), span);
        }
        for bytes in [0, 1, 1023, 1024, 1 << 20, (1 << 20) + 1] {
            assert_eq!(size(0..=usize::MAX)(&env(&show_size(bytes))).unwrap(), bytes);
        }
        for text in ["", "a \"b\" \\c", "tab\tnewline\nnul\0 é 😀"] {
            let table: toml::Table = format!("x = {}", quote(text)).parse().unwrap();
            assert_eq!(table["x"].as_str(), Some(text));
        }
    }

    #[test]
    fn lists_come_as_arrays_or_with_commas() {
        let read = list(|item| Ok(item.to_owned()));
        assert_eq!(read(&env("a, b,,c")).unwrap(), ["a", "b", "c"]);
        assert!(read(&env("")).unwrap().is_empty());
        let array: toml::Table = "x = [\"a\", \"b\"]\ny = [1]".parse().unwrap();
        assert_eq!(read(&Raw::Toml(array["x"].clone())).unwrap(), ["a", "b"]);
        assert!(read(&Raw::Toml(array["y"].clone())).is_err());
    }

    #[test]
    fn integers_stay_within_bounds() {
        let read = integer::<u32>(1..=16);
        assert_eq!(read(&env("16")).unwrap(), 16);
        assert_eq!(read(&Raw::Toml(toml::Value::Integer(1))).unwrap(), 1);
        for text in ["0", "17", "", "0x10", "1e1", "99999999999999999999"] {
            assert!(read(&env(text)).is_err(), "{text}");
        }
        assert!(read(&Raw::Toml(toml::Value::Boolean(true))).is_err());
        assert!(integer::<u8>(0..=1000)(&env("256")).is_err(), "the type's own bounds hold too");
    }
}
