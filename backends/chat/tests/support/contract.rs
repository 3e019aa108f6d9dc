//! The frames of a test, held to the schemas that `/openapi.json` shows: what a client is sent fits them, and of what it sends
//! the server takes what fits them and refuses what does not.

use std::collections::{BTreeSet, VecDeque};
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

/// What an error says of a frame that no schema allows. Other errors are about what the frame wants.
const REFUSALS: [&str; 7] =
    ["malformed_json", "invalid_frame", "unknown_type", "invalid_room", "invalid_id", "invalid_text", "text_too_long"];

static SCHEMAS: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(include_str!("../../src/schemas.json")).expect("JSON"));
static SERVER_FRAME: LazyLock<Validator> = LazyLock::new(|| validator("ChatServerFrame"));
static CLIENT_FRAME: LazyLock<Validator> = LazyLock::new(|| validator("ChatClientFrame"));
static TEXT: LazyLock<Validator> = LazyLock::new(|| validator("ChatText"));

fn validator(name: &str) -> Validator {
    let document = json!({ "$ref": format!("#/components/schemas/{name}"), "components": { "schemas": *SCHEMAS } });
    jsonschema::draft202012::options().should_validate_formats(true).build(&document).expect("a schema")
}

/// JSON Schema counts characters only.
fn is_short(text: &str) -> bool {
    SCHEMAS["ChatText"]["maxLength"].as_u64().is_some_and(|bytes_max| text.len() as u64 <= bytes_max)
}

/// The `type`s of frames that `ChatServerFrame` or `ChatClientFrame` lists.
pub(crate) fn kinds_of(name: &str) -> BTreeSet<String> {
    let kinds = SCHEMAS[name]["oneOf"].as_array().expect("a list of schemas");
    let kind = |schema: &Value| {
        let name = schema["$ref"].as_str().and_then(|pointer| pointer.rsplit('/').next()).expect("a reference");
        SCHEMAS[name]["properties"]["type"]["const"].as_str().expect("a type").to_owned()
    };
    kinds.iter().map(kind).collect()
}

/// What one client sent and was sent so far.
#[derive(Default)]
pub(crate) struct Contract {
    /// The types of frames it sent, and of those it was sent.
    pub(crate) sent: BTreeSet<String>,
    pub(crate) heard: BTreeSet<String>,
    /// What it sent although no schema allows it, and what was not refused yet. The server refuses in the order in which it reads.
    unlawful: VecDeque<String>,
}

impl Contract {
    /// Takes note of a text that is sent.
    pub(crate) fn sends(&mut self, text: &str) {
        let is_lawful = if text.trim_start().starts_with('{') {
            let frame: Value = serde_json::from_str(text).unwrap_or_default();
            self.sent.extend(frame["type"].as_str().map(str::to_owned));
            CLIENT_FRAME.is_valid(&frame) && frame["text"].as_str().is_none_or(is_short)
        } else {
            TEXT.is_valid(&json!(text)) && is_short(text)
        };
        if !is_lawful {
            self.unlawful.push_back(text.to_owned());
        }
    }

    /// Judges a text that was heard, a frame or several of them, a line each.
    pub(crate) fn hears(&mut self, text: &str) -> Vec<Value> {
        text.lines().map(|line| self.hears_frame(line)).collect()
    }

    fn hears_frame(&mut self, line: &str) -> Value {
        let frame: Value = serde_json::from_str(line).expect("JSON");
        if let Err(error) = SERVER_FRAME.validate(&frame) {
            panic!("no ChatServerFrame: {error}: {frame}");
        }
        let is_refusal = REFUSALS.iter().any(|code| frame["code"] == *code);
        // Before `welcome` it is the query that is refused.
        if is_refusal && self.heard.contains("welcome") {
            assert!(self.unlawful.pop_front().is_some(), "refused, but allowed by ChatClientFrame: {frame}");
        }
        self.heard.insert(frame["type"].as_str().expect("a type").to_owned());
        frame
    }
}

impl Drop for Contract {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.unlawful.is_empty(), "this or one before was not refused, but is no ChatClientFrame: {:?}", self.unlawful);
        }
    }
}
