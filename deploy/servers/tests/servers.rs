//! The servers themselves: they come, do as told, and leave nothing behind.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use servers::{Database, Postgres, Redis, RedisCluster};

#[test]
fn a_database_is_fresh_and_goes_with_its_handle() {
    let (one, two) = (Database::create(), Database::create());
    one.run("create table t (a int); insert into t values (1)");
    assert_eq!(one.run("select a from t"), [["1"]]);
    assert!(two.run("select tablename from pg_tables where schemaname = 'public'").is_empty());
    let name = two.url().rsplit('/').next().map(str::to_owned).unwrap_or_default();
    drop(two);
    assert_eq!(one.run(&format!("select count(*) from pg_database where datname = '{name}'")), [["0"]]);
}

#[test]
fn a_postgres_of_ones_own_can_be_stopped_killed_and_paused_and_leaves_nothing() {
    let postgres = Postgres::start();
    let folder = postgres.folder();
    postgres.stop();
    postgres.start_again();
    postgres.kill();
    postgres.start_again();
    postgres.pause();
    postgres.resume();
    assert!(folder.exists());
    drop(postgres);
    assert!(!folder.exists());
}

#[test]
fn a_server_whose_port_is_in_use_for_a_moment_comes_back() {
    let postgres = Postgres::start();
    let port = postgres.url().rsplit_once(':').and_then(|(_, rest)| rest.split_once('/')?.0.parse::<u16>().ok()).expect("a port");
    postgres.stop();
    let other = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    std::thread::scope(|scope| {
        scope.spawn(|| postgres.start_again());
        let log = postgres.folder().with_file_name("log");
        let limit = Instant::now() + Duration::from_secs(20);
        while !std::fs::read_to_string(&log).expect("a log").contains("Address already in use") {
            assert!(Instant::now() < limit, "it was never tried");
            std::thread::yield_now();
        }
        drop(other);
    });
}

#[test]
fn a_redis_of_ones_own_forgets_when_it_is_stopped() {
    let redis = Redis::start();
    assert_eq!(redis.command("SET a 1"), "+OK");
    redis.stop();
    redis.start_again();
    assert_eq!(redis.command("EXISTS a"), ":0");
    redis.pause();
    redis.resume();
    redis.kill();
    redis.start_again();
    assert!(servers::redis_url().starts_with("redis://"));
}

#[test]
fn a_cluster_has_three_nodes_that_know_each_other() {
    let cluster = RedisCluster::start();
    assert_eq!(cluster.nodes().len(), 3);
    assert_eq!(cluster.url().matches(',').count(), 2);
}
