//! An event as it was sent: read first, judged whole, so that all of its faults are told at once.
//!
//! Fields are kept as raw JSON until they are judged, so that no text of a sender decides how deep we descend.

use std::str::FromStr;

use kit::clock::Timestamp;
use kit::problem::FieldError;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Event, judge_at};

/// What a sender wrote, not judged yet. A field that is `null` is one that is missing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft {
    id: Option<Box<RawValue>>,
    name: Option<Box<RawValue>>,
    at: Option<Box<RawValue>>,
    user_id: Option<Box<RawValue>>,
    properties: Option<Box<RawValue>>,
}

/// A moment as a sender wrote it.
struct At(Timestamp);

impl FromStr for At {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Timestamp::parse(text).map(Self).ok_or("must be a date and time as in RFC 3339, such as 2026-01-01T10:00:00Z")
    }
}

impl Draft {
    /// The event, with a new id where it has none and `now` where it does not say when. Else all of its faults.
    pub(crate) fn complete(self, now: Timestamp) -> Result<Event, Vec<FieldError>> {
        let mut faults = Vec::new();
        if self.name.is_none() {
            faults.push(FieldError::new("/name", "required", "is required"));
        }
        let id = text(self.id, "/id", "invalid_id", &mut faults);
        let name = text(self.name, "/name", "invalid_name", &mut faults);
        let at = text(self.at, "/at", "invalid_at", &mut faults).map(|At(at)| judge_at(at, now));
        let user_id = text(self.user_id, "/user_id", "invalid_user_id", &mut faults);
        let properties = object(self.properties, "/properties", "invalid_properties", &mut faults);
        if let Some(Err(why)) = at {
            faults.push(FieldError::new("/at", "invalid_at", why));
        }
        match name {
            Some(name) if faults.is_empty() => Ok(Event {
                id: id.unwrap_or_else(|| Uuid::now_v7().into()),
                name,
                at: at.and_then(Result::ok).unwrap_or(now),
                user_id,
                properties,
            }),
            _ => Err(faults),
        }
    }
}

/// A field that is a string and fits a `T`.
fn text<T>(field: Option<Box<RawValue>>, pointer: &str, code: &'static str, faults: &mut Vec<FieldError>) -> Option<T>
where
    T: FromStr<Err = &'static str>,
{
    let json = field?;
    let (code, detail) = match serde_json::from_str::<String>(json.get()).map(|text| text.parse()) {
        Ok(Ok(value)) => return Some(value),
        Ok(Err(why)) => (code, why),
        Err(_) if json.get().starts_with('"') => (code, "must be Unicode text"),
        Err(_) => ("invalid_type", "must be a string"),
    };
    faults.push(FieldError::new(pointer, code, detail));
    None
}

/// A field that is an object and fits a `T`.
fn object<T>(field: Option<Box<RawValue>>, pointer: &str, code: &'static str, faults: &mut Vec<FieldError>) -> Option<T>
where
    T: FromStr<Err = &'static str>,
{
    let json = field?;
    let (code, detail) = match json.get().parse() {
        _ if !json.get().starts_with('{') => ("invalid_type", "must be an object"),
        Ok(value) => return Some(value),
        Err(why) => (code, why),
    };
    faults.push(FieldError::new(pointer, code, detail));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

    fn complete(json: &str) -> Result<Event, Vec<(String, &'static str)>> {
        let draft: Draft = serde_json::from_str(json).expect("a draft");
        draft.complete(NOON).map_err(|faults| faults.into_iter().map(|fault| (fault.pointer, fault.code)).collect())
    }

    #[test]
    fn a_name_is_enough() {
        let event = complete(r#"{"name":"tap","id":null,"at":null,"user_id":null,"properties":null}"#).expect("an event");
        assert_eq!((event.name.as_str(), event.at, event.user_id, event.properties), ("tap", NOON, None, None));
        assert_eq!(event.id.as_str().len(), 36, "a new UUID");
    }

    #[test]
    fn everything_given_is_kept() {
        let event = complete(r#"{"id":"e1","name":"tap","at":"2026-01-01T11:00:00+01:00","user_id":"ada","properties":{"x":[1]}}"#);
        let event = event.expect("an event");
        assert_eq!((event.id.as_str(), event.at.to_string().as_str()), ("e1", "2026-01-01T10:00:00.000Z"));
        assert_eq!(event.user_id.as_ref().map(|id| id.as_str()), Some("ada"));
        assert_eq!(event.properties.as_ref().map(|properties| properties.as_str()), Some(r#"{"x":[1]}"#));
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let types = complete(r#"{"id":1,"name":2,"at":3,"user_id":[],"properties":"x"}"#).expect_err("faults");
        assert_eq!(types.iter().map(|(_, code)| *code).collect::<Vec<_>>(), ["invalid_type"; 5]);
        let values = complete(r#"{"id":"","name":"a b","at":"2026-01-02T12:00:00.001Z","user_id":"\u0000","properties":{"a":"\u0000"}}"#);
        let values = values.expect_err("faults");
        let mut pointers: Vec<_> = values.iter().map(|(pointer, code)| (pointer.as_str(), *code)).collect();
        pointers.sort_unstable();
        let expected = [
            ("/at", "invalid_at"),
            ("/id", "invalid_id"),
            ("/name", "invalid_name"),
            ("/properties", "invalid_properties"),
            ("/user_id", "invalid_user_id"),
        ];
        assert_eq!(pointers, expected);
        assert_eq!(complete(r#"{"name":null}"#), Err(vec![("/name".to_owned(), "required")]));
        assert_eq!(complete(r#"{"name":"\ud800"}"#), Err(vec![("/name".to_owned(), "invalid_name")]));
        assert_eq!(complete(r#"{"name":"a","at":"yesterday"}"#), Err(vec![("/at".to_owned(), "invalid_at")]));
    }
}
