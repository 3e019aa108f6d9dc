//! The endpoints as plain functions, over a real store.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kit::bus::Bus;
use kit::cache::Cache;
use kit::http::{Body, Query};

use super::*;
use crate::Config;
use crate::store::Conditions;
use crate::store::sqlite::SqliteStore;

struct Setup {
    users: Users,
    bus: Arc<kit::bus::InProcess>,
    _folder: tempfile::TempDir,
}

use crate::Users;

fn setup() -> Setup {
    let folder = tempfile::tempdir().expect("a folder");
    let http = kit::http::Config { header_timeout_s: 10, connections_max: 10, stop_grace: std::time::Duration::ZERO };
    let config = Config { http, body_bytes_max: 1000, cache_bytes_max: 100_000, cache_ttl_s: 60 };
    let bus = Arc::new(kit::bus::InProcess::default());
    let cache: Arc<dyn Cache> = Arc::new(kit::cache::InProcess::new(100_000, Duration::from_secs(60)));
    let store = Arc::new(SqliteStore::open(folder.path()).expect("a store"));
    Setup { users: Users::new(config, store, bus.clone(), cache, kit::clock::now), bus, _folder: folder }
}

fn json(text: &str) -> Body {
    Body { bytes: Ok(Bytes::from(text.to_owned())), content_type: "application/json".to_owned(), content_encoding: String::new() }
}

async fn create(users: &Users, name: &str) -> crate::cached::View {
    let body = json(&format!(r#"{{"name":"{name}","email":"{name}@example.com"}}"#));
    create_user(body, users.clone()).await.expect("created")
}

#[tokio::test]
async fn a_new_user_is_told_on_the_bus() {
    let setup = setup();
    let mut heard = setup.bus.subscribe(kit::happening::TOPIC);
    let view = create(&setup.users, "ada").await;
    let Some(kit::bus::Delivery::Message(payload)) = heard.try_next() else { panic!("nothing was told") };
    let happening: kit::happening::Happening = serde_json::from_slice(&payload).expect("a happening");
    assert_eq!((happening.name.as_str(), happening.user_id), ("user.created", Some(view.id.to_string())));
}

#[tokio::test]
async fn a_read_after_a_change_sees_the_change_and_after_a_deletion_nobody() {
    let setup = setup();
    let id = create(&setup.users, "ada").await.id.to_string();
    let get = || get_user(id.clone(), Conditions::default(), Query::default(), setup.users.clone());
    assert!(matches!(get().await, Ok(Found::Modified(view)) if view.version == 1));
    let changed = change_user(id.clone(), Conditions::default(), json(r#"{"name":"Countess"}"#), setup.users.clone()).await.unwrap();
    assert!(matches!(get().await, Ok(Found::Modified(view)) if view == changed));
    delete_user(id.clone(), Conditions::default(), Query::default(), setup.users.clone()).await.unwrap();
    assert!(matches!(get().await, Err(Error::NotFound)));
}

#[tokio::test]
async fn the_pages_of_a_list_follow_each_other_to_the_end() {
    let setup = setup();
    for number in 0..5 {
        create(&setup.users, &format!("u{number}")).await;
    }
    let mut query = Query("limit=2&q=example.com".to_owned());
    let mut names = Vec::new();
    loop {
        let page = list_users(query, setup.users.clone()).await.unwrap();
        names.extend(page.users.iter().map(|user| user.name.as_str().to_owned()));
        let Some(link) = page.link else { break };
        let target = link.strip_prefix("</users?").and_then(|link| link.strip_suffix(">; rel=\"next\"")).expect("a link").to_owned();
        query = Query(target);
    }
    assert_eq!(names, ["u4", "u3", "u2", "u1", "u0"]);
}

#[tokio::test]
async fn a_bad_page_is_refused() {
    let setup = setup();
    for (query, code) in [
        ("limit=0", "invalid_query"),
        ("limit=201", "invalid_query"),
        ("page=2", "invalid_query"),
        ("cursor=abc", "invalid_cursor"),
        ("cursor=", "invalid_cursor"),
    ] {
        let error = list_users(Query(query.to_owned()), setup.users.clone()).await.expect_err("refused");
        assert_eq!(kit::problem::Describe::code(&error), code, "{query}");
    }
}

#[test]
fn an_id_is_a_hyphenated_uuid() {
    assert!(parse_id("0190a6e2-7c3a-7b3e-8f0a-1b2c3d4e5f60").is_ok());
    assert!(parse_id("0190A6E2-7C3A-7B3E-8F0A-1B2C3D4E5F60").is_ok());
    for bad in ["", "1", "0190a6e27c3a7b3e8f0a1b2c3d4e5f60", "{0190a6e2-7c3a-7b3e-8f0a-1b2c3d4e5f60}", "' or 1=1 --"] {
        assert!(parse_id(bad).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn the_document_tells_what_is_routed_and_nothing_else() {
    let setup = setup();
    kit::http::testing::router_and_document_agree(crate::routes::table(setup.users.clone())).await;
}
