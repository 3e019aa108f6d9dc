//! The absences that hold the structure: who may know what. `make check` and `make test` fail when one is broken.
//!
//! What is looked at is code: comments and what follows `#[cfg(test)]` in a file are left out, as are tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const BACKENDS: [&str; 3] = ["users", "chat", "analytics"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// The code of every source file below these folders of the workspace, with its path from there.
fn code_under(folders: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a readable folder");
            open.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let name = path.strip_prefix(root()).expect("below the workspace").to_string_lossy().into_owned();
            let is_test = ["/tests/", "/tests.rs", "/contract.rs"].iter().any(|part| name.contains(part));
            if !is_test {
                found.push((name, code(&std::fs::read_to_string(&path).expect("a source file"))));
            }
        }
    }
    assert!(found.len() > 3, "no code under {folders:?}");
    found
}

/// A file's code without comments and without its tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().map(|line| &line[..comment_start(line)]).collect::<Vec<_>>().join("\n")
}

/// Where a line's comment starts: at the first `//` that is not inside a text such as "http://…".
fn comment_start(line: &str) -> usize {
    let is_outside = |at: usize| line[..at].matches('"').count() - line[..at].matches("\\\"").count();
    line.match_indices("//").map(|(at, _)| at).find(|at| is_outside(*at).is_multiple_of(2)).unwrap_or(line.len())
}

/// The dependencies that a crate's manifest names, those of its tests too.
fn dependencies(folder: &str) -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("a manifest");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = sections.iter().filter_map(|section| manifest.get(*section)?.as_table());
    tables.flat_map(|table| table.keys().cloned()).collect()
}

/// Files that mention one of the words as the start of a path or a name, but are not allowed to.
fn offenders(files: &[(String, String)], words: &[&str], is_allowed: impl Fn(&str) -> bool) -> Vec<String> {
    let mentions = |code: &str| words.iter().any(|word| code.contains(word));
    files.iter().filter(|(name, code)| mentions(code) && !is_allowed(name)).map(|(name, _)| name.clone()).collect()
}

fn has_sql(code: &str) -> bool {
    let starts = ["select ", "insert into ", "insert or ", "update ", "delete from ", "create table ", "create index ", "with recursive "];
    code.split('"').skip(1).step_by(2).any(|literal| {
        let literal = literal.trim_start().to_ascii_lowercase();
        // A sentence may begin with "update"; a statement goes on with its own words.
        starts.iter().any(|start| literal.starts_with(start))
            && [" from ", " set ", " into ", " (", "table ", "index "].iter().any(|word| literal.contains(word))
    })
}

#[test]
fn the_gateway_knows_backends_by_address_only() {
    let ours: BTreeSet<String> = ["kit", "superapp"].iter().chain(&BACKENDS).map(ToString::to_string).collect();
    assert_eq!(dependencies("gateway").intersection(&ours).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn no_backend_uses_anothers_code_and_the_kit_knows_none() {
    for backend in BACKENDS {
        let used = dependencies(&format!("backends/{backend}"));
        let others = BACKENDS.iter().chain(&["gateway", "superapp"]).filter(|other| **other != backend && used.contains(**other));
        assert_eq!(others.collect::<Vec<_>>(), [&""; 0], "used by {backend}");
    }
    let kit = dependencies("backends/kit");
    assert!(BACKENDS.iter().chain(&["gateway", "superapp"]).all(|crate_| !kit.contains(*crate_)));
}

#[test]
fn warp_is_in_routes_and_the_kit_only() {
    let files = code_under(&["superapp/src", "gateway/src", "backends"]);
    let is_allowed = |name: &str| name.ends_with("/routes.rs") || name.starts_with("backends/kit/src/http");
    assert_eq!(offenders(&files, &["warp::"], is_allowed), [""; 0]);
}

#[test]
fn no_driver_type_leaves_the_stores_and_the_kit() {
    let files = code_under(&["superapp/src", "gateway/src", "backends"]);
    let is_allowed = |name: &str| name.contains("/src/store/") || name.starts_with("backends/kit/src/");
    let drivers = ["rusqlite::", "tokio_postgres::", "deadpool_postgres::", "redis::"];
    assert_eq!(offenders(&files, &drivers, is_allowed), [""; 0]);
}

#[test]
fn there_is_no_sql_text_in_rust() {
    let files = code_under(&["superapp/src", "gateway/src", "backends"]);
    let with_sql: Vec<_> = files.iter().filter(|(_, code)| has_sql(code)).map(|(name, _)| name).collect();
    assert_eq!(with_sql, [&""; 0]);
}

/// The files of queries that no code asks for by name. The compiler does not complain of a constant that a macro made.
fn queries_unused(files: &[String], code: &str) -> Vec<String> {
    let is_asked = |name: &str, engine: &str| {
        let asked = format!("queries::{name}.{engine}");
        let ends = |at: usize| !code[at + asked.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
        code.match_indices(&asked).any(|(at, _)| ends(at))
    };
    let is_used = |file: &&String| match file.split_once('.') {
        Some((name, "sqlite.sql")) => is_asked(name, "sqlite"),
        Some((name, "postgres.sql")) => is_asked(name, "postgres"),
        Some((name, "sql")) => is_asked(name, "sqlite") && is_asked(name, "postgres"),
        _ => false,
    };
    files.iter().filter(|file| !is_used(file)).cloned().collect()
}

#[test]
fn every_query_is_asked_on_each_engine_that_it_is_for() {
    for owner in BACKENDS.iter().chain(&["kit"]) {
        let folder = std::fs::read_dir(root().join(format!("sql/{owner}/queries"))).expect("a folder of queries");
        let files: Vec<String> = folder.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned()).collect();
        let code: String = code_under(&[&format!("backends/{owner}/src")]).into_iter().map(|(_, code)| code).collect();
        assert_eq!(queries_unused(&files, &code), [""; 0], "of {owner}");
    }
}

#[test]
fn no_transaction_on_postgres_is_begun_with_a_text_of_the_driver() {
    let files = code_under(&["backends/kit/src/database/postgres", "backends/kit/src/database/postgres.rs"]);
    assert_eq!(offenders(&files, &[".transaction()", ".build_transaction()", ".commit()", ".rollback()"], |_| false), [""; 0]);
}

#[test]
fn only_the_binary_reads_arguments_environment_and_signals() {
    let files = code_under(&["gateway/src", "backends"]);
    let words = ["std::env", "env::var", "tokio::signal", "signal::", "clap::"];
    assert_eq!(offenders(&files, &words, |_| false), [""; 0]);
}

#[test]
fn other_programs_are_run_by_the_tools_of_postgres_only() {
    let files = code_under(&["superapp/src", "gateway/src", "backends"]);
    let is_allowed = |name: &str| name == "backends/kit/src/database/postgres/tools.rs";
    // The binary's own exit code is no other program.
    let words = ["std::process::{", "std::process::Command", "std::process::exit", "process::Command"];
    assert_eq!(offenders(&files, &words, is_allowed), [""; 0]);
}

#[test]
fn only_the_binary_starts_logs_and_the_metrics_recorder() {
    for crate_ in ["gateway", "backends/kit", "backends/users", "backends/chat", "backends/analytics"] {
        let used = dependencies(crate_);
        let recorders = ["tracing-subscriber", "metrics-exporter-prometheus"].iter().filter(|each| used.contains(**each));
        assert_eq!(recorders.collect::<Vec<_>>(), [&""; 0], "used by {crate_}");
    }
}

#[test]
fn pingora_is_in_a_few_files_of_the_gateway_only() {
    let files = code_under(&["superapp/src", "gateway/src", "backends"]);
    // The two engines, and who starts them; the lane meets it where a connection comes in and where a socket goes on.
    let engine = [
        "gateway/src/lane.rs",
        "gateway/src/lane/connection.rs",
        "gateway/src/lane/tunnel.rs",
        "gateway/src/proxy",
        "gateway/src/server.rs",
        "gateway/src/probe.rs",
    ];
    assert_eq!(offenders(&files, &["pingora"], |name| engine.iter().any(|file| name.starts_with(file))), [""; 0]);
}

/// Where codes are said: what follows in the same brackets has them as texts.
const SAYING: [&str; 8] =
    ["fn code(", "fn facts(", "FieldError::new(", "plain(", "let code = match ", "let (code, detail) = match ", " = text(", " = object("];

/// The codes in a file: texts in snake_case where codes are said.
fn codes_said(code: &str) -> BTreeSet<String> {
    let is_code = |text: &&str| {
        text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    let mut found = BTreeSet::new();
    for (at, _) in SAYING.iter().flat_map(|word| code.match_indices(word)) {
        // To the end of a function's body, of a `match`, or of arguments.
        let is_block = code[at..].starts_with("fn ") || code[at..].starts_with("let ");
        let (open, close) = if is_block { ('{', '}') } else { ('(', ')') };
        let Some(start) = code[at..].find(open).map(|start| at + start) else { continue };
        let mut depth = 0;
        let end = code[start..].find(|c: char| {
            depth += i32::from(c == open) - i32::from(c == close);
            depth == 0
        });
        let said = &code[start..start + end.unwrap_or_default()];
        found.extend(said.split('"').skip(1).step_by(2).filter(is_code).map(str::to_owned));
    }
    found
}

#[test]
fn every_code_that_is_said_has_a_page() {
    let files = code_under(&["gateway/src", "backends"]);
    let said: BTreeSet<String> =
        files.iter().filter(|(name, _)| !name.ends_with("/testing.rs")).flat_map(|(_, code)| codes_said(code)).collect();
    for known in ["email_taken", "text_too_long", "bad_gateway", "invalid_at", "required", "malformed_json", "not_found", "origin_refused"]
    {
        assert!(said.contains(known), "{known} is not found: {said:?}");
    }
    let pages = std::fs::read_to_string(root().join("gateway/src/problem_pages/pages.rs")).expect("the pages");
    let without: Vec<_> = said.iter().filter(|code| !pages.contains(&format!("code: \"{code}\""))).collect();
    assert_eq!(without, [""; 0], "these have no page in gateway/src/problem_pages/pages.rs");
    let shown = pages.split("code: \"").skip(1).filter_map(|rest| rest.split('"').next());
    let unsaid: Vec<_> = shown.filter(|code| !said.contains(*code)).collect();
    assert_eq!(unsaid, [""; 0], "nobody says these");
}

#[test]
fn every_path_of_a_backend_is_in_its_table() {
    let files = code_under(&["backends/users/src", "backends/chat/src", "backends/analytics/src"]);
    assert_eq!(offenders(&files, &["warp::path", "any_of("], |_| false), [""; 0]);
}

#[test]
fn the_looking_itself_finds_what_it_should() {
    let file = |text: &str| vec![("backends/users/src/handlers/x.rs".to_owned(), code(text))];
    assert_eq!(offenders(&file("use warp::Filter;"), &["warp::"], |_| false).len(), 1);
    assert_eq!(offenders(&file("// as warp::Filter does"), &["warp::"], |_| false).len(), 0);
    assert_eq!(offenders(&file("#[cfg(test)]\nmod tests {\n use warp::test;\n}"), &["warp::"], |_| false).len(), 0);
    assert!(has_sql(&code("let url = \"http://x\";\nquery(\"select a from users\") // \"")));
    assert!(has_sql(r#"connection.execute("delete from users", [])"#));
    assert!(has_sql("query(\"\n  SELECT id\n  from users \")"));
    assert!(!has_sql(r#"error("update the client and try again")"#));
    let said =
        codes_said("fn code(&self) { match self { A => \"a_b\", B => \"No code\" } } FieldError::new(\"/x\", \"c\", f(\"D\")); \"e\"");
    assert_eq!(said.into_iter().collect::<Vec<_>>(), ["a_b", "c"]);
    let files = ["a.sql", "b.sqlite.sql", "c.postgres.sql", "d.sql", "e.txt"].map(str::to_owned);
    let code = "queries::a.sqlite.text queries::a.postgres, queries::b.sqlite, queries::c_more.postgres, queries::d.postgres";
    assert_eq!(queries_unused(&files, code), ["c.postgres.sql", "d.sql", "e.txt"]);
}
