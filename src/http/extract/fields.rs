//! The members of one flat JSON object, taken one by one so that every fault is reported at once.

use std::fmt;

use serde::Serialize;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::account::Invalid;
use crate::http::error::Problem;

/// What is wrong with one member of a request. Never repeats the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldFault {
    /// The member's name.
    pub field: String,
    /// A stable word for programs.
    pub code: &'static str,
    /// A sentence for people: what is wrong and what to do.
    pub detail: String,
}

/// The members not taken yet, and the faults found so far.
pub struct Fields {
    members: Vec<(String, Member)>,
    faults: Vec<FieldFault>,
}

enum Member {
    Text(Zeroizing<String>),
    Other(&'static str),
}

/// What an answer calls the value null.
const NULL: &str = "null";

/// Most unknown members told of: an answer must not outgrow its request.
const MOST_UNKNOWN: usize = 16;

/// Longest member name repeated in an answer, in characters.
const LONGEST_NAME: usize = 64;

impl Fields {
    /// Reads one JSON object.
    ///
    /// # Errors
    /// When the text is not JSON, not an object, or names a member twice (RFC 8259 §4 leaves the meaning open; two
    /// readers would see two requests).
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        serde_json::from_slice::<Members>(body)
            .map_err(|error| match error.classify() {
                serde_json::error::Category::Data => Problem::not_one_object(),
                _ => Problem::not_json(error.line(), error.column()),
            })
            .and_then(|Members { members, repeated }| match repeated {
                None => Ok(Self { members, faults: Vec::new() }),
                Some(name) => {
                    Err(Problem::invalid(vec![fault(&name, "repeated", "must occur only once".to_owned())]))
                }
            })
    }

    /// No member at all.
    pub const fn none() -> Self {
        Self { members: Vec::new(), faults: Vec::new() }
    }

    /// Takes a member that must be there and must be text that `parse` accepts.
    pub fn required<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, Invalid>) -> Option<T> {
        let text = self.secret(name)?;
        self.parsed(name, &text, parse)
    }

    /// Takes a member that may be left out.
    pub fn optional<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, Invalid>) -> Option<T> {
        let text = self.optional_secret(name)?;
        self.parsed(name, &text, parse)
    }

    /// Takes a member that may be left out, or be null: `Some(None)`.
    pub fn nullable<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<Option<T>> {
        match self.take(name)? {
            Member::Other(NULL) => Some(None),
            member => {
                let text = self.text(name, member)?;
                self.parsed(name, &text, parse).map(Some)
            }
        }
    }

    /// Takes a secret that must be there, without looking at it.
    pub fn secret(&mut self, name: &str) -> Option<Zeroizing<String>> {
        let member = self.take(name);
        if member.is_none() {
            self.faults.push(fault(name, "missing", "is missing; send it as a string".to_owned()));
        }
        member.and_then(|member| self.text(name, member))
    }

    /// Takes a secret that may be left out, without looking at it.
    pub fn optional_secret(&mut self, name: &str) -> Option<Zeroizing<String>> {
        self.take(name).and_then(|member| self.text(name, member))
    }

    /// Ends the reading: any member left is a fault.
    ///
    /// # Errors
    /// With all faults found.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Problem> {
        for (name, _) in std::mem::take(&mut self.members).into_iter().take(MOST_UNKNOWN) {
            self.faults.push(fault(
                &name,
                "unknown",
                "is not a member of this request; leave it out".to_owned(),
            ));
        }
        match value {
            Some(value) if self.faults.is_empty() => Ok(value),
            _ => Err(Problem::invalid(self.faults)),
        }
    }

    fn take(&mut self, name: &str) -> Option<Member> {
        let at = self.members.iter().position(|(member, _)| member == name)?;
        Some(self.members.swap_remove(at).1)
    }

    fn text(&mut self, name: &str, member: Member) -> Option<Zeroizing<String>> {
        match member {
            Member::Text(text) => Some(text),
            Member::Other(kind) => {
                self.faults.push(fault(name, "wrong-type", format!("must be a string, not {kind}")));
                None
            }
        }
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<T> {
        // PostgreSQL has no NUL in text; refusing it here keeps both engines alike.
        if text.contains('\0') {
            self.faults.push(fault(name, "invalid", "must not contain the NUL character".to_owned()));
            return None;
        }
        parse(text).map_err(|Invalid(why)| self.faults.push(fault(name, "invalid", why.to_owned()))).ok()
    }
}

fn fault(field: &str, code: &'static str, detail: String) -> FieldFault {
    FieldFault { field: field.chars().take(LONGEST_NAME).collect(), code, detail }
}

struct Members {
    members: Vec<(String, Member)>,
    repeated: Option<String>,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut seen = std::collections::HashSet::new();
                let mut read = Members { members: Vec::new(), repeated: None };
                while let Some((name, member)) = map.next_entry::<String, Member>()? {
                    if !seen.insert(name.clone()) {
                        read.repeated.get_or_insert(name);
                        continue;
                    }
                    read.members.push((name, member));
                }
                Ok(read)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Member;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Member, E> {
                Ok(Member::Text(Zeroizing::new(text.to_owned())))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Member, E> {
                Ok(Member::Text(Zeroizing::new(text)))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Member, E> {
                Ok(Member::Other(NULL))
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Member, E> {
                Ok(Member::Other("a boolean"))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Member, E> {
                Ok(Member::Other("a number"))
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<Member, E> {
                Ok(Member::Other("a number"))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Member, E> {
                Ok(Member::Other("a number"))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Member, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Member::Other("an array"))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Member, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Member::Other("an object"))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Email;

    fn faults(body: &str, read: impl FnOnce(&mut Fields)) -> Vec<(String, &'static str)> {
        let mut fields = match Fields::parse(body.as_bytes()) {
            Ok(fields) => fields,
            Err(problem) => return problem.errors.iter().map(|e| (e.field.clone(), e.code)).collect(),
        };
        read(&mut fields);
        fields.finish(Some(())).map_or_else(
            |problem| problem.errors.iter().map(|e| (e.field.clone(), e.code)).collect(),
            |()| Vec::new(),
        )
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let body = r#"{"email":"nobody","password":[1,{"a":2}],"admin":true}"#;
        let found = faults(body, |fields| {
            fields.required("email", Email::parse);
            fields.secret("password");
            fields.required("code", Email::parse);
        });
        let expected =
            [("email", "invalid"), ("password", "wrong-type"), ("code", "missing"), ("admin", "unknown")];
        assert_eq!(found, expected.map(|(field, code)| (field.to_owned(), code)));
    }

    #[test]
    fn a_repeated_member_is_refused_also_when_escaped_differently() {
        assert_eq!(faults(r#"{"a":"1","\u0061":"2"}"#, |_| ()), [("a".to_owned(), "repeated")]);
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for body in ["", "null", "[]", "\"x\"", "{", "{}{}", "{\"a\":}", "\u{feff}{}", "{'a':1}"] {
            assert!(Fields::parse(body.as_bytes()).is_err(), "{body}");
        }
        assert!(Fields::parse(&b"[".repeat(100_000)).is_err());
        // Depth costs nothing: what is not a string is skipped without recursion.
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(30_000), "]".repeat(30_000));
        assert_eq!(faults(&deep, |fields| drop(fields.secret("a"))), [("a".to_owned(), "wrong-type")]);
    }

    #[test]
    fn a_flood_of_unknown_members_is_not_answered_with_a_larger_one() {
        let members: Vec<_> = (0..9_000).map(|n| format!("\"{n}\":1")).collect();
        let found = faults(&format!("{{{}}}", members.join(",")), |fields| drop(fields.secret("password")));
        assert_eq!(found[0], ("password".to_owned(), "missing"));
        assert!((2..=32).contains(&found.len()), "{}", found.len());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body: Vec<u8>) {
            let _ = Fields::parse(&body);
        }

        #[test]
        fn text_arrives_as_it_was_sent(text: String) {
            let body = serde_json::json!({ "text": text }).to_string();
            let mut fields = Fields::parse(body.as_bytes()).ok().unwrap();
            let read = fields.secret("text").unwrap();
            proptest::prop_assert_eq!(read.as_str(), text);
        }
    }
}
