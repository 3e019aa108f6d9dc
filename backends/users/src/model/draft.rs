//! A body of `POST`, `PUT` or `PATCH`: read first, judged whole, so that all of its faults are told at once.

use std::fmt;
use std::str::FromStr;

use kit::problem::FieldError;
use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Change, Email, Name};
use crate::Error;

/// What a client wrote, not judged yet.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft {
    #[serde(default)]
    name: Field,
    #[serde(default)]
    email: Field,
}

/// A field that may be missing, which is something else than `null`.
#[derive(Debug, Default)]
enum Field {
    #[default]
    Missing,
    Null,
    Text(String),
    /// Something that no field of a user is; what it was does not matter and is not kept.
    Other,
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Field, E> {
        Ok(Field::Text(text.to_owned()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Field, E> {
        Ok(Field::Null)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Field, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Field, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }
}

impl Draft {
    /// A whole user: every field must be there.
    pub(crate) fn complete(self) -> Result<(Name, Email), Error> {
        let mut faults = Vec::new();
        let name = self.name.required("/name", &mut faults);
        let email = self.email.required("/email", &mut faults);
        match (name, email) {
            (Some(name), Some(email)) => Ok((name, email)),
            _ => Err(Error::InvalidUser(faults)),
        }
    }

    /// A change (RFC 7396): what is missing stays; `null` would remove, which no field of a user allows.
    pub(crate) fn change(self) -> Result<Change, Error> {
        let mut faults = Vec::new();
        let name = self.name.optional("/name", &mut faults);
        let email = self.email.optional("/email", &mut faults);
        if faults.is_empty() { Ok(Change { name, email }) } else { Err(Error::InvalidUser(faults)) }
    }
}

impl Field {
    fn required<T: FromStr<Err = &'static str>>(self, pointer: &str, faults: &mut Vec<FieldError>) -> Option<T> {
        if matches!(self, Field::Missing) {
            faults.push(FieldError::new(pointer, "required", "is required"));
        }
        self.optional(pointer, faults)
    }

    fn optional<T: FromStr<Err = &'static str>>(self, pointer: &str, faults: &mut Vec<FieldError>) -> Option<T> {
        let (code, detail) = match self {
            Field::Missing => return None,
            Field::Text(text) => match text.parse() {
                Ok(value) => return Some(value),
                Err(why) => ("invalid_value", why),
            },
            Field::Null => ("required", "must not be null"),
            Field::Other => ("invalid_type", "must be a string"),
        };
        faults.push(FieldError::new(pointer, code, detail));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(json: &str) -> Draft {
        serde_json::from_str(json).expect("a draft")
    }

    fn faults<T: std::fmt::Debug>(result: Result<T, Error>) -> Vec<(String, &'static str)> {
        match result {
            Err(Error::InvalidUser(faults)) => faults.into_iter().map(|fault| (fault.pointer, fault.code)).collect(),
            other => panic!("expected faults, got {other:?}"),
        }
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let both = vec![("/name".to_owned(), "required"), ("/email".to_owned(), "required")];
        assert_eq!(faults(draft("{}").complete()), both);
        assert_eq!(faults(draft(r#"{"name":null,"email":null}"#).change()), both);
        let both = vec![("/name".to_owned(), "invalid_type"), ("/email".to_owned(), "invalid_value")];
        assert_eq!(faults(draft(r#"{"name":7,"email":"nobody"}"#).complete()), both);
    }

    #[test]
    fn a_field_of_another_type_is_told_whatever_it_is() {
        // serde_json's own `Value` would read the text in this object as JSON again, with a fresh limit on its depth.
        let disguised = serde_json::json!({ "$serde_json::private::RawValue": "[".repeat(100) + &"]".repeat(100) }).to_string();
        for value in ["true", "-1", "1", "1.5", "[[1]]", r#"{"a":{}}"#, &disguised] {
            let faults = faults(draft(&format!(r#"{{"name":{value}}}"#)).change());
            assert_eq!(faults, [("/name".to_owned(), "invalid_type")], "{value:.40}");
        }
    }

    #[test]
    fn a_change_leaves_out_what_stays() {
        let change = draft(r#"{"name":"Ada"}"#).change().expect("a change");
        assert_eq!((change.name.map(|name| name.as_str().to_owned()), change.email), (Some("Ada".to_owned()), None));
        assert!(serde_json::from_str::<Draft>(r#"{"nickname":"x"}"#).is_err());
    }
}
