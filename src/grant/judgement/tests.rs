use proptest::prelude::*;

use super::Judgement::{Current, Expired, FromFuture, Replay, Retry, Revoked, Rotate};
use super::*;
use crate::account::UserId;
use crate::caller::Caller;
use crate::config::{Config, Tokens};
use crate::grant::Given;

const T: i64 = 2_000_000_000;
const GRACE: u64 = 30;

fn lives() -> Tokens {
    Config::default().tokens
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(T + seconds)
}

/// Given and last rotated at `T`, in its fifth generation.
fn grant() -> Grant {
    let given = Given {
        user: UserId::random(),
        client_id: "first-party".to_owned(),
        scope: "a".parse().unwrap(),
        root_key_id: "1-00000000".to_owned(),
        caller: Caller::default(),
    };
    Grant { generation: 5, ..Grant::new(given, &lives(), at(0)) }
}

fn judged(grant: &Grant, generation: u64, seconds: i64, grace: u64) -> Judgement {
    judge(grant, generation, at(seconds), Duration::from_secs(grace))
}

#[test]
fn the_table_of_cases() {
    let idle = 14 * 86_400;
    let cases = [
        (5, 0, GRACE, Current),
        (5, 29, GRACE, Current),
        (5, 30, GRACE, Rotate),
        (5, -3600, GRACE, Current),
        (5, idle - 1, GRACE, Rotate),
        (5, idle, GRACE, Expired),
        (4, 0, GRACE, Retry),
        (4, 29, GRACE, Retry),
        (4, 30, GRACE, Replay),
        (4, -3600, GRACE, Retry),
        (4, idle - 1, GRACE, Replay),
        (4, idle, GRACE, Expired),
        (3, 0, GRACE, Replay),
        (3, -3600, GRACE, Replay),
        (0, idle, GRACE, Expired),
        (6, 0, GRACE, FromFuture),
        (u64::MAX, 100, GRACE, FromFuture),
        (6, idle, GRACE, Expired),
        // No grace: each use rotates, and a lost answer is not forgiven.
        (5, 0, 0, Rotate),
        (5, -3600, 0, Rotate),
        (4, 0, 0, Replay),
        (4, -3600, 0, Replay),
    ];
    for (generation, seconds, grace, expected) in cases {
        let found = judged(&grant(), generation, seconds, grace);
        assert_eq!(found, expected, "generation {generation} at {seconds} with a grace of {grace}");
    }
}

#[test]
fn the_first_generation_has_none_before_it() {
    let first = Grant { generation: 0, ..grant() };
    assert_eq!(judged(&first, 0, 0, GRACE), Current);
    assert_eq!(judged(&first, u64::MAX, 0, GRACE), FromFuture);
}

#[test]
fn the_last_deadline_holds_though_the_idle_one_does_not() {
    let late = Grant { expires_at: at(100), idle_until: at(1000), ..grant() };
    assert_eq!([judged(&late, 5, 99, GRACE), judged(&late, 5, 100, GRACE)], [Rotate, Expired]);
}

#[test]
fn a_grace_that_was_lengthened_ends_with_the_tokens_of_the_generation() {
    // Tokens lived 60 seconds and the grace was 30: the last one lives until 90.
    let short = Grant { bit_until: at(30 + 60 + 120), ..grant() };
    assert_eq!(short.tokens_until(), at(90));
    assert_eq!([89, 90].map(|now| judged(&short, 5, now, 300)), [Current, Rotate]);
    assert_eq!([89, 90].map(|now| judged(&short, 4, now, 300)), [Retry, Replay]);
}

#[test]
fn a_rotation_moves_no_last_deadline_and_shortens_no_bit() {
    let before = grant();
    let almost_over = at(90 * 86_400 - 60);
    let after = Grant { idle_until: before.expires_at, ..before.clone() }.rotated(
        &lives(),
        Caller::default(),
        almost_over,
    );
    assert_eq!((after.generation, after.rotated_at), (6, almost_over));
    assert_eq!((after.expires_at, after.idle_until), (before.expires_at, before.expires_at));
    assert_eq!(after.bit_until, almost_over.plus(Duration::from_secs(600 + 30 + 120)));
    assert_eq!(after.tokens_until(), before.expires_at);
    let set_back = after.rotated(&lives(), Caller::default(), at(0));
    assert_eq!((set_back.rotated_at, set_back.bit_until), (at(0), after.bit_until));
}

fn any_grant() -> impl Strategy<Value = Grant> {
    let idle = 1_i64..2_000_000;
    (0_u64..6, -100_i64..1_000_000, idle, any::<bool>(), 0_i64..500).prop_map(
        |(generation, rotated, idle, is_revoked, bit)| Grant {
            generation,
            rotated_at: at(rotated),
            idle_until: at(rotated + idle),
            expires_at: at(1_000_000),
            revoked_at: is_revoked.then(|| at(0)),
            bit_until: at(rotated + 120 + bit),
            ..grant()
        },
    )
}

proptest! {
    #[test]
    fn only_a_token_that_would_otherwise_be_good_revokes_or_rotates(
        grant in any_grant(), generation in 0_u64..8, now in -5_000_i64..2_000_000, grace in 0_u64..=300,
    ) {
        let judgement = judged(&grant, generation, now, grace);
        let has_ended = grant.revoked_at.is_some() || at(now) >= grant.idle_until || at(now) >= grant.expires_at;
        prop_assert_eq!(has_ended, matches!(judgement, Revoked | Expired));
        if !has_ended {
            let is_older = generation < grant.generation;
            prop_assert_eq!(is_older, matches!(judgement, Retry | Replay));
            prop_assert_eq!(generation > grant.generation, judgement == FromFuture);
        }
        // Whoever is given an access token without a rotation gets one that lives.
        if matches!(judgement, Current | Retry) {
            prop_assert!(at(now) < grant.tokens_until());
            prop_assert!(generation + 1 >= grant.generation);
        }
        if grace == 0 {
            prop_assert!(!matches!(judgement, Current | Retry));
        }
    }

    #[test]
    fn after_a_rotation_the_old_token_is_a_retry_for_the_grace_and_a_replay_after_it(
        grant in any_grant(), now in 0_i64..900_000, later in -100_i64..1_000,
    ) {
        let mut lives = lives();
        lives.refresh_grace = Duration::from_secs(GRACE);
        if judged(&grant, grant.generation, now, GRACE) == Rotate {
            let after = grant.rotated(&lives, Caller::default(), at(now));
            let judgement = judged(&after, grant.generation, now + later, GRACE);
            let expected = if at(now + later) >= after.expires_at { Expired }
                else if later < 30 { Retry } else { Replay };
            prop_assert_eq!(judgement, expected);
            prop_assert!(after.idle_until <= after.expires_at && after.expires_at == grant.expires_at);
            prop_assert!(after.bit_until >= grant.bit_until);
        }
    }
}
