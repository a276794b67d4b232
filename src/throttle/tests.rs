//! The rules by example.

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW.as_seconds() + seconds)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn strangers() -> Rule {
    Rule::strangers(&Throttle::default())
}

#[test]
fn strangers_wait_longer_after_each_try_and_then_for_good() {
    let waits = [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
    let mut counter = Counter::none(NOW);
    let mut now = 0;
    for try_number in 1..=100_u32 {
        counter = strangers().charge(&counter, at(now)).unwrap();
        assert_eq!(counter.tries, try_number);
        let wait = waits.get(try_number as usize - 1).copied().unwrap_or(900);
        assert_eq!(counter.free_at, at(now + wait), "after try {try_number}");
        if try_number < 100 {
            assert_eq!(counter.expires_at, Some(at(now).plus(KEPT)));
            if wait > 0 {
                let refused = strangers().charge(&counter, at(now + wait - 1)).unwrap_err();
                assert_eq!(refused, Refused { retry_after: seconds(1), is_locked: false });
            }
            now += wait;
        }
    }
    assert_eq!(counter.expires_at, None, "nothing but an unlock or a new password ends it");
    for later in [0, 900, 400 * 86_400] {
        let refused = strangers().check(&counter, at(now + later)).unwrap_err();
        assert_eq!(refused, Refused { retry_after: seconds(900), is_locked: true });
    }
}

#[test]
fn a_device_at_its_limit_is_forgotten_when_its_proof_is_void() {
    let rule = Rule::device(&Throttle::default(), seconds(180 * 86_400));
    let counter = Counter { tries: 99, free_at: NOW, expires_at: Some(at(10)) };
    let counter = rule.charge(&counter, NOW).unwrap();
    assert!(rule.check(&counter, at(180 * 86_400 - 1)).unwrap_err().is_locked);
    rule.check(&counter, at(180 * 86_400)).unwrap();
}

#[test]
fn a_count_that_has_expired_is_none() {
    let counter = Counter { tries: 50, free_at: at(10), expires_at: Some(at(20)) };
    strangers().check(&counter, at(9)).unwrap_err();
    assert_eq!(strangers().charge(&counter, at(19)).unwrap().tries, 51);
    assert_eq!(strangers().charge(&counter, at(20)).unwrap().tries, 1);
}

#[test]
fn an_address_has_a_burst_and_then_one_try_a_minute() {
    let rule = Rule::Bucket { burst: 3, refill: seconds(60) };
    // When, and the wait if it is refused.
    let cases = [
        (0, None),
        (0, None),
        (1, None),
        (1, Some(59)),
        (59, Some(1)),
        (60, None),
        (60, Some(60)),
        (119, Some(1)),
        (240, None),
        (240, None),
        (240, None),
        (240, Some(60)),
    ];
    let mut counter = Counter::none(NOW);
    for (index, (when, wait)) in cases.into_iter().enumerate() {
        match rule.charge(&counter, at(when)) {
            Ok(charged) => {
                assert_eq!(wait, None, "case {index}");
                counter = charged;
            }
            Err(refused) => {
                assert_eq!(Some(refused.retry_after.as_secs()), wait, "case {index}");
                assert!(!refused.is_locked);
            }
        }
    }
    // Full again: as if it had never tried.
    assert_eq!(rule.charge(&counter, counter.expires_at.unwrap()).unwrap().tries, 1);
}

#[test]
fn a_clock_that_was_set_back_keeps_nobody_out() {
    let year = 365 * 86_400;
    // The tries of a row stay: nobody gets more of them.
    let counter = Counter { tries: 50, free_at: at(year + 900), expires_at: Some(at(year).plus(KEPT)) };
    assert_eq!(strangers().charge(&counter, NOW).unwrap().tries, 51);
    let locked = Counter { tries: 100, expires_at: None, ..counter };
    assert!(strangers().check(&locked, NOW).unwrap_err().is_locked);
    let bucket = Rule::Bucket { burst: 3, refill: seconds(60) };
    let empty = (0..3).fold(Counter::none(NOW), |counter, _| bucket.charge(&counter, at(year)).unwrap());
    bucket.check(&empty, at(year)).unwrap_err();
    assert_eq!(bucket.charge(&empty, NOW).unwrap().tries, 1);

    // Replicas whose clocks are apart by less than the wait gain nothing.
    let counter = Counter { tries: 50, free_at: at(1800), expires_at: None };
    assert_eq!(strangers().check(&counter, NOW).unwrap_err().retry_after, seconds(1800));
    bucket.check(&empty, at(year - 180)).unwrap_err();
}

#[test]
fn a_try_that_was_not_made_is_given_back() {
    let rule = strangers();
    let first = rule.charge(&Counter::none(NOW), NOW).unwrap();
    assert_eq!(first.less_one(&first, at(1)), None, "nothing is left");

    let before = Counter { tries: 7, free_at: NOW, expires_at: Some(at(1_000)) };
    let charged = rule.charge(&before, NOW).unwrap();
    let back = charged.less_one(&charged, at(1)).unwrap();
    assert_eq!((back.tries, back.free_at), (7, at(1)));

    // Somebody else has tried meanwhile: their wait stands.
    let wait = charged.free_at.as_seconds() - NOW.as_seconds();
    let later = rule.charge(&charged, at(wait)).unwrap();
    let back = later.less_one(&charged, at(wait)).unwrap();
    assert_eq!((back.tries, back.free_at), (8, later.free_at));

    // The try that reached the limit.
    let before = Counter { tries: 99, free_at: NOW, expires_at: Some(at(1_000)) };
    let charged = rule.charge(&before, NOW).unwrap();
    rule.check(&charged, at(1_000)).unwrap_err();
    let back = charged.less_one(&charged, at(5)).unwrap();
    rule.check(&back, at(5)).unwrap();
    assert!(back.expires_at.is_some());
}

#[test]
fn no_setting_and_no_stored_number_overflows() {
    let settings = Throttle {
        free_tries: 1,
        longest_delay: Duration::MAX,
        account_limit: u32::MAX,
        address_sign_ins: u32::MAX,
        address_registrations: 1,
    };
    let far = Timestamp::from_seconds(i64::MAX);
    let early = Timestamp::from_seconds(i64::MIN);
    for rule in [
        Rule::strangers(&settings),
        Rule::device(&settings, Duration::MAX),
        Rule::sign_in_address(&settings),
        Rule::Bucket { burst: u32::MAX, refill: Duration::MAX },
        Rule::Bucket { burst: 0, refill: Duration::ZERO },
    ] {
        for (tries, free_at, expires_at) in [
            (0, early, None),
            (u32::MAX, far, Some(far)),
            (u32::MAX - 1, early, Some(early)),
            (40, early, None),
        ] {
            let counter = Counter { tries, free_at, expires_at };
            for now in [early, NOW, far] {
                let _ = rule.charge(&counter, now);
                let _ = counter.less_one(&counter, now);
            }
        }
    }
}

#[test]
fn one_subscriber_is_one_subject_and_kinds_do_not_mix() {
    let subject = |address: &str| Subject::sign_in_address(address.parse().unwrap());
    for (one, other, same) in [
        ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
        ("192.0.2.1", "::ffff:192.0.2.1", true),
        ("2001:db8::1", "2001:db8:0:0:ffff::1", true),
        ("2001:db8::1", "2001:db8:0:1::1", false),
    ] {
        assert_eq!(subject(one) == subject(other), same, "{one} {other}");
    }
    let address = "192.0.2.1".parse().unwrap();
    assert_ne!(Subject::sign_in_address(address), Subject::registration_address(address));
    let email = Email::parse("ann@example.com").unwrap();
    assert_ne!(Subject::strangers(&email), Subject::device(email.as_str().as_bytes()));
    let bytes = Subject::strangers(&email);
    assert!(!bytes.as_bytes().windows(3).any(|window| window == b"ann"));
}
