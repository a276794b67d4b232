//! How long an answer may be used: RFC 9111 §4.2, within bounds of our own.

use std::time::Duration;

/// The shortest life: an issuer that forbids all caching must not be asked at every turn.
pub(super) const LEAST_LIFE: Duration = Duration::from_secs(30);
/// The longest, unless the API chose another: how long a withdrawn key may stay in use.
pub(super) const MOST_LIFE: Duration = Duration::from_secs(5 * 60);

/// What the issuer says of the life of its answer: the `max-age` of `Cache-Control`, less the `Age` it already has.
/// `no-store` and `no-cache` leave nothing, and neither does an age that is no number (§4.2.1). `None` when it says nothing.
/// `s-maxage` is for caches that several share, which this is not.
pub(super) fn told<'a>(cache_control: impl Iterator<Item = &'a str>, age: Option<&str>) -> Option<Duration> {
    let mut told: Option<u64> = None;
    for directive in cache_control.flat_map(|value| value.split(',')) {
        let (name, value) = match directive.split_once('=') {
            Some((name, value)) => (name.trim(), value.trim()),
            None => (directive.trim(), ""),
        };
        let seconds = match name.to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => 0,
            "max-age" => seconds(value.trim_matches('"')).unwrap_or(0),
            _ => continue,
        };
        told = Some(told.map_or(seconds, |told| told.min(seconds)));
    }
    let age = age.and_then(|age| seconds(age.trim())).unwrap_or(0);
    told.map(|told| Duration::from_secs(told.saturating_sub(age)))
}

/// The life of an answer of which the issuer told this, when it may be `most`.
pub(super) fn life(told: Option<Duration>, most: Duration) -> Duration {
    let most = most.max(LEAST_LIFE);
    told.unwrap_or(most).clamp(LEAST_LIFE, most)
}

/// `delta-seconds`: digits alone, as many as they like (§1.2.2).
fn seconds(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_life_is_what_the_issuer_says_within_bounds() {
        for (cache_control, age, told_seconds, life_seconds) in [
            (&[][..], None, None, 300),
            (&["public"], None, None, 300),
            (&["max-age=120"], None, Some(120), 120),
            (&["public, MAX-AGE=120, must-revalidate"], None, Some(120), 120),
            (&["public", "max-age=\"60\""], None, Some(60), 60),
            (&["max-age=86400"], None, Some(86_400), 300),
            (&["max-age=99999999999999999999999"], None, Some(u64::MAX), 300),
            (&["max-age=0"], None, Some(0), 30),
            (&["max-age=-1"], None, Some(0), 30),
            (&["max-age"], None, Some(0), 30),
            (&["max-age=120, max-age=60"], None, Some(60), 60),
            (&["s-maxage=60"], None, None, 300),
            (&["no-cache, max-age=120"], None, Some(0), 30),
            (&["no-store"], None, Some(0), 30),
            (&["max-age=120"], Some("50"), Some(70), 70),
            (&["max-age=120"], Some("500"), Some(0), 30),
            (&["max-age=120"], Some("never"), Some(120), 120),
            (&[""], Some("50"), None, 300),
        ] {
            let found = told(cache_control.iter().copied(), age);
            assert_eq!(found, told_seconds.map(Duration::from_secs), "{cache_control:?} {age:?}");
            assert_eq!(life(found, MOST_LIFE).as_secs(), life_seconds, "{cache_control:?} {age:?}");
        }
        let hour = Duration::from_secs(3600);
        assert_eq!(life(Some(2 * hour), hour), hour);
        assert_eq!(life(None, Duration::ZERO), LEAST_LIFE);
    }
}
