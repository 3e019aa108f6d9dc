//! The contract of a backend, written down: an OpenAPI 3.1 document of its own, which the gateway merges with the others.
//!
//! Examples are not given twice: whatever has a schema with `examples` is shown with the first of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::operation::{Answer, Operation};
use crate::problem::Problem;

/// Schemas that every backend shares.
const SHARED: &str = include_str!("schemas.json");
const PROBLEM: &str = "application/problem+json";

/// The document of these operations. `schemas` are a backend's own, by name.
pub(super) fn write<'a>(title: &str, schemas: &Map<String, Value>, operations: impl Iterator<Item = &'a Operation>) -> Value {
    let mut writer = Writer { schemas: shared(), examples: Map::new() };
    writer.schemas.extend(schemas.clone());
    let mut paths = Map::new();
    for operation in operations {
        let path = paths.entry(operation.template()).or_insert_with(|| json!({}));
        path[operation.method().to_ascii_lowercase()] = writer.operation(title, operation);
    }
    let codes: Vec<String> = writer.examples.keys().cloned().collect();
    if let Some(known) = writer.schemas.get_mut("ProblemCode") {
        known["enum"] = json!(codes);
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": title, "version": env!("CARGO_PKG_VERSION"), "license": { "name": "MIT", "identifier": "MIT" } },
        "tags": [{ "name": title }],
        "paths": paths,
        "components": {
            "schemas": writer.schemas,
            "examples": writer.examples,
            "headers": {
                "X-Request-Id": {
                    "description": "The id of this request: the caller's own when well formed, else a new one. It is in our logs.",
                    "required": true,
                    "schema": { "type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$" },
                },
                "Retry-After": {
                    "description": "Seconds after which it is worth trying again.",
                    "required": true,
                    "schema": { "type": "integer", "minimum": 1 },
                },
            },
        },
    })
}

fn shared() -> Map<String, Value> {
    serde_json::from_str(SHARED).expect("schemas.json is embedded and tested")
}

/// What is gathered while operations are written.
struct Writer {
    schemas: Map<String, Value>,
    /// A whole problem for each code.
    examples: Map<String, Value>,
}

impl Writer {
    fn operation(&mut self, title: &str, operation: &Operation) -> Value {
        let mut responses = Map::new();
        for answer in &operation.answers {
            responses.insert(answer.status.to_string(), self.answer(answer));
        }
        for (status, problems) in by_status(&operation.problems) {
            let response = responses.entry(status.to_string()).or_insert_with(|| self.plain_response(status));
            self.add_problems(response, status, &problems);
        }
        let mut written = json!({
            "operationId": operation.id, "tags": [title], "summary": operation.summary, "responses": responses,
        });
        if !operation.description.is_empty() {
            written["description"] = json!(operation.description);
        }
        if !operation.parameters.is_empty() {
            written["parameters"] = operation.parameters.iter().map(|parameter| self.with_example(parameter.clone())).collect();
        }
        if !operation.bodies.is_empty() {
            let content = operation.bodies.iter().map(|(media_type, schema)| ((*media_type).to_owned(), self.content(schema)));
            written["requestBody"] = json!({ "required": true, "content": content.collect::<Map<_, _>>() });
        }
        written
    }

    fn answer(&self, answer: &Answer) -> Value {
        let mut headers = answer.headers.clone();
        headers.insert("X-Request-Id".to_owned(), header("X-Request-Id"));
        let mut response = json!({ "description": answer.description, "headers": headers });
        if let Some(schema) = &answer.schema {
            response["content"] = json!({ answer.media_type: self.content(schema) });
        }
        if !answer.links.is_empty() {
            response["links"] = json!(answer.links);
        }
        response
    }

    fn plain_response(&self, status: u16) -> Value {
        let mut headers = json!({ "X-Request-Id": header("X-Request-Id") });
        if status == 503 {
            headers["Retry-After"] = header("Retry-After");
        }
        json!({ "description": "", "headers": headers })
    }

    /// The same status may have several codes; each is named, and shown whole.
    fn add_problems(&mut self, response: &mut Value, status: u16, problems: &BTreeMap<&'static str, &Problem>) {
        let mut examples = Map::new();
        for (code, problem) in problems {
            examples.insert((*code).to_owned(), json!({ "$ref": format!("#/components/examples/{code}") }));
            self.examples.entry(*code).or_insert_with(|| example(problem));
        }
        let said: Vec<String> = problems.iter().map(|(code, problem)| format!("`{code}`: {}.", problem.detail)).collect();
        let description = response["description"].as_str().unwrap_or_default().to_owned();
        response["description"] = json!([description, said.join(" ")].join(" ").trim());
        let codes: Vec<&str> = problems.keys().copied().collect();
        response["content"][PROBLEM] = json!({
            "schema": {
                "allOf": [
                    { "$ref": "#/components/schemas/Problem" },
                    { "type": "object", "properties": { "status": { "const": status }, "code": { "enum": codes } } },
                ],
            },
            "examples": examples,
        });
    }

    fn content(&self, schema: &Value) -> Value {
        self.with_example(json!({ "schema": schema }))
    }

    /// Something with a `schema`, and the first example of that beside it.
    fn with_example(&self, mut value: Value) -> Value {
        if let Some(example) = self.example_of(&value["schema"]) {
            value["example"] = example;
        }
        value
    }

    fn example_of(&self, schema: &Value) -> Option<Value> {
        if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/components/schemas/")) {
            let named = self.schemas.get(name);
            return self.example_of(named.unwrap_or_else(|| panic!("there is no schema {name}")));
        }
        if let Some(example) = schema["examples"].get(0) {
            return Some(example.clone());
        }
        let is_list = schema["type"] == "array";
        is_list.then(|| self.example_of(&schema["items"])).flatten().map(|item| json!([item]))
    }
}

fn header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

fn by_status(problems: &[Problem]) -> BTreeMap<u16, BTreeMap<&'static str, &Problem>> {
    let mut found: BTreeMap<u16, BTreeMap<&'static str, &Problem>> = BTreeMap::new();
    for problem in problems {
        found.entry(problem.status.as_u16()).or_default().entry(problem.code).or_insert(problem);
    }
    found
}

fn example(problem: &Problem) -> Value {
    let document = problem.to_json("01a20ae6-e6b2-700c-9f9d-d85e28e04beb");
    json!({ "summary": problem.detail, "value": serde_json::from_slice::<Value>(&document).unwrap_or_default() })
}
