//! One document of several: pure judgement over JSON.
//!
//! Of a backend's document those paths are taken that the door leads to it. To each operation the problems are added that the
//! door itself may answer with before or instead of the backend.

use serde_json::{Map, Value, json};

use crate::Config;
use crate::problem::Problem;
use crate::route::{Route, Service};

/// The gateway's own pages, and what all share.
const OWN: &str = include_str!("own.json");
const PROBLEM: &str = "application/problem+json";

/// The document of everything, as far as it is known.
pub(super) fn merge(version: &str, config: &Config, fragments: &[(Service, Option<Value>)]) -> Value {
    let mut whole: Value = serde_json::from_str(OWN).expect("own.json is embedded and tested");
    whole["info"]["version"] = json!(version);
    let codes: Vec<&str> = crate::problem_pages::codes().collect();
    whole["paths"]["/problems/{code}"]["get"]["parameters"][0]["schema"]["enum"] = json!(codes);
    for operation in operations(&mut whole["paths"]) {
        add_problems(operation, &Problem::of_own_pages());
    }
    add_problems(&mut whole["paths"]["/problems/{code}"]["get"], &[Problem::NotFound]);
    add_problems(&mut whole["paths"]["/openapi.json"]["get"], &[Problem::DocumentUnknown]);
    for (service, fragment) in fragments.iter().filter_map(|(service, fragment)| Some((*service, fragment.as_ref()?))) {
        add_paths(&mut whole, fragment, service, config);
        add_components(&mut whole, fragment);
    }
    for problem in Problem::all(config) {
        if whole["components"]["examples"].get(problem.code()).is_none() {
            whole["components"]["examples"][problem.code()] = example(problem);
        }
    }
    let codes: Vec<&String> = whole["components"]["examples"].as_object().into_iter().flat_map(Map::keys).collect();
    whole["components"]["schemas"]["ProblemCode"]["enum"] = json!(codes);
    whole
}

fn add_paths(whole: &mut Value, fragment: &Value, service: Service, config: &Config) {
    for (path, item) in fragment["paths"].as_object().into_iter().flatten() {
        let leads_here = match Route::find(path) {
            Some(Route::Backend(to, _)) => to == service,
            Some(Route::Socket) => service == Service::Chat,
            Some(Route::Own(_)) | None => false,
        };
        if !leads_here {
            continue;
        }
        let mut item = item.clone();
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            let mut problems = Problem::of_backends();
            if operation.get("requestBody").is_some() {
                problems.push(Problem::BodyTooLarge { bytes_max: config.body_bytes_max });
            }
            if Route::find(path) == Some(Route::Socket) {
                problems.push(Problem::OriginRefused);
            }
            add_problems(operation, &problems);
        }
        whole["paths"][path] = item;
    }
}

/// What is there already stays: all share the kit's names.
fn add_components(whole: &mut Value, fragment: &Value) {
    for (kind, components) in fragment["components"].as_object().into_iter().flatten() {
        for (name, component) in components.as_object().into_iter().flatten() {
            if whole["components"][kind].get(name).is_none() {
                whole["components"][kind][name] = component.clone();
            }
        }
    }
}

fn operations(paths: &mut Value) -> impl Iterator<Item = &mut Value> {
    let items = paths.as_object_mut().into_iter().flat_map(Map::values_mut);
    items.flat_map(|item| item.as_object_mut().into_iter().flat_map(Map::values_mut))
}

/// Adds problems to the answers of an operation, each to that with its status.
fn add_problems(operation: &mut Value, problems: &[Problem]) {
    for problem in problems {
        let status = problem.status().as_u16();
        let response = &mut operation["responses"][status.to_string()];
        if response.is_null() {
            *response = json!({ "description": "", "headers": { "X-Request-Id": { "$ref": "#/components/headers/X-Request-Id" } } });
        }
        if status == 503 && response["headers"].get("Retry-After").is_none() {
            response["headers"]["Retry-After"] = json!({ "$ref": "#/components/headers/Retry-After" });
        }
        if response["content"].get(PROBLEM).is_none() {
            response["content"][PROBLEM] = json!({
                "schema": {
                    "allOf": [
                        { "$ref": "#/components/schemas/Problem" },
                        { "type": "object", "properties": { "status": { "const": status }, "code": { "enum": [] } } },
                    ],
                },
                "examples": {},
            });
        }
        let code = problem.code();
        let is_known = response["content"][PROBLEM]["examples"].get(code).is_some();
        if is_known {
            continue;
        }
        if let Some(codes) = response["content"][PROBLEM]["schema"]["allOf"][1]["properties"]["code"]["enum"].as_array_mut() {
            codes.push(json!(code));
        }
        response["content"][PROBLEM]["examples"][code] = json!({ "$ref": format!("#/components/examples/{code}") });
        let said = response["description"].as_str().unwrap_or_default();
        response["description"] = json!(format!("{said} `{code}`: {}.", problem.detail()).trim());
    }
}

fn example(problem: Problem) -> Value {
    let answer = problem.answer("01a20ae6-e6b2-700c-9f9d-d85e28e04beb");
    json!({ "summary": problem.detail(), "value": serde_json::from_slice::<Value>(&answer.body).unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::config;

    fn fragment(path: &str) -> Value {
        json!({
            "openapi": "3.1.0",
            "paths": { path: { "get": { "operationId": "x", "responses": { "200": { "description": "fine" } } } } },
            "components": { "schemas": { "X": {}, "Problem": "theirs" }, "examples": { "x_missing": {} } },
        })
    }

    #[test]
    fn paths_are_taken_from_whom_the_door_leads_to() {
        let fragments =
            [(Service::Users, Some(fragment("/users/{id}"))), (Service::Chat, Some(fragment("/users/x"))), (Service::Analytics, None)];
        let whole = merge("1", &config(), &fragments);
        assert_eq!(whole["paths"]["/users/{id}"]["get"]["operationId"], "x");
        assert!(whole["paths"].get("/users/x").is_none() && whole["paths"].get("/livez").is_some());
        assert!(whole["components"]["schemas"].get("X").is_some() && whole["components"]["schemas"]["Problem"].is_object());
        let codes = whole["components"]["schemas"]["ProblemCode"]["enum"].as_array().unwrap();
        assert!(codes.contains(&json!("x_missing")) && codes.contains(&json!("bad_gateway")), "{codes:?}");
    }

    #[test]
    fn what_the_door_says_is_told_of_each_operation() {
        let whole = merge("1", &config(), &[(Service::Chat, Some(fragment("/ws")))]);
        let responses = &whole["paths"]["/ws"]["get"]["responses"];
        assert_eq!(responses["200"]["description"], "fine");
        assert_eq!(responses["403"]["content"][PROBLEM]["schema"]["allOf"][1]["properties"]["code"]["enum"], json!(["origin_refused"]));
        assert!(responses["503"]["headers"].get("Retry-After").is_some());
        assert!(responses.get("413").is_none(), "it takes no body");
    }

    #[test]
    fn every_own_page_is_told_of_and_whatever_is_told_of_is_one() {
        let whole = merge("1", &config(), &[]);
        let mut pages = Vec::new();
        for (path, item) in whole["paths"].as_object().unwrap() {
            let path = path.replace("{code}", item["get"]["parameters"][0]["example"].as_str().unwrap_or_default());
            let Some(Route::Own(page)) = Route::find(&path) else { panic!("{path} is none of our pages") };
            pages.push(std::mem::discriminant(&page));
        }
        // What is not told of sends elsewhere, `/docs`, or is for people only and not always there, `/app/`.
        assert_eq!(pages.len(), crate::route::OwnPage::KINDS - 2);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let whole = merge("1", &config(), &[]);
        let text = whole.to_string();
        for part in text.split("\"$ref\":\"#").skip(1) {
            let pointer = part.split('"').next().unwrap();
            assert!(whole.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
