//! JSON bodies: what is read is one object in serde_json's eyes too, and no member of it comes twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use signet::http::extract::Fields;

fuzz_target!(|data: &[u8]| {
    let names = serde_json::from_slice::<Names>(data).map(|Names(names)| names);
    let once = names.as_ref().is_ok_and(|names| {
        let mut seen = std::collections::HashSet::new();
        names.iter().all(|name| seen.insert(name))
    });
    let whole = serde_json::from_slice::<Map<String, Value>>(data);
    let fields = Fields::parse(data);
    // Between the two lies what is skipped unread: a member that nests too deep for a `Value`, say.
    assert!(fields.is_err() || once, "read, though no object or with a member twice");
    assert!(fields.is_ok() || !once || whole.is_err(), "refused without a reason");
    let (Ok(mut fields), Ok(names), Ok(members)) = (fields, names, whole) else { return };
    for name in &names {
        let text = members[name].as_str();
        let taken = fields.optional(name, |text| Ok(text.to_owned()));
        assert_eq!(taken.as_deref(), text.filter(|text| !text.contains('\0')), "{name:?}");
    }
    let _ = fields.finish(Some(()));
});

/// The names of the members of one object, each as often as it comes.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Names;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some((name, _)) = map.next_entry::<String, IgnoredAny>()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_map(Object)
    }
}
