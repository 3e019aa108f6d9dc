//! What a route promises to those who call it: the part of a contract that a router does not need.
//!
//! A backend's `operations.rs` is a list of these; `table` puts each beside the code that keeps the promise, and `document`
//! writes them down. Schemas have names and stand in the backend's `schemas.json`. Problems are the errors themselves, so that
//! status, code and words are those that are really said.

use serde_json::{Map, Value, json};

use super::{BodyError, QueryError};
use crate::database;
use crate::problem::{FieldError, Problem};

/// One thing a backend can be asked.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Method and path, such as `GET /users/{id}`; also its name in metrics and logs.
    pub(super) name: &'static str,
    /// What generated clients call it.
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: String,
    pub(super) parameters: Vec<Value>,
    /// Schemas of the body by media type.
    pub(super) bodies: Vec<(&'static str, Value)>,
    pub(super) answers: Vec<Answer>,
    pub(super) problems: Vec<Problem>,
}

impl Operation {
    /// An operation: `name` is its method and path, with `{parameters}` in braces.
    pub fn new(name: &'static str, id: &'static str, summary: &'static str) -> Self {
        assert!(name.split_once(" /").is_some_and(|(method, _)| method.bytes().all(|byte| byte.is_ascii_uppercase())), "{name}");
        Self {
            name,
            id,
            summary,
            description: String::new(),
            parameters: Vec::new(),
            bodies: Vec::new(),
            answers: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// What a caller should know besides; Markdown.
    pub fn describe(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// A part of the path.
    pub fn path(self, name: &'static str, description: &'static str, schema: Value) -> Self {
        self.parameter("path", name, description, schema, true)
    }

    /// A parameter of the query, which may be left out.
    pub fn query(self, name: &'static str, description: &'static str, schema: Value) -> Self {
        self.parameter("query", name, description, schema, false)
    }

    /// A header, which may be left out.
    pub fn header(self, name: &'static str, description: &'static str, schema: Value) -> Self {
        self.parameter("header", name, description, schema, false)
    }

    /// A header without which nothing is done.
    pub fn required_header(self, name: &'static str, description: &'static str, schema: Value) -> Self {
        self.parameter("header", name, description, schema, true)
    }

    fn parameter(mut self, place: &str, name: &str, description: &str, schema: Value, is_required: bool) -> Self {
        self.parameters.push(json!({
            "name": name, "in": place, "required": is_required, "description": description, "schema": schema,
        }));
        self
    }

    /// A body it takes; several media types are several of these.
    pub fn takes(mut self, media_type: &'static str, schema: Value) -> Self {
        self.bodies.push((media_type, schema));
        self
    }

    /// An answer when all goes well.
    pub fn answers(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// Errors it may answer with.
    pub fn fails<P: Into<Problem>>(mut self, problems: impl IntoIterator<Item = P>) -> Self {
        self.problems.extend(problems.into_iter().map(Into::into));
        self
    }

    /// What reading its query can fail at.
    pub fn reads_query(self) -> Self {
        self.fails([QueryError("the query cannot be read: unknown field `page`".to_owned())])
    }

    /// What reading its body can fail at: one of so many bytes, of one of these media types.
    pub fn reads_body(self, limit: usize, expected: &'static str) -> Self {
        let field = FieldError::new("/nickname", "unknown_field", "unknown field `nickname`");
        self.fails([
            BodyError::TooLarge { limit },
            BodyError::Interrupted,
            BodyError::TooSlow,
            BodyError::WithQuery,
            BodyError::NotUtf8,
            BodyError::Malformed("EOF while parsing an object at line 1 column 1".to_owned()),
            BodyError::MediaType { expected },
            BodyError::Shape(field),
        ])
    }

    /// What its database can fail at.
    pub fn uses_database(self) -> Self {
        let error = || "storage".to_owned();
        self.fails([database::Error::Busy, database::Error::Unavailable(error()), database::Error::Internal(error())])
    }

    pub(super) fn method(&self) -> &'static str {
        self.name.split_once(' ').map_or(self.name, |(method, _)| method)
    }

    pub(super) fn template(&self) -> &'static str {
        self.name.split_once(' ').map_or(self.name, |(_, path)| path)
    }
}

/// An answer with its headers, its body and where to go from it.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) status: u16,
    pub(super) description: &'static str,
    pub(super) media_type: &'static str,
    pub(super) schema: Option<Value>,
    pub(super) headers: Map<String, Value>,
    pub(super) links: Map<String, Value>,
}

impl Answer {
    /// An answer without a body.
    pub fn new(status: u16, description: &'static str) -> Self {
        Self { status, description, media_type: "application/json", schema: None, headers: Map::new(), links: Map::new() }
    }

    /// Its body is JSON of this schema.
    pub fn json(mut self, schema: Value) -> Self {
        self.schema = Some(schema);
        self
    }

    /// A header it always has.
    pub fn with(self, name: &'static str, description: &'static str, schema: Value) -> Self {
        self.header(name, description, schema, true)
    }

    /// A header it may have.
    pub fn may_have(self, name: &'static str, description: &'static str, schema: Value) -> Self {
        self.header(name, description, schema, false)
    }

    fn header(mut self, name: &str, description: &str, schema: Value, is_required: bool) -> Self {
        self.headers.insert(name.to_owned(), json!({ "description": description, "required": is_required, "schema": schema }));
        self
    }

    /// What can be asked of it next: another operation, its parameters taken from this answer by runtime expressions.
    pub fn leads_to(mut self, operation: &'static str, parameters: Value) -> Self {
        self.links.insert(operation.to_owned(), json!({ "operationId": operation, "parameters": parameters }));
        self
    }
}

/// The schema of this name.
pub fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A list of these.
pub fn list_of(name: &str) -> Value {
    json!({ "type": "array", "items": schema(name) })
}
