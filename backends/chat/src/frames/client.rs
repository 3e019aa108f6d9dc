//! What a client may send. A text that does not begin with `{` is a message in plain words.

use kit::http::BodyError;
use serde::Deserialize;

use crate::Error;
use crate::model::check_id;

/// A frame with a `type`. A room that is not named is the one given at connect; `id` is echoed by an error.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ClientFrame {
    /// Says something; `id` makes a retry known.
    Send { room: Option<String>, text: String, id: Option<String> },
    /// Enters a room, live or from where the client was.
    Join { room: Option<String>, after: Option<u64>, id: Option<String> },
    /// Leaves a room.
    Leave { room: Option<String>, id: Option<String> },
    /// Asks for what was said before.
    History { room: Option<String>, before: Option<u64>, limit: Option<u32>, id: Option<String> },
    /// Asks whether we are there.
    Ping { id: Option<String> },
}

impl ClientFrame {
    /// Reads a text message: a frame, or plain words for the room given at connect.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        if !text.trim_start().starts_with('{') {
            return Ok(ClientFrame::Send { room: None, text: text.to_owned(), id: None });
        }
        let frame: Self = kit::http::parse_object(text.as_bytes()).map_err(|error| match error {
            BodyError::Shape(field) if field.detail.starts_with("unknown variant") => Error::UnknownType(field.detail),
            BodyError::Shape(field) => Error::InvalidFrame(field.detail),
            error => Error::MalformedFrame(error.to_string()),
        })?;
        // An error could not echo just any.
        frame.id().map_or(Ok(()), check_id).map_err(Error::InvalidField)?;
        Ok(frame)
    }

    fn id(&self) -> Option<&str> {
        let (Self::Send { id, .. } | Self::Join { id, .. } | Self::Leave { id, .. } | Self::History { id, .. } | Self::Ping { id }) = self;
        id.as_deref()
    }

    /// The `id` of a frame, whatever else is wrong with it.
    pub(crate) fn id_of(text: &str) -> Option<String> {
        #[derive(Deserialize)]
        struct WithId {
            id: Option<String>,
        }
        let frame: WithId = serde_json::from_str(text).ok()?;
        frame.id.filter(|id| id.chars().count() <= 64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_plain_text_is_a_message() {
        for line in ["hi there", "42", "[1]", "\"quoted\"", "null"] {
            assert_eq!(ClientFrame::parse(line).unwrap(), ClientFrame::Send { room: None, text: line.to_owned(), id: None });
        }
    }

    #[test]
    fn what_is_wrong_with_a_frame_is_told_apart() {
        let code = |text: &str| kit::problem::Describe::code(&ClientFrame::parse(text).expect_err("refused"));
        assert_eq!(code("{"), "malformed_json");
        assert_eq!(code(r#"{"type":"ping"} {"#), "malformed_json");
        assert_eq!(code("{}"), "invalid_frame");
        assert_eq!(code(r#"{"type":"dance"}"#), "unknown_type");
        assert_eq!(code(r#"{"type":"send"}"#), "invalid_frame");
        assert_eq!(code(r#"{"type":"send","text":7}"#), "invalid_frame");
        assert_eq!(code(r#"{"type":"ping","more":1}"#), "invalid_frame");
        assert_eq!(code(r#"{"type":"join","after":-1}"#), "invalid_frame");
        assert_eq!(code(&format!(r#"{{"type":{}"#, "[".repeat(10_000))), "malformed_json");
    }

    #[test]
    fn the_id_of_a_bad_frame_is_found() {
        assert_eq!(ClientFrame::id_of(r#"{"type":"dance","id":"x"}"#), Some("x".to_owned()));
        assert_eq!(ClientFrame::id_of(r#"{"type":"dance","id":7}"#), None);
        assert_eq!(ClientFrame::id_of("{"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = ClientFrame::parse(&text);
            let _ = ClientFrame::parse(&format!("{{{text}"));
            let _ = ClientFrame::id_of(&text);
        }
    }
}
