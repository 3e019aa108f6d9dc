//! The contract as a document: what the door shows of itself and of everything behind it, and that it is true.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Reply, Role, Setup, System, eventually, in_every_shape};

in_every_shape!(
    the_document_describes_everything_behind_the_door,
    whatever_is_described_is_there,
    a_known_document_is_not_sent_again,
    the_type_of_a_problem_leads_to_its_page,
);

/// The document, once all backends have shown their part.
async fn document(system: &System) -> Value {
    let is_complete = |document: &Value| ["/users", "/chat", "/analytics"].iter().all(|path| document["paths"].get(*path).is_some());
    eventually("the document is complete", async || {
        let reply = system.get("/openapi.json").await;
        reply.status == 200 && is_complete(&reply.json())
    })
    .await;
    system.get("/openapi.json").await.json()
}

/// Method, path and operation, of all there are.
fn operations(document: &Value) -> Vec<(Method, &String, &Value)> {
    let items = document["paths"].as_object().unwrap().iter();
    items
        .flat_map(|(path, item)| {
            let operations = item.as_object().unwrap().iter();
            operations.map(move |(method, operation)| (method.to_ascii_uppercase().parse().unwrap(), path, operation))
        })
        .collect()
}

async fn the_document_describes_everything_behind_the_door(system: System) {
    let document = document(&system).await;
    assert_eq!((&document["openapi"], &document["info"]["version"]), (&json!("3.1.0"), &json!(env!("CARGO_PKG_VERSION"))));
    let ids: BTreeSet<&str> = operations(&document).iter().map(|(_, _, operation)| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), operations(&document).len(), "each has its own id: {ids:?}");
    for id in ["createUser", "changeUser", "sendMessage", "openSocket", "trackEvents", "getStatus", "getProblem"] {
        assert!(ids.contains(id), "{id} of {ids:?}");
    }
    for pointer in document.to_string().split("\"$ref\":\"#").skip(1).map(|part| part.split('"').next().unwrap()) {
        assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
    // What a backend says of its schemas is what the door shows; only codes are those of all.
    for role in [Role::Users, Role::Chat, Role::Analytics] {
        let own = system.get_at(system.address(role), "/openapi.json").await.json();
        for (name, schema) in own["components"]["schemas"].as_object().unwrap().iter().filter(|(name, _)| *name != "ProblemCode") {
            assert_eq!(&document["components"]["schemas"][name], schema, "{name} of {role:?}");
        }
        for code in own["components"]["schemas"]["ProblemCode"]["enum"].as_array().unwrap() {
            assert!(document["components"]["schemas"]["ProblemCode"]["enum"].as_array().unwrap().contains(code), "{code} of {role:?}");
        }
    }
}

async fn whatever_is_described_is_there(system: System) {
    let document = document(&system).await;
    for (method, path, operation) in operations(&document) {
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let path = parameters.iter().filter(|parameter| parameter["in"] == "path").fold(path.clone(), |path, parameter| {
            path.replace(&format!("{{{}}}", parameter["name"].as_str().unwrap()), parameter["example"].as_str().unwrap())
        });
        let reply = system.send(system.request(method.clone(), &path)).await;
        let is_problem = reply.header("content-type") == Some("application/problem+json");
        let code = if is_problem { reply.code() } else { String::new() };
        assert!(!["not_found", "method_not_allowed"].contains(&code.as_str()), "{method} {path}: {reply:?}");
        let described = &operation["responses"][reply.status.to_string()];
        assert!(described.is_object(), "{method} {path} may not be answered {}: {reply:?}", reply.status);
        if is_problem {
            let examples = &described["content"]["application/problem+json"]["examples"];
            assert!(examples.get(&code).is_some(), "{method} {path} does not tell of {code}: {examples}");
        }
        // Examples are whole problems of the code they stand for.
        let examples = operation["responses"].as_object().unwrap().values();
        for (code, example) in examples.filter_map(|each| each["content"]["application/problem+json"]["examples"].as_object()).flatten() {
            let value = &document.pointer(&example["$ref"].as_str().unwrap()[1..]).unwrap()["value"];
            assert_eq!((&value["code"], &value["type"]), (&json!(code), &json!(format!("/problems/{code}"))));
        }
    }
}

async fn a_known_document_is_not_sent_again(system: System) {
    document(&system).await;
    let first = system.get("/openapi.json").await;
    assert_eq!((first.status, first.header("content-type")), (200, Some("application/json")));
    let etag = first.header("etag").unwrap().to_owned();
    for (tags, status) in [(etag.clone(), 304), (format!("\"x\", W/{etag}"), 304), ("*".to_owned(), 304), ("\"x\"".to_owned(), 200)] {
        let reply = system.send(system.request(Method::GET, "/openapi.json").header("if-none-match", &tags)).await;
        assert_eq!((reply.status, reply.header("etag"), reply.body.is_empty()), (status, Some(&*etag), status == 304), "{tags}");
    }
    let head = system.send(system.request(Method::HEAD, "/openapi.json")).await;
    assert_eq!((head.status, head.header("etag"), head.body.len()), (200, Some(&*etag), 0));
}

async fn the_type_of_a_problem_leads_to_its_page(system: System) {
    let john = json!({ "name": "John Doe", "email": "john@example.com" });
    assert_eq!(system.post("/users", &john).await.status, 201);
    let taken = system.post("/users", &john).await;
    let page = taken.json()["type"].as_str().unwrap().to_owned();
    let shown = async |accept: &str| system.send(system.request(Method::GET, &page).header("accept", accept)).await;
    let is_of = |reply: &Reply, content_type: &str| reply.status == 200 && reply.header("content-type").unwrap().starts_with(content_type);
    let html = shown("text/html,*/*;q=0.8").await;
    assert!(is_of(&html, "text/html") && html.text().contains("<h2>Cause</h2>") && html.text().contains("curl "), "{html:?}");
    assert!(html.header("content-security-policy").unwrap().starts_with("default-src 'none'"), "{html:?}");
    let json = shown("application/json").await;
    assert!(is_of(&json, "application/json") && json.json()["cure"].is_string(), "{json:?}");
    let text = shown("*/*").await;
    assert!(is_of(&text, "text/markdown") && text.text().starts_with("# email_taken\n"), "{text:?}");

    let all = system.send(system.request(Method::GET, "/problems/").header("accept", "application/json")).await.json();
    for problem in all.as_array().unwrap() {
        let code = problem["code"].as_str().unwrap();
        assert_eq!(system.get(&format!("/problems/{code}")).await.status, 200, "{code}");
    }
    assert_eq!(system.get("/problems/no_such_code").await.code(), "not_found");
}

#[tokio::test]
async fn what_was_known_of_a_backend_is_still_described_while_it_is_away() {
    let mut system = Setup::roles().set("gateway.document_refresh_s=1").start().await;
    let whole = document(&system).await;
    system.kill(Role::Users).await;
    eventually("the door knows", async || system.get("/users").await.status == 503).await;
    assert_eq!(system.get("/openapi.json").await.json(), whole);
    // One that never saw it tells of the others.
    system.restart_with(Role::Gateway, &[]).await;
    eventually("the others are described", async || system.get("/openapi.json").await.status == 200).await;
    eventually("both of them", async || {
        let document = system.get("/openapi.json").await.json();
        document["paths"].get("/chat").is_some()
            && document["paths"].get("/analytics").is_some()
            && document["paths"].get("/users").is_none()
    })
    .await;
}

#[tokio::test]
async fn a_document_that_nobody_knows_is_to_be_asked_for_again() {
    let system = Setup::all_in_one().set("gateway.document_refresh_s=0").start().await;
    let reply = system.get("/openapi.json").await;
    assert_eq!((reply.status, reply.code().as_str(), reply.header("retry-after")), (503, "document_unknown", Some("1")));
}

#[tokio::test]
async fn the_page_of_the_document_needs_nobody_else_and_writes_no_script_into_itself() {
    let system = System::all_in_one().await;
    let page = system.get("/docs/").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; ") && !policy.contains("unsafe"), "{policy}");
    assert!(!page.text().contains("://") && !page.text().contains("<script>"), "{}", page.text());
    for (file, content_type) in [
        ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("swagger-ui.css", "text/css; charset=utf-8"),
        ("start.js", "text/javascript; charset=utf-8"),
    ] {
        let reply = system.get(&format!("/docs/{file}")).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(content_type)), "{file}");
        assert!(page.text().contains(file));
    }
    let elsewhere = system.raw(b"GET /docs HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!((elsewhere.status, elsewhere.header("location")), (308, Some("/docs/")));
}
