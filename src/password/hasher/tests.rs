//! What sign-in relies on.

use super::*;

const CHEAP: HashCost = HashCost { memory_kib: 64, iterations: 1, parallelism: 1 };

fn settings(cost: HashCost) -> Passwords {
    Passwords {
        min_length: 15,
        max_length: 256,
        cost,
        threads: 1,
        queue_per_thread: 40,
        kernel: signet_argon2id::Kernel::Auto,
        idle_memory_after: Duration::from_secs(10),
    }
}

fn password(text: &str) -> Password {
    Password::new(text.to_owned())
}

async fn verdict(hasher: &Hasher, text: &str, stored: Option<&str>) -> Verdict {
    hasher.verify(password(text), stored).await.unwrap()
}

#[tokio::test]
async fn a_hash_matches_its_password_alone_and_no_two_are_alike() {
    let hasher = Hasher::start(&settings(CHEAP)).unwrap();
    let first = hasher.hash(password("moonlit harbour")).await.unwrap();
    let second = hasher.hash(password("moonlit harbour")).await.unwrap();
    assert!(first.as_str().starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{}", first.as_str());
    assert_ne!(first.as_str(), second.as_str());
    assert_eq!(
        verdict(&hasher, "moonlit harbour", Some(first.as_str())).await,
        Verdict::Match { outdated: false }
    );
    assert_eq!(verdict(&hasher, "moonlit harbor", Some(first.as_str())).await, Verdict::Mismatch);
    assert_eq!(verdict(&hasher, "moonlit harbour", None).await, Verdict::Mismatch);
}

#[tokio::test]
async fn hashes_are_those_of_the_argon2_crate() {
    let hasher = Hasher::start(&settings(CHEAP)).unwrap();
    let stored = hasher.hash(password("moonlit harbour")).await.unwrap();
    let parsed = argon2::PasswordHash::new(stored.as_str()).unwrap();
    argon2::PasswordVerifier::verify_password(&argon2::Argon2::default(), b"moonlit harbour", &parsed)
        .unwrap();
}

#[tokio::test]
async fn what_one_kernel_hashed_the_other_verifies() {
    let [auto, portable] = [Kernel::Auto, Kernel::Portable]
        .map(|kernel| Hasher::start(&Passwords { kernel, ..settings(CHEAP) }).unwrap());
    for (one, other) in [(&auto, &portable), (&portable, &auto)] {
        let stored = one.hash(password("moonlit harbour")).await.unwrap();
        assert_eq!(
            verdict(other, "moonlit harbour", Some(stored.as_str())).await,
            Verdict::Match { outdated: false }
        );
        assert_eq!(verdict(other, "moonlit harbor", Some(stored.as_str())).await, Verdict::Mismatch);
    }
}

#[tokio::test]
async fn a005_passwords_are_compared_exactly() {
    let hasher = Hasher::start(&settings(CHEAP)).unwrap();
    let long = |last: char| format!("{}{last}{}", "x".repeat(72), "y".repeat(30));
    let pairs = [
        ("moonlit harbour".to_owned(), " moonlit harbour".to_owned()),
        ("moonlit harbour".to_owned(), "moonlit harbour ".to_owned()),
        ("moonlit\0harbour".to_owned(), "moonlit\0".to_owned()),
        ("moonlit\0harbour".to_owned(), "moonlit".to_owned()),
        ("moonlit harbour".to_owned(), "Moonlit harbour".to_owned()),
        ("moonlit harbour 🦀".to_owned(), "moonlit harbour 🦞".to_owned()),
        (long('a'), long('b')),
        ("\u{fb01}ne moonlit harbour".to_owned(), "fine moonlit harbour".to_owned()),
    ];
    for (right, wrong) in pairs {
        let stored = hasher.hash(Password::new(right.clone())).await.unwrap();
        assert_eq!(verdict(&hasher, &right, Some(stored.as_str())).await, Verdict::Match { outdated: false });
        assert_eq!(verdict(&hasher, &wrong, Some(stored.as_str())).await, Verdict::Mismatch, "{wrong:?}");
    }
}

#[tokio::test]
async fn a005_the_same_characters_match_however_they_were_typed() {
    let hasher = Hasher::start(&settings(CHEAP)).unwrap();
    let stored = hasher.hash(password("caf\u{e9} \u{1e69}ur la place")).await.unwrap();
    for typed in ["cafe\u{301} s\u{323}\u{307}ur la place", "cafe\u{301} s\u{307}\u{323}ur la place"] {
        assert_eq!(verdict(&hasher, typed, Some(stored.as_str())).await, Verdict::Match { outdated: false });
    }
}

#[tokio::test]
async fn a002_an_older_hash_is_verified_with_its_own_cost_and_reported() {
    let older = Hasher::start(&settings(HashCost { memory_kib: 64, iterations: 1, parallelism: 2 })).unwrap();
    let stored = older.hash(password("moonlit harbour")).await.unwrap();
    for cost in [
        CHEAP,
        HashCost { memory_kib: 96, iterations: 3, parallelism: 1 },
        HashCost { memory_kib: 32, ..CHEAP },
    ] {
        let hasher = Hasher::start(&settings(cost)).unwrap();
        assert_eq!(
            verdict(&hasher, "moonlit harbour", Some(stored.as_str())).await,
            Verdict::Match { outdated: true }
        );
        assert_eq!(verdict(&hasher, "moonlit harbor", Some(stored.as_str())).await, Verdict::Mismatch);
    }
}

/// The work, because the time is made of it and can only be measured on an idle machine.
#[test]
fn a002_a_cheaper_hash_is_made_up_to_the_configured_cost() {
    let configured = HashCost { memory_kib: 19456, iterations: 2, parallelism: 1 };
    for (memory, iterations) in
        [(1024, 1), (4096, 3), (19456, 1), (9216, 4), (12288, 3), (19455, 2), (1031, 7)]
    {
        let stored = Params::new(memory, iterations, 1, None).unwrap();
        let made_up: u64 = missing_rounds(&stored, &configured)
            .iter()
            .flatten()
            .map(|params| work(params.m_cost(), params.t_cost()))
            .sum();
        let total = work(memory, iterations) + made_up;
        assert!((38912 - 8..=38912).contains(&total), "m={memory},t={iterations}: {total} KiB");
    }
    for (memory, iterations) in [(19456, 2), (65536, 3)] {
        let stored = Params::new(memory, iterations, 1, None).unwrap();
        assert!(missing_rounds(&stored, &configured).iter().all(Option::is_none));
    }
}

#[tokio::test]
async fn a003_hostile_stored_hashes_are_corrupt_and_end_nothing() {
    let hasher = Hasher::start(&settings(CHEAP)).unwrap();
    let good = hasher.hash(password("moonlit harbour")).await.unwrap().into_string();
    let with = |from: &str, to: &str| good.replacen(from, to, 1);
    let salt_to_end = &good[good.rfind(",p=1$").unwrap() + 5..];
    let (salt, output) = salt_to_end.split_once('$').unwrap();
    let hostile = [
        with("m=64", "m=16777216"),
        with("m=64", "m=4294967295"),
        with("m=64", "m=99999999999999999999"),
        with("t=1", "t=4294967295"),
        with("t=1", "t=0"),
        with("p=1", "p=16777215"),
        with("p=1", "p=0"),
        with("m=64", "m=8"),
        with("m=64", "m=-64"),
        with("m=64", "m=064"),
        with("m=64,", ""),
        with("m=64", "m=64,m=64"),
        with("p=1", "p=1,keyid=AAAA"),
        with("p=1", "p=1,data=AAAA"),
        with("argon2id", "argon2i"),
        with("argon2id", "argon2d"),
        with("argon2id", "ARGON2ID"),
        with("v=19", "v=16"),
        with("v=19$", ""),
        with("$argon2id", "argon2id"),
        with(output, ""),
        with(&format!("${output}"), ""),
        with(output, &output[..8]),
        with(output, &"A".repeat(400)),
        with(salt, ""),
        with(salt, "AAAA"),
        format!("{good}$"),
        format!("{good}\n"),
        format!(" {good}"),
        String::new(),
        "$".to_owned(),
        "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW".to_owned(),
        "$argon2id$v=19$m=64,t=1,p=1$пароль$пароль".to_owned(),
        "moonlit harbour".to_owned(),
        "\0".repeat(97),
        "$argon2id".repeat(1 << 17),
    ];
    for stored in hostile {
        let start = stored.chars().take(120).collect::<String>();
        assert_eq!(verdict(&hasher, "moonlit harbour", Some(&stored)).await, Verdict::Corrupt, "{start}");
    }
    assert_eq!(verdict(&hasher, "moonlit harbour", Some(&good)).await, Verdict::Match { outdated: false });
}

#[test]
fn a003_the_dummy_is_parsed_and_costed_at_the_start() {
    let hasher = Hasher::start(&settings(CHEAP)).unwrap();
    let dummy = Stored::parse(&hasher.dummy, &CHEAP).unwrap();
    assert!(!dummy.is_outdated(&CHEAP));
    for impossible in [
        HashCost { memory_kib: 7, ..CHEAP },
        HashCost { iterations: 0, ..CHEAP },
        HashCost { parallelism: 0, ..CHEAP },
    ] {
        assert!(matches!(Hasher::start(&settings(impossible)), Err(HasherError::Cost(_))));
    }
}

#[tokio::test]
async fn a133_a_stored_hash_is_no_password() {
    let hasher = Hasher::start(&settings(CHEAP)).unwrap();
    let stored = hasher.hash(password("moonlit harbour")).await.unwrap().into_string();
    for replayed in stored.split('$').chain([stored.as_str()]) {
        assert_eq!(verdict(&hasher, replayed, Some(&stored)).await, Verdict::Mismatch);
    }
    assert_eq!(verdict(&hasher, &hasher.dummy, None).await, Verdict::Mismatch);
}

#[tokio::test]
async fn a_full_queue_is_busy() {
    let cost = HashCost { memory_kib: 19456, iterations: 4, parallelism: 1 };
    let hasher = Hasher::start(&Passwords { queue_per_thread: 2, ..settings(cost) }).unwrap();
    let first = {
        let waiting: Vec<_> = (0..5)
            .map(|_| {
                let hasher = hasher.clone();
                tokio::spawn(async move { hasher.hash(password("moonlit harbour")).await })
            })
            .collect();
        let mut answers = Vec::new();
        for answer in waiting {
            answers.push(answer.await.unwrap());
        }
        answers
    };
    let busy = first.iter().filter(
        |answer| matches!(answer, Err(HashError::Busy { retry_after }) if retry_after.as_secs() >= 1),
    );
    // One may be running while two wait.
    assert!((2..=3).contains(&busy.count()), "{first:?}");
    assert!(hasher.hash(password("moonlit harbour")).await.is_ok());
}

#[tokio::test]
async fn callers_that_hang_up_never_fill_the_queue() {
    let cost = HashCost { memory_kib: 19456, iterations: 4, parallelism: 1 };
    let hasher = Hasher::start(&Passwords { queue_per_thread: 1, ..settings(cost) }).unwrap();
    for _ in 0..100 {
        let dropped = futures_util::FutureExt::now_or_never(hasher.hash(password("moonlit harbour")));
        assert!(dropped.is_none(), "{dropped:?}");
    }
    assert!(hasher.hash(password("moonlit harbour")).await.is_ok());
}

/// Run as a process of its own, so that no other test's memory is in the figures.
#[cfg(target_os = "linux")]
#[test]
fn the_memory_goes_back_to_the_kernel() {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "--nocapture",
            "password::hasher::tests::resident_memory_falls_when_idle",
        ])
        .output()
        .unwrap();
    let printed =
        String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && printed.contains("1 passed"), "{printed}");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "needs a process of its own: run by the_memory_goes_back_to_the_kernel"]
fn resident_memory_falls_when_idle() {
    let resident_kib = || -> i64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let cost = HashCost { memory_kib: 19456, iterations: 1, parallelism: 1 };
    let hasher =
        Hasher::start(&Passwords { threads: 2, idle_memory_after: Duration::from_secs(1), ..settings(cost) })
            .unwrap();
    let at_rest = resident_kib();
    for round in 1..=3 {
        let peak = runtime.block_on(async {
            let (a, b) = (hasher.hash(password("moonlit harbour")), hasher.hash(password("moonlit harbour")));
            let (a, b) = tokio::join!(a, b);
            for hashed in [a, b] {
                hashed.unwrap();
            }
            resident_kib()
        });
        let block = 2 * i64::from(cost.memory_kib);
        assert!(peak - at_rest > block * 4 / 10, "round {round}: {at_rest} KiB, then {peak} KiB");
        let patience = std::time::Instant::now() + Duration::from_secs(60);
        while resident_kib() - at_rest > block / 10 {
            assert!(
                std::time::Instant::now() < patience,
                "round {round}: {peak} KiB, still {} KiB",
                resident_kib()
            );
            std::thread::yield_now();
        }
        println!("round {round}: at rest {at_rest} KiB, busy {peak} KiB, idle {} KiB", resident_kib());
    }
}
