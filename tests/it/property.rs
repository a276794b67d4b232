//! What holds for any input. The same readers under a search that learns: `fuzz/`.

use actix_web::http::Uri;
use actix_web::http::header::{HOST, HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde_json::{Map, Value};
use signet::account::Email;
use signet::config::{Config, ConfigSource};
use signet::http::extract::Fields;
use signet::http::middleware::host::{self, Target};

fn config(env: &[(&str, &str)]) -> Config {
    let file = tempfile::NamedTempFile::new().unwrap();
    load(file.path(), env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn load(file: &std::path::Path, env: Vec<(String, String)>) -> Config {
    Config::load(&ConfigSource { file: Some(file.to_owned()), env }).unwrap()
}

/// Addresses that are their own normal form.
fn normal_address() -> impl Strategy<Value = String> {
    let local = "[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,10}(\\.[a-z0-9+_-]{1,10}){0,2}";
    let domain = "[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?\\.(example|test|com)";
    (local, domain)
        .prop_map(|(local, domain)| format!("{local}@{domain}"))
        .prop_filter("hyphens in third and fourth place mean an encoded label", |address| {
            address.rsplit_once('@').is_some_and(|(_, domain)| domain.get(2..4) != Some("--"))
        })
}

/// The full-width twin of a printable ASCII character, which NFKC makes the same.
fn full_width(c: char) -> char {
    match u32::from(c) {
        code @ 0x21..=0x7e => char::from_u32(code + 0xfee0).unwrap(),
        _ => c,
    }
}

proptest! {
    #[test]
    fn an_accepted_address_is_its_own_normal_form(text in any::<String>(), near in "\\PC{1,20}@\\PC{1,20}") {
        for text in [text, near] {
            if let Ok(email) = Email::parse(&text) {
                prop_assert_eq!(Email::parse(email.as_str()), Ok(email.clone()));
                prop_assert!(email.as_str().is_ascii() && email.as_str().len() <= Email::MAX_BYTES);
            }
        }
    }

    #[test]
    fn every_spelling_of_an_address_is_one_account_and_no_other(
        address in normal_address(), other in normal_address(), how: Vec<u8>, around in "[ \t\u{a0}\u{3000}]{0,3}",
    ) {
        let email = Email::parse(&address).unwrap();
        prop_assert_eq!(email.as_str(), &address);
        let spelled: String = address.chars().enumerate().map(|(at, c)| match how.get(at).copied().unwrap_or(0) % 3 {
            1 => c.to_ascii_uppercase(),
            2 => full_width(c),
            _ => c,
        }).collect();
        prop_assert_eq!(Email::parse(&format!("{around}{spelled}{around}")), Ok(email.clone()), "{}", spelled);
        prop_assert_eq!(Email::parse(&other) == Ok(email), other == address);
    }

    #[test]
    fn a_body_is_read_when_it_is_one_json_object_and_only_then(members in members(), cut: prop::sample::Index, more: String) {
        let body = Value::Object(members.clone()).to_string();
        let mut fields = Fields::parse(body.as_bytes()).unwrap_or_else(|_| panic!("{body}"));
        for (name, value) in &members {
            let taken = fields.optional(name, |text| Ok(text.to_owned()));
            prop_assert_eq!(taken.as_deref(), value.as_str().filter(|text| !text.contains('\0')), "{}", name);
        }
        let damaged = body.as_bytes().get(..cut.index(body.len())).unwrap();
        prop_assert!(Fields::parse(damaged).is_err(), "{body} cut");
        let longer = format!("{body}{more}");
        prop_assert_eq!(Fields::parse(longer.as_bytes()).is_ok(), is_white(&more), "{}", longer);
        for other in [Value::from(more.clone()), Value::from(vec![body.clone()]), Value::Null] {
            prop_assert!(Fields::parse(other.to_string().as_bytes()).is_err(), "{other}");
        }
    }

    #[test]
    fn a_member_that_comes_twice_is_refused_wherever_it_stands(members in members(), at: prop::sample::Index, again in value()) {
        prop_assume!(!members.is_empty());
        let name = members.keys().nth(at.index(members.len())).unwrap();
        let mut texts: Vec<_> = members.iter().map(|(name, value)| format!("{}:{value}", Value::from(name.as_str()))).collect();
        // The same name, every character of it escaped.
        let escaped: String = name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        texts.insert(at.index(texts.len() + 1), format!("\"{escaped}\":{again}"));
        let body = format!("{{{}}}", texts.join(","));
        prop_assert!(Fields::parse(body.as_bytes()).is_err(), "{body}");
    }

    #[test]
    fn settings_in_force_read_back_to_the_same(
        text in "[^\0,]{1,20}", number in 1_i64..600, path in "/[a-z0-9/_.-]{0,20}", word in "[a-z:._-]{1,12}",
    ) {
        let (span, size) = (format!("{number}s"), format!("{}KiB", number + 8));
        let env = [
            ("SIGNET_ISSUER", format!("https://login.example.com:{}", 1000 + number)),
            ("SIGNET_KEYS_DIR", text.clone()),
            ("SIGNET_ROOT_KEY_FILE", text.clone()),
            ("SIGNET_DATABASE_URL", format!("sqlite://{path}x.db")),
            ("SIGNET__TOKENS__AUDIENCE", word.clone()),
            ("SIGNET__TOKENS__SCOPES", format!("{word}x,{word}y")),
            ("SIGNET__TOKENS__JWKS_MAX_AGE", format!("{}s", number + 9)),
            ("SIGNET__SERVER__WORKERS", number.to_string()),
            ("SIGNET__SERVER__MAX_BODY", size),
            ("SIGNET__PASSWORDS__IDLE_MEMORY_AFTER", span),
            ("SIGNET_LOG", format!("info,{}=debug", word.replace([':', '.', '-'], "_"))),
        ];
        let env: Vec<_> = env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        // Some of these are refused; then there is nothing to compare.
        let Ok(config) = Config::load(&ConfigSource { file: Some(file.path().to_owned()), env }) else { return Ok(()) };
        std::fs::write(file.path(), config.effective()).unwrap();
        prop_assert_eq!(load(file.path(), Vec::new()).effective(), config.effective());
    }

    #[test]
    fn only_the_hosts_of_the_settings_are_ours(host in "[ -~]{0,30}", case: Vec<bool>, tail in "[a-z.:@/0-9-]{1,6}", raw: Vec<u8>) {
        let config = config(&[
            ("SIGNET_ISSUER", "https://login.example.com"),
            ("SIGNET_LISTEN", "0.0.0.0:443"),
            ("SIGNET__SERVER__HOSTS", "other.example:8443"),
        ]);
        let target = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            HeaderValue::from_bytes(value).ok().map(|value| {
                headers.insert(HOST, value);
                host::target(&config, &headers, &Uri::from_static("/docs"))
            })
        };
        let ours = ["login.example.com", "login.example.com:443", "other.example:8443", "other.example:8443:443"];
        let mut candidates = vec![host.clone(), format!("login.example.com{tail}"), format!("{tail}login.example.com")];
        candidates.extend(ours.map(str::to_owned));
        for candidate in candidates {
            let spelled: String = candidate.chars().enumerate()
                .map(|(at, c)| if case.get(at) == Some(&true) { c.to_ascii_uppercase() } else { c }).collect();
            let is_ours = ours.contains(&candidate.to_ascii_lowercase().as_str());
            prop_assert_eq!(target(spelled.as_bytes()) == Some(Target::Ours), is_ours, "{}", spelled);
        }
        let is_ours = ours.iter().any(|host| host.as_bytes().eq_ignore_ascii_case(&raw));
        prop_assert_eq!(target(&raw) == Some(Target::Ours), is_ours);
    }
}

fn is_white(text: &str) -> bool {
    text.bytes().all(|byte| b" \t\r\n".contains(&byte))
}

fn members() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::hash_map(any::<String>(), value(), 0..6).prop_map(|map| map.into_iter().collect())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
