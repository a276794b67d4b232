//! The root key file, its races and its faults.

use std::sync::Barrier;

use proptest::prelude::*;

use super::*;
use crate::config::RootKeyValue;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const OTHER: &str = "IAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn value(text: &str) -> Result<RootKeys, RootKeyError> {
    RootKeys::load(&RootKeySource::Value(RootKeyValue::new(text.to_owned()))).map(Option::unwrap)
}

fn file(path: &Path) -> RootKeySource {
    RootKeySource::File(path.to_owned())
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_new_file_is_read_back_and_explains_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys/root.key");
    assert!(RootKeys::load(&file(&path)).unwrap().is_none());
    let made = RootKeys::create(&path).unwrap();
    let read = RootKeys::load(&file(&path)).unwrap().unwrap();
    assert_eq!(made.active().id(), read.active().id());
    assert!(made.active().id().to_string().starts_with("1-"));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("# ") && text.contains("Back it up"), "{text}");
    let left: Vec<_> = std::fs::read_dir(folder.path().join("keys")).unwrap().collect();
    assert_eq!(left.len(), 1, "a temporary file is left: {left:?}");
}

#[test]
fn a_second_create_keeps_the_first_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    let first = RootKeys::create(&path).unwrap().active().id();
    assert_eq!(RootKeys::create(&path).unwrap().active().id(), first);
}

#[test]
fn racing_creators_end_with_one_key() {
    const RACERS: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let path = folder.path().join(format!("{round}/root.key"));
        let barrier = Barrier::new(RACERS);
        let ids: Vec<RootKeyId> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..RACERS)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        RootKeys::create(&path).unwrap().active().id()
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
}

#[cfg(unix)]
#[test]
fn a134_a_root_key_that_others_can_read_is_refused_with_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys/root.key");
    RootKeys::create(&path).unwrap();
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    for lax in [0o640, 0o604, 0o602, 0o660, 0o644, 0o777, 0o610] {
        set_mode(&path, lax);
        let refusal = RootKeys::load(&file(&path)).unwrap_err();
        assert!(matches!(refusal, RootKeyError::Exposed { mode, .. } if mode == lax), "{lax:o}");
        assert!(refusal.to_string().contains(&format!("run: chmod 600 {}", path.display())), "{refusal}");
        assert!(RootKeys::create(&path).is_err(), "an exposed key is not replaced either");
    }
    set_mode(&path, 0o400);
    assert!(RootKeys::load(&file(&path)).unwrap().is_some());
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_without_waiting_for_it() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(RootKeys::load(&file(folder.path())), Err(RootKeyError::NotAFile { .. })));
    assert!(matches!(RootKeys::load(&file(Path::new("/dev/null"))), Err(RootKeyError::NotAFile { .. })));
    let below_a_file = folder.path().join("plain/root.key");
    std::fs::write(folder.path().join("plain"), "").unwrap();
    assert!(matches!(RootKeys::load(&file(&below_a_file)), Err(RootKeyError::Read { .. })));
    assert!(matches!(RootKeys::create(&below_a_file), Err(RootKeyError::Write { .. })));
}

#[test]
fn a_damaged_file_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    RootKeys::create(&path).unwrap();
    for damaged in ["", "# only words\n", "1 short\n", "\u{0}\u{1}"] {
        std::fs::write(&path, damaged).unwrap();
        assert!(RootKeys::load(&file(&path)).is_err(), "{damaged:?}");
        assert!(RootKeys::create(&path).is_err(), "{damaged:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged);
    }
    std::fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
    assert!(matches!(RootKeys::load(&file(&path)), Err(RootKeyError::Read { .. })));
}

#[test]
fn the_environment_value_is_one_line_with_a_colon() {
    let from_value = value(&format!("1:{KEY}")).unwrap();
    assert_eq!(from_value.active().id(), RootKeys::parse(&format!("1 {KEY}"), "test").unwrap().active().id());
    for refused in ["", ":", "1:", KEY, &format!("1:{KEY}x"), &format!("1:{}", &KEY[1..])] {
        let problem = value(refused).unwrap_err().to_string();
        assert!(problem.contains("SIGNET_ROOT_KEY"), "{problem}");
        assert!(
            refused.len() < 9 || !problem.contains(&refused[2..]),
            "the key is in the message: {problem}"
        );
    }
}

#[test]
fn lines_that_are_no_root_key_are_refused_by_number() {
    let zero = "A".repeat(43);
    for (line, part) in [
        (format!("0 {KEY}"), "number"),
        (format!("01 {KEY}"), "number"),
        (format!("+1 {KEY}"), "number"),
        (format!("4294967296 {KEY}"), "too large"),
        (format!("1\t{KEY}"), "expected"),
        (format!("1  {KEY}"), "expected"),
        (format!("1 {KEY}="), "expected"),
        (format!("1 {}", KEY.replace('A', "+")), "expected"),
        (format!("1 {}", &KEY[..42]), "expected"),
        (format!("1 {}9", &KEY[..42]), "expected"),
        (format!("1 {zero}"), "over and over"),
        (format!("1 {}", "_".repeat(42) + "8"), "over and over"),
        (format!("1 {OTHER}\n1 {KEY}"), "twice"),
        (format!("1 {KEY}\n2 {KEY}"), "twice"),
    ] {
        let problem = RootKeys::parse(&format!("# comment\n\n{line}\n"), "root.key").unwrap_err().to_string();
        let at = 2 + line.lines().count();
        assert!(
            problem.starts_with(&format!("root.key, line {at}:")) && problem.contains(part),
            "{line}: {problem}"
        );
        assert!(!problem.contains(&KEY[..20]), "{problem}");
    }
}

#[test]
fn the_first_key_is_active_and_the_others_are_found_by_name() {
    let keys = RootKeys::parse(&format!("7 {KEY}\r\n# added later\n8 {OTHER}"), "test").unwrap();
    let both = RootKeys::parse(&format!("8 {OTHER}"), "test").unwrap();
    let second = both.active().id();
    assert!(keys.active().id().to_string().starts_with("7-"));
    assert_eq!(keys.by_id(&second).unwrap().id(), second);
    assert!(both.by_id(&keys.active().id()).is_none());
}

#[test]
fn a131_another_key_of_the_same_number_is_not_taken_for_the_one_needed() {
    let here = RootKeys::parse(&format!("1 {KEY}"), "test").unwrap();
    let needed = RootKeys::parse(&format!("1 {OTHER}"), "test").unwrap().active().id();
    assert_ne!(here.active().id(), needed);
    assert!(here.by_id(&needed).is_none());
}

#[test]
fn the_fingerprint_is_hkdf_and_never_part_of_the_key() {
    // Computed apart: HKDF-SHA256, salt `signet/v1`, info `id`, 4 bytes.
    let id = RootKeys::parse(&format!("1 {KEY}"), "test").unwrap().active().id();
    assert_eq!(id.to_string(), "1-d7a141b8");
    assert_eq!("1-d7a141b8".parse(), Ok(id));
    for odd in
        ["", "1", "1-", "-1-00000000", "+1-00000000", "01-00000000", "1-0000000", "1-0000000g", "1-ABCDEF00"]
    {
        assert_eq!(odd.parse::<RootKeyId>(), Err(InvalidRootKeyId), "{odd}");
    }
}

#[test]
fn debug_shows_the_name_alone() {
    let keys = RootKeys::parse(&format!("1 {KEY}"), "test").unwrap();
    assert_eq!(format!("{keys:?}"), format!("RootKeys([RootKey({})])", keys.active().id()));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "(\\PC|\n){0,300}") {
        let _ = RootKeys::parse(&text, "test");
    }

    #[test]
    fn nearly_right_lines_never_panic_and_what_parses_is_usable(
        lines in proptest::collection::vec("[0-9]{0,11}[ :\t]{0,2}[A-Za-z0-9_=-]{41,45}", 0..4),
    ) {
        if let Ok(keys) = RootKeys::parse(&lines.join("\n"), "test") {
            prop_assert!(keys.by_id(&keys.active().id()).is_some());
        }
    }

    #[test]
    fn ids_print_as_they_parse(text in "[0-9]{1,10}-[0-9a-f]{8}") {
        if let Ok(id) = text.parse::<RootKeyId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }
}

#[test]
fn an_added_key_is_the_last_of_the_file_and_changes_nothing_until_it_is_put_and_activated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    RootKeys::create(&path).unwrap();
    // A person's last line, without an end, and a number of its own.
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str(&format!("7 {OTHER}"));
    std::fs::write(&path, &text).unwrap();
    let before = RootKeys::load(&file(&path)).unwrap().unwrap();

    drop(RootKeys::prepare_addition(&file(&path)).unwrap());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let added = RootKeys::prepare_addition(&file(&path)).unwrap().put().unwrap();
    assert_eq!(added.number(), 8);
    let mut after = RootKeys::load(&file(&path)).unwrap().unwrap();
    assert_eq!(after.ids(), [before.ids(), vec![added.to_string()]].concat());
    assert!(std::fs::read_to_string(&path).unwrap().starts_with(&text));
    #[cfg(unix)]
    assert_eq!(mode(&path), 0o600);

    assert!(!after.activate("8-00000000"));
    assert!(after.activate(&added.to_string()));
    assert_eq!(after.ids(), [vec![added.to_string()], before.ids()].concat());
    assert_eq!(after.active().id(), added);
    assert_eq!(after.by_number(7).unwrap().id().to_string(), before.ids()[1]);
}

#[test]
fn nothing_is_added_to_a_file_that_others_can_read_is_broken_or_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    let refused = || RootKeys::prepare_addition(&file(&path)).err().unwrap();
    assert!(matches!(refused(), RootKeyError::Empty { .. }));
    std::fs::write(&path, "rubbish\n").unwrap();
    #[cfg(unix)]
    set_mode(&path, 0o600);
    assert!(matches!(refused(), RootKeyError::Malformed { .. }));
    #[cfg(unix)]
    {
        set_mode(&path, 0o644);
        assert!(matches!(refused(), RootKeyError::Exposed { .. }));
    }
    let value = RootKeySource::Value(RootKeyValue::new(format!("1:{KEY}")));
    let refused = RootKeys::prepare_addition(&value).err().unwrap().to_string();
    assert!(
        refused.contains("SIGNET_ROOT_KEY cannot be changed from here") && !refused.contains(KEY),
        "{refused}"
    );
}

#[test]
fn a_value_may_hold_several_keys() {
    let both = value(&format!("1:{KEY},2:{OTHER}")).unwrap();
    assert_eq!(both.ids().len(), 2);
    assert_eq!(both.active().id().number(), 1);
    assert!(value(&format!("1:{KEY},")).unwrap().ids().len() == 1);
    assert!(value(&format!("1:{KEY},2")).is_err() && value(&format!("1:{KEY}2:{OTHER}")).is_err());
}
