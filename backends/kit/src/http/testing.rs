//! What every backend's table must hold, asked over a real socket.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Config, Table, serve};

/// Serves a table, reads its document from it, and asks every operation of the document, and every path for a method it has
/// not: what is written is routed, and what is routed is written.
pub async fn router_and_document_agree(table: Table) {
    let names: Vec<&'static str> = table.names().collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let config = Config { header_timeout_s: 10, connections_max: 10, stop_grace: std::time::Duration::ZERO };
    let serving = tokio::spawn(serve("test", config, vec![listener], table.into_routes(), std::future::pending()));

    let document: Value = serde_json::from_str(&ask(&address, "GET", "/openapi.json").await.body).expect("JSON");
    let mut written = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        let operations = operations.as_object().expect("operations");
        for (method, operation) in operations {
            let method = method.to_ascii_uppercase();
            written.push(format!("{method} {path}"));
            let reply = ask(&address, &method, &with_examples(path, operation)).await;
            assert!(!matches!(reply.status, 405) && reply.code() != "not_found", "{method} {path} is not routed: {reply:?}");
            let status = reply.status.to_string();
            assert!(operation["responses"].get(&status).is_some(), "{method} {path} does not tell of {status}: {reply:?}");
        }
        let any = operations.values().next().expect("an operation");
        let refused = ask(&address, "TRACE", &with_examples(path, any)).await;
        let allowed: Vec<&str> = refused.allow.split(", ").filter(|method| *method != "HEAD").collect();
        let mut expected: Vec<String> = operations.keys().map(|method| method.to_ascii_uppercase()).collect();
        expected.sort_unstable_by_key(|method| allowed.iter().position(|other| other == method));
        assert_eq!((refused.status, allowed), (405, expected.iter().map(String::as_str).collect()), "{path}");
    }
    let mut routed: Vec<String> = names.iter().map(|name| (*name).to_owned()).chain(["GET /openapi.json".to_owned()]).collect();
    routed.sort_unstable();
    written.sort_unstable();
    assert_eq!(routed, written);
    assert_eq!(ask(&address, "GET", "/nowhere").await.code(), "not_found");
    serving.abort();
}

/// The path with each parameter's example in its place.
fn with_examples(path: &str, operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    parameters.iter().filter(|parameter| parameter["in"] == "path").fold(path.to_owned(), |path, parameter| {
        let name = parameter["name"].as_str().expect("a name");
        let example = parameter["example"].as_str().unwrap_or_else(|| panic!("{name} has no example"));
        path.replace(&format!("{{{name}}}"), example)
    })
}

#[derive(Debug)]
struct Reply {
    status: u16,
    allow: String,
    body: String,
}

impl Reply {
    fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }
}

async fn ask(address: &str, method: &str, path: &str) -> Reply {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it listens");
    let mut answer = String::new();
    let reading = tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await;
    reading.expect("an answer in time").expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let allow = head.lines().find_map(|line| line.strip_prefix("allow: ")).unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Reply { status, allow: allow.to_owned(), body: body.to_owned() }
}
