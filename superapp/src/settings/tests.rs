//! Settings from end to end: from what was written to what is said or done.

use std::path::Path;

use super::*;

fn sources(file: Option<&str>, environment: &[(&str, &str)], set: &[&str]) -> (Sources, Option<tempfile::TempDir>) {
    let folder = file.map(|text| {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("app.toml"), text).expect("written");
        folder
    });
    let sources = Sources {
        file: folder.as_ref().map(|folder| folder.path().join("app.toml")),
        environment: environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        set: set.iter().map(|assignment| (*assignment).to_owned()).collect(),
    };
    (sources, folder)
}

fn load(file: Option<&str>, environment: &[(&str, &str)], set: &[&str]) -> Settings {
    let (sources, _folder) = sources(file, environment, set);
    Settings::load(&sources).unwrap_or_else(|findings| panic!("{findings}"))
}

/// What is said, a line each, with the folder of the file left out.
fn findings(file: Option<&str>, environment: &[(&str, &str)], set: &[&str]) -> Vec<String> {
    let (sources, folder) = sources(file, environment, set);
    let findings = Settings::load(&sources).expect_err("must be refused").to_string();
    let prefix = folder.map(|folder| format!("{}/", folder.path().display())).unwrap_or_default();
    findings.lines().map(|line| if prefix.is_empty() { line.to_owned() } else { line.replace(&prefix, "") }).collect()
}

#[test]
fn the_defaults_are_what_the_roles_need() {
    let settings = load(None, &[], &[]);
    assert_eq!(settings.gateway.listen, [Listen::Localhost(8080)]);
    assert_eq!(settings.chat.listen, [Listen::Localhost(3002), Listen::Localhost(3012)]);
    assert_eq!((settings.chat.config.rate_per_second.get(), settings.chat.config.rate_burst.get()), (20, 40));
    assert!(settings.gateway.admin_listen.is_some() && settings.users.admin_listen.is_none());
    assert!(Path::new(&settings.data.users.to_string()).is_absolute());
}

#[test]
fn the_defaults_are_a_valid_file() {
    load(Some(DEFAULTS), &[], &[]);
}

#[test]
fn a_later_place_wins() {
    let file = "[users]\ncache_ttl_s = 1\n[gateway]\ndrain_s = 1\nkeepalive_s = 1\n";
    let environment = [("SUPERAPP__GATEWAY__DRAIN_S", "2"), ("SUPERAPP__GATEWAY__KEEPALIVE_S", "2")];
    let settings = load(Some(file), &environment, &["gateway.keepalive_s=3"]);
    let gateway = settings.gateway.config;
    assert_eq!((settings.users.config.cache_ttl_s, gateway.drain_s, gateway.keepalive_s), (1, 2, 3));
    assert_eq!(gateway.request_timeout_s, 30, "what nobody names keeps its default");
    assert_eq!(load(None, &[], &["gateway.drain_s=1", "gateway.drain_s=4"]).gateway.config.drain_s, 4);
}

#[test]
fn text_needs_no_quotes_and_a_list_is_toml() {
    let settings = load(None, &[], &["users.listen=127.0.0.1:3101", "data_dir=2026", r#"chat.listen=["127.0.0.1:0", "localhost:0"]"#]);
    assert_eq!(settings.users.listen, ["127.0.0.1:3101".parse().expect("an address")]);
    assert!(settings.data.chat.to_string().ends_with("/2026"));
    assert_eq!(settings.chat.listen.len(), 2);
    assert_eq!(load(None, &[], &["chat.listen=localhost:3002"]).chat.listen, [Listen::Localhost(3002)]);
    let environment = [("SUPERAPP__GATEWAY__CLUSTERS__CHAT__ENDPOINTS", r#"["chat:3002","10.0.0.1:1"]"#)];
    assert_eq!(load(None, &environment, &[]).gateway.config.clusters.chat.endpoints, ["chat:3002", "10.0.0.1:1"]);
    assert!(load(None, &[], &["gateway.admin_listen="]).gateway.admin_listen.is_none());
}

#[test]
fn a_typo_is_told_with_its_place_and_what_was_meant() {
    assert_eq!(
        findings(
            Some("data_dir = \"x\"\n\n[gateway]\nlistn = \"localhost:1\"\n[user]\nlisten = 1\n"),
            &[("SUPERAPP__GATEWAY__DRAIN", "1")],
            &["gatway.listen=x"]
        ),
        [
            "app.toml:4: unknown key `gateway.listn`, did you mean `gateway.listen`?",
            "app.toml:5: unknown key `user`, did you mean `users`?",
            "environment variable SUPERAPP__GATEWAY__DRAIN: unknown key `gateway.drain`, did you mean `SUPERAPP__GATEWAY__DRAIN_S`?",
            "--set gatway.listen: unknown key `gatway.listen`, did you mean `gateway.listen`?",
        ]
    );
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let file = "users = 3\n\
        [gateway]\n\
        drain_s = \"soon\"\n\
        listen = \"example.com:80\"\n\
        keepalive_s = 0\n\
        clusters.users.endpoints = [\"users\"]\n\
        [chat]\n\
        silence_s = 5\n\
        listen = []\n\
        reconnect_after_ms = [1]\n\
        [log]\n\
        format = \"xml\"\n\
        [analytics]\n\
        body_bytes_max = -1\n";
    let found = findings(Some(file), &[], &["chat.rate_burst=many", "users"]);
    for expected in [
        "app.toml:1: `users` is a section, it has settings of its own",
        "app.toml:3: `gateway.drain_s` must be a whole number, not a text",
        "app.toml:4: `gateway.listen` must be localhost:PORT or IP:PORT, such as 127.0.0.1:8080 or [::1]:8080",
        "app.toml:5: `gateway.keepalive_s` must be from 1 to 2592000",
        "app.toml:6: gateway.clusters.users.endpoints: \"users\" is not host:port (the port is missing)",
        "app.toml:8: `chat.silence_s` must be more than `chat.heartbeat_s`",
        "app.toml:9: `chat.listen` must name at least one address",
        "app.toml:14: `analytics.body_bytes_max` must be from 1 to 1099511627776",
        "--set chat.rate_burst: `chat.rate_burst` must be a whole number, not a text",
        "--set takes KEY=VALUE",
    ] {
        assert!(found.iter().any(|line| line == expected), "{expected}\nis not in\n{found:#?}");
    }
    for start in ["app.toml:10: `chat.reconnect_after_ms`: ", "app.toml:12: `log.format`: unknown variant `xml`"] {
        assert!(found.iter().any(|line| line.starts_with(start)), "{start}\nis not in\n{found:#?}");
    }
    assert_eq!(found.len(), 12, "{found:#?}");
}

#[test]
fn broken_toml_is_told_with_its_line() {
    let found = findings(Some("data_dir = \"x\"\n[gateway\n"), &[], &[]);
    assert!(found.len() == 1 && found[0].starts_with("app.toml:2: "), "{found:?}");
    let sources = Sources { file: Some("/nonexistent/app.toml".into()), ..Sources::default() };
    assert!(Settings::load(&sources).expect_err("no such file").to_string().starts_with("read /nonexistent/app.toml: "));
}

#[test]
fn a_database_and_redis_are_understood_as_everyone_expects() {
    let place = |environment: &[(&str, &str)]| {
        let data = load(None, environment, &[]).data;
        [&data.users, &data.chat, &data.analytics].map(ToString::to_string).map(|place| place.replace("PostgreSQL at ", ""))
    };
    for url in ["postgres://app:hunter2@db/app", "postgresql://app:hunter2@db:5432/app?sslmode=require"] {
        assert_eq!(place(&[("DATABASE_URL", url)]), ["db:5432/app"; 3]);
    }
    let differing = [("DATABASE_URL", "postgres://db/app"), ("SUPERAPP__CHAT__DATABASE_URL", "postgres://big/chat")];
    assert_eq!(place(&differing), ["db:5432/app", "big:5432/chat", "db:5432/app"]);
    let overridden = place(&[("DATABASE_URL", "postgres://db/app"), ("SUPERAPP__DATABASE_URL", "")]);
    assert!(overridden[0].ends_with("/data"), "the explicit one wins: {overridden:?}");
    let redis = |environment: &[(&str, &str)]| load(None, environment, &[]).data.redis.is_some();
    assert!(redis(&[("REDIS_URL", "redis://:hunter2@redis:6379")]) && redis(&[("REDIS_ADDR", "redis:6379")]));
    assert!(redis(&[("REDIS_URL", "redis://a:6379,b:6379")]) && redis(&[("REDIS_URL", "rediss://redis")]));
    assert!(!redis(&[("DATABASE_URL", ""), ("REDIS_URL", "")]));
}

#[test]
fn what_is_no_address_of_a_server_is_told() {
    for (name, value, why) in [
        ("DATABASE_URL", "mysql://app:hunter2@db/app", "`database_url` must begin with postgres:// or postgresql://"),
        ("SUPERAPP__USERS__DATABASE_URL", "postgres://db/app?sslmode=maybe", "`users.database_url` sslmode must be"),
        ("DATABASE_URL", "postgres:///app", "`database_url` must name a host"),
        ("REDIS_URL", "http://:hunter2@redis:6379", "`redis_url`: the address of a Redis begins with redis:// or rediss://"),
        ("REDIS_ADDR", "redis:port", "`redis_url`: the port"),
        ("SUPERAPP__REDIS_PREFIX", "a b", "`redis_prefix` must have"),
    ] {
        let found = findings(None, &[(name, value)], &[]);
        assert!(found.len() == 1 && found[0].starts_with(&format!("environment variable {name}: {why}")), "{found:?}");
    }
}

#[test]
fn what_a_start_on_a_database_would_stumble_over_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").expect("written");
    let (gone, empty) = (folder.path().join("gone.pem").display().to_string(), empty.display().to_string());
    for (path, why) in [(&gone, "No such file"), (&empty, "there is no certificate in it")] {
        for mode in ["require", "verify-full"] {
            let url = format!("postgres://app:hunter2@db/app?sslmode={mode}&sslrootcert={path}");
            let found = findings(None, &[("DATABASE_URL", &url)], &[]);
            let start = format!("environment variable DATABASE_URL: `database_url` sslrootcert {path}: ");
            assert!(found.len() == 1 && found[0].starts_with(&start) && found[0].contains(why), "{found:?}");
        }
    }
    assert_eq!(
        findings(None, &[], &["database.connections_max=10001"]),
        ["--set database.connections_max: `database.connections_max` must be from 1 to 10000"]
    );
    load(None, &[], &["database.connections_max=10000"]);
}

#[test]
fn secrets_are_never_printed() {
    let secret = "hunter2";
    let file = format!("database_url = \"mysql://app:{secret}@db\"\nredis_url = [\"{secret}\"]\n[log]\nfilter = \"info\" {secret}\n");
    let url = format!("postgres://app:{secret}@db/app");
    let said = [
        findings(Some(&file), &[], &[]),
        findings(None, &[("DATABASE_URL", &url)], &[&format!("database_url={url}"), &format!("users.{url}")]),
        findings(None, &[], &[&format!("database_url=mysql://{secret}"), &format!("redis_url=[\"{secret}\"]"), secret]),
        vec![format!("{:?}", load(None, &[("DATABASE_URL", &url)], &[]))],
    ];
    assert!(!format!("{said:?}").contains(secret), "{said:#?}");
}

proptest::proptest! {
    #[test]
    fn whatever_is_written_is_taken_or_told(key in "[a-z_.]{0,20}|users.http.header_timeout_s|chat.listen|log", value in ".{0,40}", file in ".{0,80}") {
        let (sources, _folder) = sources(Some(&file), &[], &[&format!("{key}={value}")]);
        if let Err(findings) = Settings::load(&sources) {
            proptest::prop_assert!(!findings.0.is_empty());
        }
    }
}
