//! The table of a backend's routes: what each promises, beside what keeps the promise.
//!
//! Both the router and the document are made of it, so that neither can know a path that the other does not. The path is judged
//! first and the method second: a wrong path is 404, a wrong method 405 with those that are right.

use http::{HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};
use warp::filters::BoxedFilter;
use warp::path::FullPath;
use warp::{Filter, Rejection, Reply};

use super::document;
use super::operation::{Answer, Operation, schema};
use super::reply::{Response, json, raw_json};
use super::routes::{any_of, refuse_method, route};
use crate::health::{Health, Status};

/// A backend's routes, in the order in which they were put in.
pub struct Table {
    title: &'static str,
    schemas: Map<String, Value>,
    routes: Vec<(Operation, BoxedFilter<(Response,)>)>,
}

impl Table {
    /// A table without routes. `schemas` are named in a JSON object, the text of a backend's `schemas.json`.
    pub fn new(title: &'static str, schemas: &str) -> Self {
        let schemas = serde_json::from_str(schemas).unwrap_or_else(|error| panic!("the schemas of {title}: {error}"));
        Self { title, schemas, routes: Vec::new() }
    }

    /// A schema of this table, where a setting has a part in it.
    pub fn schema_mut(&mut self, name: &str) -> &mut Value {
        self.schemas.get_mut(name).unwrap_or_else(|| panic!("there is no schema {name}"))
    }

    /// A route whose path has no parameter. What it gets has matched path and method.
    pub fn on<F, R>(self, operation: Operation, answer: impl FnOnce(BoxedFilter<()>) -> F) -> Self
    where
        F: Filter<Extract = (R,), Error = Rejection> + Send + Sync + 'static,
        R: Reply,
    {
        let answer = answer(matched(&operation).map(drop).untuple_one().boxed());
        self.add(operation, answer)
    }

    /// A route whose path has one parameter, which it gets, as it was sent.
    pub fn on_each<F, R>(self, operation: Operation, answer: impl FnOnce(BoxedFilter<(String,)>) -> F) -> Self
    where
        F: Filter<Extract = (R,), Error = Rejection> + Send + Sync + 'static,
        R: Reply,
    {
        let answer = answer(matched(&operation).boxed());
        self.add(operation, answer)
    }

    /// `/livez`, which says that the process runs, and `/readyz`, which says what `check` finds.
    pub fn health<C, F>(self, check: C) -> Self
    where
        C: Fn() -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Health> + Send + 'static,
    {
        let live = Operation::new("GET /livez", "getLiveness", "Says that the process runs.")
            .answers(Answer::new(200, "It runs.").json(schema("Health")));
        let ready = Operation::new("GET /readyz", "getReadiness", "Says whether this replica can serve.")
            .answers(Answer::new(200, "It can, perhaps with less.").json(schema("Health")))
            .answers(Answer::new(503, "It cannot.").json(schema("Health")).with("Retry-After", "Seconds.", json!({ "type": "integer" })));
        self.on(live, |at| at.map(|| json(StatusCode::OK, &Health::of([])))).on(ready, |at| {
            at.then(move || {
                let health = check();
                async move {
                    let health = health.await;
                    let can_serve = health.status != Status::Fail;
                    json(if can_serve { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &health)
                }
            })
        })
    }

    fn add<F, R>(mut self, operation: Operation, answer: F) -> Self
    where
        F: Filter<Extract = (R,), Error = Rejection> + Send + Sync + 'static,
        R: Reply,
    {
        let name = operation.name;
        assert!(self.routes.iter().all(|(other, _)| other.name != name && other.id != operation.id), "{name} is there already");
        self.routes.push((operation, route(name, answer)));
        self
    }

    /// Method and path of every route.
    #[cfg(feature = "testing")]
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.routes.iter().map(|(operation, _)| operation.name)
    }

    /// The document of all routes.
    pub fn document(&self) -> Value {
        document::write(self.title, &self.schemas, self.routes.iter().map(|(operation, _)| operation).chain([&itself()]))
    }

    /// The router: all routes, the document of them at `/openapi.json`, and a problem for whatever else is asked.
    pub fn into_routes(self) -> BoxedFilter<(Response,)> {
        let mut text = serde_json::to_vec(&self.document()).expect("JSON always serializes");
        text.push(b'\n');
        let text = bytes::Bytes::from(text);
        let table = self.on(itself(), |at| at.map(move || raw_json(StatusCode::OK, text.clone(), None, None)));
        let mut routes = Vec::new();
        let mut seen: Vec<&'static str> = Vec::new();
        for (operation, _) in &table.routes {
            let template = operation.template();
            if seen.contains(&template) {
                continue;
            }
            seen.push(template);
            let here = || table.routes.iter().filter(|(other, _)| other.template() == template);
            routes.extend(here().map(|(_, route)| route.clone()));
            routes.push(refuse_others(template, allow(here().map(|(operation, _)| operation))));
        }
        any_of(routes)
    }
}

fn itself() -> Operation {
    Operation::new("GET /openapi.json", "getDocument", "This document.")
        .answers(Answer::new(200, "OpenAPI 3.1.").json(json!({ "type": "object" })))
}

/// The end of a path's routes: whatever method comes here, it is none of `allow`.
fn refuse_others(template: &'static str, allow: String) -> BoxedFilter<(Response,)> {
    let value = HeaderValue::try_from(allow.as_str()).expect("methods are plain words");
    at_path(template).map(move |_| refuse_method(value.clone(), &allow)).boxed()
}

/// Whoever answers GET answers HEAD, unless the answer is another protocol.
fn allow<'a>(operations: impl Iterator<Item = &'a Operation>) -> String {
    let mut methods = Vec::new();
    for operation in operations {
        methods.push(operation.method());
        let is_upgrade = operation.answers.iter().any(|answer| answer.status == 101);
        if operation.method() == "GET" && !is_upgrade {
            methods.push("HEAD");
        }
    }
    let order = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    methods.sort_by_key(|method| order.iter().position(|other| other == method));
    methods.join(", ")
}

/// Path and method of an operation; what stands for its parameter, else nothing.
fn matched(operation: &Operation) -> impl Filter<Extract = (String,), Error = Rejection> + Clone + use<> {
    let method = Method::from_bytes(operation.method().as_bytes()).expect("a name begins with a method");
    let is_method = move |asked: Method| std::future::ready(if asked == method { Ok(()) } else { Err(warp::reject()) });
    at_path(operation.template()).and(warp::method().and_then(is_method).untuple_one())
}

fn at_path(template: &'static str) -> impl Filter<Extract = (String,), Error = Rejection> + Clone {
    warp::path::full().and_then(move |path: FullPath| std::future::ready(parameter(template, path.as_str()).ok_or_else(warp::reject)))
}

/// What stands for the parameter of `template` in `path`: empty where there is none, `None` where the path is another one.
fn parameter(template: &str, path: &str) -> Option<String> {
    let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
    let mut segments = path.split('/');
    let mut found = "";
    for expected in template.split('/') {
        let segment = segments.next()?;
        let is_parameter = expected.starts_with('{');
        match is_parameter {
            true if segment.is_empty() => return None,
            true => found = segment,
            false if segment == expected => {}
            false => return None,
        }
    }
    segments.next().is_none().then(|| found.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_fits_its_template_or_not() {
        for (template, path, expected) in [
            ("/users", "/users", Some("")),
            ("/users", "/users/", Some("")),
            ("/users", "/users/1", None),
            ("/users", "/usersx", None),
            ("/users/{id}", "/users/1", Some("1")),
            ("/users/{id}", "/users/", None),
            ("/users/{id}", "/users//", None),
            ("/users/{id}", "/users/1/2", None),
            ("/rooms/{room}/messages", "/rooms/a%20b/messages", Some("a%20b")),
            ("/rooms/{room}/messages", "/rooms//messages", None),
            ("/rooms/{room}/messages", "/rooms/a/messages/", Some("a")),
            ("/rooms/{room}/messages", "/rooms/a", None),
        ] {
            assert_eq!(parameter(template, path).as_deref(), expected, "{template} {path}");
        }
    }

    #[test]
    fn a_path_is_judged_before_its_method() {
        let says = |status: u16| move |at: BoxedFilter<()>| at.map(move || json(StatusCode::from_u16(status).expect("a status"), &status));
        let _ = Table::new("test", "{}")
            .on(Operation::new("GET /a", "getA", "A."), says(200))
            .on(Operation::new("POST /a", "postA", "A."), says(201))
            .into_routes();
        let operations = [Operation::new("POST /a", "postA", "A."), Operation::new("GET /a", "getA", "A.")];
        assert_eq!(allow(operations.iter()), "GET, HEAD, POST");
        let socket = Operation::new("GET /ws", "connect", "A socket.").answers(Answer::new(101, "It is one."));
        assert_eq!(allow([socket].iter()), "GET");
    }

    #[test]
    #[should_panic(expected = "there already")]
    fn no_route_is_there_twice() {
        let empty = |at: BoxedFilter<()>| at.map(Response::default);
        let _ = Table::new("test", "{}").on(Operation::new("GET /a", "one", "A."), empty).on(Operation::new("GET /a", "two", "A."), empty);
    }
}
