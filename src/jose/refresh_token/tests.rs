use signet_guard::Timestamp;

use super::*;
use crate::account::UserId;
use crate::caller::Caller;
use crate::config::{Config, RootKeySource, RootKeyValue};
use crate::grant::{Given, Seed};

const ONE: &str = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const OTHER: &str = "1:IAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn roots(line: &str) -> RootKeys {
    RootKeys::load(&RootKeySource::Value(RootKeyValue::new(line.to_owned()))).unwrap().unwrap()
}

fn keys() -> RefreshKeys {
    RefreshKeys::derive(&roots(ONE)).unwrap()
}

fn grant(keys: &RefreshKeys) -> Grant {
    let given = Given {
        user: UserId::random(),
        client_id: "first-party".to_owned(),
        scope: "a".parse().unwrap(),
        root_key_id: keys.active_root().to_string(),
        caller: Caller::default(),
    };
    Grant::new(given, &Config::default().tokens, Timestamp::from_seconds(2_000_000_000))
}

/// Which checks a text passes: it is one, it may be ours, it is of this grant.
fn passes(keys: &RefreshKeys, grant: &Grant, text: &str) -> [bool; 3] {
    let read = keys.read(text);
    [
        PresentedRefreshToken::parse(text).is_some(),
        read.is_some(),
        read.is_some_and(|presented| keys.verify(&presented, grant)),
    ]
}

#[test]
fn a_token_is_the_same_whenever_it_is_made_and_passes_for_its_grant() {
    let keys = keys();
    let grant = grant(&keys);
    for generation in [0, 1, 255, 1 << 40, u64::MAX] {
        let token = keys.mint(&grant, generation).unwrap();
        assert_eq!((token.as_str().len(), &token.as_str()[..4]), (96, "sgr_"));
        assert_eq!(token.as_str(), keys.mint(&grant, generation).unwrap().as_str());
        assert_eq!(passes(&keys, &grant, token.as_str()), [true; 3]);
        let presented = PresentedRefreshToken::parse(token.as_str()).unwrap();
        assert_eq!((presented.generation(), presented.claimed_grant()), (generation, &grant.id));
    }
}

#[test]
fn it_takes_the_seed_the_client_the_grant_and_the_root_key_of_its_birth() {
    let keys = keys();
    let ours = grant(&keys);
    let token = keys.mint(&ours, 3).unwrap();
    for other in [
        Grant { seed: Seed::random(), ..ours.clone() },
        Grant { client_id: "other".to_owned(), ..ours.clone() },
        Grant { root_key_id: "1-00000000".to_owned(), ..ours.clone() },
    ] {
        assert_eq!(passes(&keys, &other, token.as_str()), [true, true, false]);
    }
    let other = Grant { id: GrantId::random(), ..ours.clone() };
    assert_eq!(passes(&keys, &other, token.as_str()), [true, true, false], "another grant's row");
    // Whoever knows the row and another root key gets nowhere, whichever of the two it names.
    let elsewhere = RefreshKeys::derive(&roots(OTHER)).unwrap();
    let reborn = Grant { root_key_id: elsewhere.active_root().to_string(), ..ours.clone() };
    let forged = elsewhere.mint(&reborn, 3).unwrap();
    assert_eq!(passes(&keys, &ours, forged.as_str()), [true, false, false]);
    assert_eq!(passes(&elsewhere, &ours, token.as_str()), [true, false, false]);
    assert!(elsewhere.mint(&ours, 3).is_none(), "the root key of its birth is not there");
}

#[test]
fn a_grant_keeps_the_root_key_of_its_birth_when_another_becomes_active() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let line = |number: u32, line: &str| format!("{number} {}\n", line.split_once(':').unwrap().1);
    let before = keys();
    let grant = grant(&before);
    let token = before.mint(&grant, 1).unwrap();
    std::fs::write(file.path(), line(2, OTHER) + &line(1, ONE)).unwrap();
    let both = RootKeys::load(&RootKeySource::File(file.path().to_owned())).unwrap().unwrap();
    let after = RefreshKeys::derive(&both).unwrap();
    assert_ne!(after.active_root(), before.active_root());
    assert_eq!(passes(&after, &grant, token.as_str()), [true; 3]);
    assert_eq!(after.mint(&grant, 2).unwrap().as_str(), before.mint(&grant, 2).unwrap().as_str());
}

#[test]
fn a058_no_flipped_bit_no_changed_case_and_no_other_length_passes() {
    let keys = keys();
    let grant = grant(&keys);
    let token = keys.mint(&grant, 7).unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(&token.as_str()[4..]).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let text = format!("sgr_{}", URL_SAFE_NO_PAD.encode(&flipped));
        let [_, may_be_ours, verified] = passes(&keys, &grant, &text);
        assert!(!verified, "bit {bit}");
        // Only the tag is left for the second check to look at.
        assert_eq!(may_be_ours, bit / 8 >= BYTES - TAG_BYTES, "bit {bit}");
    }
    let text = token.as_str();
    let swapped =
        |c: char| if c.is_ascii_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() };
    for (at, c) in text.char_indices() {
        if swapped(c) != c {
            let changed = format!("{}{}{}", &text[..at], swapped(c), &text[at + 1..]);
            assert!(!passes(&keys, &grant, &changed)[2], "case at {at}");
        }
        for other in ["+", "/", "=", "é", "\0", " ", ""] {
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert!(PresentedRefreshToken::parse(&changed).is_none(), "{at} {other:?}");
        }
        assert!(PresentedRefreshToken::parse(&text[..at]).is_none(), "{at} characters");
    }
    for changed in [
        format!("{text}A"),
        format!("{text}="),
        format!("{text}\n"),
        format!(" {text}"),
        text.to_uppercase(),
        text.to_lowercase(),
        text.replacen("sgr_", "sgd_", 1),
        text[4..].to_owned(),
        String::new(),
    ] {
        assert!(!passes(&keys, &grant, &changed)[2], "{changed}");
    }
}

#[test]
fn nothing_of_it_is_printed() {
    let keys = keys();
    let token = keys.mint(&grant(&keys), 1).unwrap();
    let presented = PresentedRefreshToken::parse(token.as_str()).unwrap();
    let printed = [format!("{keys:?}"), format!("{token:?}"), format!("{presented:?}")];
    assert_eq!(printed, ["RefreshKeys(***)", "RefreshToken(***)", "PresentedRefreshToken(***)"]);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_is_no_token(text: String) {
        let _ = PresentedRefreshToken::parse(&text);
        let _ = PresentedRefreshToken::parse(&format!("sgr_{text}"));
    }

    #[test]
    fn any_bytes_of_the_right_length_are_no_token_of_ours(bytes: [u8; BYTES]) {
        let keys = keys();
        let text = format!("sgr_{}", URL_SAFE_NO_PAD.encode(bytes));
        proptest::prop_assert!(!passes(&keys, &grant(&keys), &text)[1]);
        let ours = [&[FORMAT][..], &bytes[1..]].concat();
        let text = format!("sgr_{}", URL_SAFE_NO_PAD.encode(ours));
        proptest::prop_assert_eq!(passes(&keys, &grant(&keys), &text), [true, false, false]);
    }
}
