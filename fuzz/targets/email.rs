//! E-mail addresses: what is accepted is its own normal form, and every spelling of it names the same account.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signet::account::Email;

fuzz_target!(|text: &str| {
    let Ok(email) = Email::parse(text) else { return };
    let normal = email.as_str();
    assert_eq!(Email::parse(normal).expect("a normal form is refused"), email);
    assert!(normal.is_ascii() && normal.len() <= Email::MAX_BYTES, "{normal:?}");
    assert!(
        !normal.bytes().any(|byte| byte.is_ascii_uppercase() || byte <= b' ' || byte == 0x7f),
        "{normal:?}"
    );
    assert_eq!(format!("{}@{}", email.local_part(), email.domain()), normal);
    for spelling in [normal.to_ascii_uppercase(), format!(" {normal}\t"), format!("\u{3000}{normal}\n")] {
        assert_eq!(Email::parse(&spelling).as_ref(), Ok(&email), "{spelling:?}");
    }
});
