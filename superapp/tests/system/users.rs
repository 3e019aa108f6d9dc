//! Accounts, through the gateway.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Reply, System, in_every_shape};

in_every_shape!(
    a_new_user_is_found_where_the_answer_says,
    users_are_listed_newest_first_page_by_page,
    users_are_searched_by_name_and_address,
    putting_replaces_and_patching_merges,
    a_deleted_user_is_gone,
    an_address_can_be_taken_only_once,
    a_known_version_is_not_sent_again,
    a_change_needs_the_version_it_was_made_for,
    a_body_that_is_no_json_is_malformed,
    a_body_of_the_wrong_shape_is_told_field_by_field,
    another_content_type_is_refused,
    a_body_that_is_too_large_is_refused_and_the_refusal_can_be_read,
    a_chunked_body_is_a_body,
    an_id_is_a_uuid,
    an_unknown_user_is_not_found,
    a_query_out_of_range_is_refused,
    a_method_a_path_does_not_take_is_told_with_those_it_takes,
);

fn path(user: &Value) -> String {
    format!("/users/{}", user["id"].as_str().unwrap())
}

async fn send_text(system: &System, method: Method, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Reply {
    system.send(system.request(method, path).header("content-type", content_type).body(body)).await
}

async fn post_text(system: &System, body: impl Into<reqwest::Body>) -> Reply {
    send_text(system, Method::POST, "/users", "application/json", body).await
}

async fn a_new_user_is_found_where_the_answer_says(system: System) {
    let created = system.post("/users", &json!({"name": "John Doe", "email": "john@example.com"})).await;
    assert_eq!((created.status, created.header("content-type"), created.header("etag")), (201, Some("application/json"), Some("\"1\"")));
    let john = created.json();
    assert_eq!((&john["name"], &john["email"]), (&json!("John Doe"), &json!("john@example.com")));
    assert_eq!(john["created_at"], john["updated_at"]);
    let location = created.header("location").unwrap();
    assert_eq!(location, path(&john));
    for _ in 0..2 {
        let found = system.get(location).await;
        assert_eq!((found.status, found.header("etag"), found.json()), (200, Some("\"1\""), john.clone()));
    }
    let head = system.send(system.request(Method::HEAD, location)).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

async fn users_are_listed_newest_first_page_by_page(system: System) {
    assert_eq!(system.get("/users").await.json(), json!([]));
    for number in 0..5 {
        system.sign_up(&format!("u{number}")).await;
    }
    let mut next = Some("/users?limit=2".to_owned());
    let mut pages = Vec::new();
    while let Some(path) = next {
        let reply = system.get(&path).await;
        assert_eq!(reply.status, 200);
        let names: Vec<_> = reply.json().as_array().unwrap().iter().map(|user| user["name"].as_str().unwrap().to_owned()).collect();
        pages.push(names.join(" "));
        next = reply.header("link").map(|link| {
            let target = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
            target.unwrap_or_else(|| panic!("{link}")).to_owned()
        });
    }
    assert_eq!(pages, ["u4 u3", "u2 u1", "u0"]);
    assert_eq!(system.get("/users").await.json().as_array().unwrap().len(), 5);
}

async fn users_are_searched_by_name_and_address(system: System) {
    for name in ["ada", "grace", "alan"] {
        system.sign_up(name).await;
    }
    for (query, found) in [("ADA", 1), ("@example.com", 3), ("nobody", 0), ("%25", 0), ("'%20or%201=1%20--", 0)] {
        assert_eq!(system.get(&format!("/users?q={query}")).await.json().as_array().unwrap().len(), found, "{query}");
    }
}

async fn putting_replaces_and_patching_merges(system: System) {
    let ada = system.sign_up("ada").await;
    let replaced = system.put(&path(&ada), &json!({"name": "Countess", "email": "countess@example.com"})).await;
    assert_eq!((replaced.status, replaced.header("etag")), (200, Some("\"2\"")));
    let merged = system.patch(&path(&ada), &json!({"name": "Ada"})).await;
    assert_eq!((merged.status, merged.header("etag")), (200, Some("\"3\"")));
    assert_eq!((&merged.json()["name"], &merged.json()["email"]), (&json!("Ada"), &json!("countess@example.com")));
    let merge = "application/merge-patch+json; charset=utf-8";
    let merged = send_text(&system, Method::PATCH, &path(&ada), merge, r#"{"email":"ada@example.com"}"#).await;
    assert_eq!((merged.status, &merged.json()["email"]), (200, &json!("ada@example.com")));
    let found = system.get(&path(&ada)).await.json();
    assert_eq!((&found, &found["created_at"]), (&merged.json(), &ada["created_at"]));

    let half = system.put(&path(&ada), &json!({"name": "Ada"})).await;
    assert_eq!((half.status, half.faults()), (422, vec![("/email".into(), "required".into())]), "PUT wants all of it");
}

async fn a_deleted_user_is_gone(system: System) {
    let ada = system.sign_up("ada").await;
    let deleted = system.delete(&path(&ada)).await;
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    assert_eq!(system.get(&path(&ada)).await.code(), "user_not_found");
    assert_eq!(system.delete(&path(&ada)).await.code(), "user_not_found");
    assert_eq!(system.get("/users").await.json(), json!([]));
    system.sign_up("ada").await;
}

async fn an_address_can_be_taken_only_once(system: System) {
    system.sign_up("ada").await;
    let bob = system.sign_up("bob").await;
    let theirs = json!({"name": "Other", "email": "ADA@Example.com"});
    for reply in [
        system.post("/users", &theirs).await,
        system.put(&path(&bob), &theirs).await,
        system.patch(&path(&bob), &json!({"email": "Ada@example.com"})).await,
    ] {
        assert_eq!((reply.status, reply.code().as_str()), (409, "email_taken"));
    }
    assert_eq!(system.get(&path(&bob)).await.json(), bob);
    assert_eq!(system.patch(&path(&bob), &json!({"email": "BOB@example.com"})).await.status, 200, "one's own is not taken");
}

async fn a_known_version_is_not_sent_again(system: System) {
    let ada = system.sign_up("ada").await;
    let get = |tags: &'static str| system.send(system.request(Method::GET, &path(&ada)).header("if-none-match", tags));
    for known in ["\"1\"", "W/\"1\"", "\"7\", \"1\"", "*"] {
        let reply = get(known).await;
        assert_eq!((reply.status, reply.header("etag"), reply.body.len()), (304, Some("\"1\""), 0), "{known}");
    }
    assert_eq!(get("\"2\"").await.status, 200);
    system.patch(&path(&ada), &json!({"name": "Countess"})).await;
    assert_eq!(get("\"1\"").await.status, 200);
}

async fn a_change_needs_the_version_it_was_made_for(system: System) {
    let ada = system.sign_up("ada").await;
    let change = |method: Method, tags: &'static str| {
        let request = system.request(method, &path(&ada)).header("if-match", tags);
        system.send(request.json(&json!({"name": "Countess", "email": "countess@example.com"})))
    };
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        let reply = change(method.clone(), "\"2\"").await;
        assert_eq!((reply.status, reply.code().as_str()), (412, "precondition_failed"), "{method}");
    }
    assert_eq!(change(Method::PATCH, "\"1\"").await.status, 200);
    assert_eq!(change(Method::DELETE, "\"1\"").await.status, 412);
    assert_eq!(change(Method::DELETE, "\"2\"").await.status, 204);
}

async fn a_body_that_is_no_json_is_malformed(system: System) {
    for body in ["", "{", r#"{"name":"Ada","email":"ada@exa"#, r#"{"name":"Ada",}"#, "name=Ada", "{} {}", r#"{"name":"a"b"}"#, "\0"] {
        let reply = post_text(&system, body).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "malformed_json"), "{body}");
    }
    let deep = "[".repeat(50_000);
    assert_eq!(post_text(&system, deep).await.code(), "malformed_json");
    let reply = post_text(&system, b"{\"name\":\"\xff\xfe\",\"email\":\"a@example.com\"}".to_vec()).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_utf8"));
    let ada = system.sign_up("ada").await;
    for method in [Method::PUT, Method::PATCH] {
        assert_eq!(send_text(&system, method, &path(&ada), "application/json", "{").await.code(), "malformed_json");
    }
}

async fn a_body_of_the_wrong_shape_is_told_field_by_field(system: System) {
    let long = format!("{}@example.com", "a".repeat(10_000));
    let name = "x".repeat(201);
    let table = [
        (json!({}), "invalid_user", vec![("/name", "required"), ("/email", "required")]),
        (json!({"name": "Ada", "email": null}), "invalid_user", vec![("/email", "required")]),
        (json!({"name": 7, "email": ["x"]}), "invalid_user", vec![("/name", "invalid_type"), ("/email", "invalid_type")]),
        (json!({"name": " ", "email": "nobody"}), "invalid_user", vec![("/name", "invalid_value"), ("/email", "invalid_value")]),
        (json!({"name": name, "email": long}), "invalid_user", vec![("/name", "invalid_value"), ("/email", "invalid_value")]),
        (
            json!({"name": "a\0b", "email": "a\0@example.com"}),
            "invalid_user",
            vec![("/name", "invalid_value"), ("/email", "invalid_value")],
        ),
        (json!({"name": "Ada", "email": "a@example.com", "role": "admin"}), "invalid_body", vec![("/role", "unknown_field")]),
        (json!({"name": "Ada", "email": "a@example.com", "id": "x"}), "invalid_body", vec![("/id", "unknown_field")]),
        (json!(["Ada", "ada@example.com"]), "invalid_body", vec![("", "invalid_type")]),
        (json!([]), "invalid_body", vec![("", "invalid_type")]),
        (json!("Ada"), "invalid_body", vec![("", "invalid_type")]),
        (json!(null), "invalid_body", vec![("", "invalid_type")]),
    ];
    for (body, code, faults) in table {
        let reply = system.post("/users", &body).await;
        assert_eq!((reply.status, reply.code().as_str()), (422, code), "{body}");
        let faults: Vec<_> = faults.into_iter().map(|(pointer, code)| (pointer.to_owned(), code.to_owned())).collect();
        assert_eq!(reply.faults(), faults, "{body}");
    }
    let ada = system.sign_up("ada").await;
    let reply = system.patch(&path(&ada), &json!({"name": null})).await;
    assert_eq!((reply.status, reply.faults()), (422, vec![("/name".into(), "required".into())]));
    assert_eq!(system.get("/users").await.json().as_array().unwrap().len(), 1, "nothing of it was kept");
}

async fn another_content_type_is_refused(system: System) {
    let body = r#"{"name":"Ada","email":"ada@example.com"}"#;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/merge-patch+json", "application/jsonx"] {
        let reply = send_text(&system, Method::POST, "/users", content_type, body).await;
        assert_eq!((reply.status, reply.code().as_str()), (415, "unsupported_media_type"), "{content_type}");
    }
    let nothing = system.send(system.request(Method::POST, "/users").body(body)).await;
    assert_eq!(nothing.code(), "unsupported_media_type");
    let request = system.request(Method::POST, "/users").header("content-type", "application/json").header("content-encoding", "gzip");
    assert_eq!(system.send(request.body(body)).await.code(), "unsupported_media_type");
    assert_eq!(send_text(&system, Method::POST, "/users", "Application/JSON; charset=utf-8", body).await.status, 201);
}

async fn a_body_that_is_too_large_is_refused_and_the_refusal_can_be_read(system: System) {
    let of = |length: usize| format!(r#"{{"name":"{}"}}"#, "x".repeat(length));
    for length in [100_000, 10_000_000] {
        let body = of(length);
        let reply = post_text(&system, body.clone()).await;
        assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"), "{length} bytes");

        let head =
            "POST /users HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunked = format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        let reply = system.raw(chunked.as_bytes()).await;
        assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"), "{length} bytes in chunks");
    }
    assert_eq!(system.get("/users").await.status, 200, "the system goes on");
}

async fn a_chunked_body_is_a_body(system: System) {
    let head =
        "POST /users HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let reply =
        system.raw(format!("{head}10\r\n{{\"name\":\"Ada\",\"e\r\n1a\r\nmail\":\"ada@example.com\"}}  \r\n0\r\n\r\n").as_bytes()).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
}

async fn an_id_is_a_uuid(system: System) {
    for id in ["1", "not-a-uuid", "'%20or%201=1%20--", "0190a6e27c3a7b3e8f0a1b2c3d4e5f60", &"a".repeat(4000)] {
        let path = format!("/users/{id}");
        let whole = json!({"name": "Ada", "email": "ada@example.com"});
        for reply in
            [system.get(&path).await, system.delete(&path).await, system.put(&path, &whole).await, system.patch(&path, &whole).await]
        {
            assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_id"), "{id}");
        }
    }
}

async fn an_unknown_user_is_not_found(system: System) {
    let path = "/users/0190a6e2-7c3a-7b3e-8f0a-1b2c3d4e5f60";
    let whole = json!({"name": "Ada", "email": "ada@example.com"});
    for reply in [system.get(path).await, system.delete(path).await, system.put(path, &whole).await, system.patch(path, &whole).await] {
        assert_eq!((reply.status, reply.code().as_str()), (404, "user_not_found"));
    }
}

async fn a_query_out_of_range_is_refused(system: System) {
    for (query, code) in [
        ("limit=0", "invalid_query"),
        ("limit=201", "invalid_query"),
        ("limit=-1", "invalid_query"),
        ("limit=many", "invalid_query"),
        ("limit=1&limit=2", "invalid_query"),
        ("page=2", "invalid_query"),
        ("q=%ff", "invalid_query"),
        ("cursor=abc", "invalid_cursor"),
        ("cursor='%20or%201=1", "invalid_cursor"),
    ] {
        let reply = system.get(&format!("/users?{query}")).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, code), "{query}");
    }
    assert_eq!(system.get("/users?limit=200").await.status, 200);
}

async fn a_method_a_path_does_not_take_is_told_with_those_it_takes(system: System) {
    let ada = system.sign_up("ada").await;
    let own = path(&ada);
    let table = [
        ("/users", vec!["PUT", "PATCH", "DELETE", "BREW", "OPTIONS"], "GET, HEAD, POST"),
        (own.as_str(), vec!["POST", "BREW", "TRACE"], "GET, HEAD, PUT, PATCH, DELETE"),
    ];
    for (path, methods, allow) in table {
        for method in methods {
            let reply = system.send(system.request(method.parse().unwrap(), path)).await;
            assert_eq!((reply.status, reply.code().as_str(), reply.header("allow")), (405, "method_not_allowed", Some(allow)), "{method}");
        }
    }
    for path in [format!("{own}/posts"), "/users/x/y".to_owned()] {
        assert_eq!(system.send(system.request("BREW".parse().unwrap(), &path)).await.code(), "not_found", "path first, method second");
    }
}
