//! The servers themselves: they come, do as told, and leave nothing behind.

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
