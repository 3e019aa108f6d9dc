//! Several processes of each role on PostgreSQL and Redis: what they share, and what holds when one of these servers is away.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Process, Role, Setup, Socket, System, eventually, superapp};

/// Longer than it takes to see that a server is away, or back.
const SOON: Duration = Duration::from_secs(2);

async fn status(system: &System) -> Value {
    system.get("/").await.json()["status"].clone()
}

/// A socket of `user` at each replica of chat, in the lobby.
async fn sockets(system: &System) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for (number, replica) in system.replicas(Role::Chat).into_iter().enumerate() {
        let mut socket = system.socket_at(replica, &format!("user=u{number}")).await;
        socket.next_of("joined").await;
        sockets.push(socket);
    }
    sockets
}

/// Each says something in turn; everyone hears it within `limit`.
async fn everyone_hears_everyone(sockets: &mut [Socket], limit: Duration) {
    for speaker in 0..sockets.len() {
        let text = format!("from {speaker} at {:?}", Instant::now());
        sockets[speaker].send(json!({ "type": "send", "text": text, "id": text.chars().take(64).collect::<String>() })).await;
        let said = Instant::now();
        for socket in sockets.iter_mut() {
            while socket.next_of("message").await["text"] != text {}
        }
        assert!(said.elapsed() < 2 * limit, "it took {:?}", said.elapsed());
    }
}

#[tokio::test]
async fn what_one_replica_changes_the_others_know_at_once() {
    let system = System::production().await;
    let replicas = system.replicas(Role::Users);
    let ada = system.sign_up("ada").await;
    let path = format!("/users/{}", ada["id"].as_str().unwrap());
    for round in 0..20 {
        let (writer, reader) = (replicas[round % 2], replicas[(round + 1) % 2]);
        assert_eq!(system.get_at(reader, &path).await.status, 200);
        let name = format!("Ada {round}");
        assert_eq!(system.patch_at(writer, &path, &json!({ "name": name })).await.status, 200);
        assert_eq!(system.get_at(reader, &path).await.json()["name"], name, "the row that was kept is not shown again");
    }
    assert_eq!(system.delete(&path).await.status, 204);
    for replica in replicas {
        assert_eq!(system.get_at(replica, &path).await.status, 404);
    }
}

/// Everything that migrations make, a line each.
fn schemas(database: &servers::Database) -> Vec<Vec<String>> {
    let ours = "in ('users', 'chat', 'analytics')";
    let columns = "select table_schema, table_name, column_name, data_type, is_nullable from information_schema.columns";
    let indexes = "select schemaname, tablename, indexname, indexdef, '' from pg_indexes";
    let mut histories = String::new();
    for schema in ["users", "chat", "analytics"] {
        histories
            .push_str(&format!(" union all select '{schema}', '', version::text, name, checksum from {schema}.refinery_schema_history"));
    }
    let all = format!("{columns} where table_schema {ours} union all {indexes} where schemaname {ours}{histories}");
    database.run(&format!("{all} order by 1, 2, 3, 4, 5"))
}

#[tokio::test]
async fn two_who_start_at_the_same_moment_on_an_empty_database_make_one_clean_schema() {
    let database = servers::Database::create();
    let exit = superapp(&["migrate", "--set", &format!("database_url={}", database.url())], &[]).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    let alone = schemas(&database);
    assert!(alone.len() > 30, "{alone:?}");
    for round in 0..20 {
        let database = servers::Database::create();
        let free = ["gateway.listen", "gateway.admin_listen", "users.listen", "chat.listen", "analytics.listen"];
        let mut set: Vec<String> = free.iter().map(|listen| format!("{listen}=127.0.0.1:0")).collect();
        set.push(format!("database_url={}", database.url()));
        let arguments: Vec<String> = set.into_iter().flat_map(|assignment| ["--set".to_owned(), assignment]).collect();
        let mut both = [Process::spawn(&arguments, &[]), Process::spawn(&arguments, &[])];
        for process in &mut both {
            process.ready().await;
        }
        assert_eq!(schemas(&database), alone, "round {round}");
    }
}

#[tokio::test]
async fn what_happens_in_other_processes_is_counted() {
    let system = System::production().await;
    system.sign_up("ada").await;
    let mut sockets = sockets(&system).await;
    everyone_hears_everyone(&mut sockets, SOON).await;
    let expected = json!({ "user.created": 1, "chat.message_sent": 3, "chat.socket_opened": 3 });
    eventually("everything is counted", async || system.get("/analytics").await.json()["totals"]["by_name"] == expected).await;
}

#[tokio::test]
async fn a_thousand_who_miss_the_same_row_ask_the_database_once() {
    let setup = Setup::production().with_own_postgres().set("users.admin_listen=127.0.0.1:0").set("database.statement_timeout_ms=20000");
    let system = setup.start().await;
    let ada = system.sign_up("ada").await;
    system.redis().command("FLUSHALL");
    system.sql("create extension pg_stat_statements");
    system.sql("select pg_stat_statements_reset()");
    let (replica, path) = (system.address(Role::Users), format!("/users/{}", ada["id"].as_str().unwrap()));
    // So that all thousand wait for the row at the same time, however slowly they come.
    let lock = system.hold("lock table users.users in access exclusive mode");
    let everyone = futures_util::future::join_all((0..1000).map(|_| system.get_at(replica, &path)));
    let all_have_missed = async {
        let missed = "users_cache_lookups_total{result=\"miss\"} 1000\n";
        eventually("all have missed", async || system.get_at(system.admin(Role::Users), "/metrics").await.text().contains(missed)).await;
        drop(lock);
    };
    let (replies, ()) = tokio::join!(everyone, all_have_missed);
    assert!(replies.iter().all(|reply| reply.status == 200));
    let calls = system.sql("select sum(calls) from pg_stat_statements where query like '%from users%where id =%'");
    assert_eq!(calls, [["1"]], "{:?}", system.sql("select calls, query from pg_stat_statements"));
}

#[tokio::test]
async fn a_retry_on_another_replica_has_the_place_of_the_first() {
    let system = System::production().await;
    let mut places = Vec::new();
    for replica in system.replicas(Role::Chat) {
        let mut socket = system.socket_at(replica, "user=alice").await;
        socket.send(json!({ "type": "send", "text": "hi", "id": "x" })).await;
        let ack = socket.next_of("ack").await;
        places.push((ack["seq"].clone(), ack["duplicate"].clone()));
    }
    assert_eq!(places, [(json!(1), json!(false)), (json!(1), json!(true)), (json!(1), json!(true))]);
}

#[tokio::test]
async fn without_redis_everything_is_answered_and_with_it_everything_heals() {
    let system = System::production().await;
    let ada = system.sign_up("ada").await;
    let path = format!("/users/{}", ada["id"].as_str().unwrap());
    let mut sockets = sockets(&system).await;
    everyone_hears_everyone(&mut sockets, SOON).await;
    type Order = (&'static str, fn(&servers::Redis), fn(&servers::Redis));
    let orders: [Order; 3] = [
        ("stop", servers::Redis::stop, servers::Redis::start_again),
        ("kill", servers::Redis::kill, servers::Redis::start_again),
        ("pause", servers::Redis::pause, servers::Redis::resume),
    ];
    for (order, away, back) in orders {
        away(system.redis());
        let since = Instant::now();
        // Each process sees it by itself.
        eventually("every process says why", async || {
            let health = system.get("/").await.json();
            let services = health["services"].as_object().unwrap().values();
            let mut replicas = services.flat_map(|service| service["replicas"].as_array().unwrap());
            let says_why =
                |replica: &Value| replica["checks"]["bus"]["detail"].as_str().is_some_and(|why| why.starts_with("redis is away"));
            health["status"] == "warn" && replicas.all(says_why)
        })
        .await;
        // Two seconds on a machine with nothing else to do.
        assert!(since.elapsed() < 2 * SOON, "{order}: it took {:?}", since.elapsed());
        for replica in system.replicas(Role::Users) {
            assert_eq!(system.get_at(replica, &path).await.status, 200, "{order}");
        }
        let name = format!("Ada after {order}");
        assert_eq!(system.patch(&path, &json!({ "name": name })).await.status, 200);
        for replica in system.replicas(Role::Users) {
            assert_eq!(system.get_at(replica, &path).await.json()["name"], name, "{order}");
        }
        everyone_hears_everyone(&mut sockets, SOON).await;
        back(system.redis());
        eventually("it heals", async || status(&system).await == "pass").await;
        for replica in system.replicas(Role::Users) {
            assert_eq!(system.get_at(replica, &path).await.json()["name"], name, "{order}");
        }
        everyone_hears_everyone(&mut sockets, SOON).await;
    }
    for kind in ["pubsub", "normal"] {
        system.redis().command(&format!("CLIENT KILL TYPE {kind}"));
        everyone_hears_everyone(&mut sockets, SOON).await;
    }
    let asleep = system.redis().sleep(5);
    for replica in system.replicas(Role::Users) {
        assert_eq!(system.get_at(replica, &path).await.status, 200);
    }
    everyone_hears_everyone(&mut sockets, SOON).await;
    asleep.ended();
    eventually("it is well", async || status(&system).await == "pass").await;
    everyone_hears_everyone(&mut sockets, SOON).await;
}

#[tokio::test]
async fn without_postgres_requests_are_told_to_come_again_and_nothing_acked_is_lost() {
    let system = Setup::production().with_own_postgres().start().await;
    system.sign_up("ada").await;
    let mut sockets = sockets(&system).await;
    let mut acked = 0;
    type Order = (&'static str, fn(&servers::Postgres), fn(&servers::Postgres));
    let orders: [Order; 3] = [
        ("stop", servers::Postgres::stop, servers::Postgres::start_again),
        ("kill", servers::Postgres::kill, servers::Postgres::start_again),
        ("pause", servers::Postgres::pause, servers::Postgres::resume),
    ];
    for (order, away, back) in orders {
        everyone_hears_everyone(&mut sockets, SOON).await;
        acked += sockets.len();
        away(system.postgres());
        let asked = Instant::now();
        let body = json!({ "name": "Bob", "email": format!("{order}@example.com") });
        let reply = system.post_at(system.address(Role::Users), "/users", &body).await;
        assert_eq!((reply.status, reply.code().as_str()), (503, "unavailable"), "{order}");
        assert!(reply.header("retry-after").is_some() && asked.elapsed() < Duration::from_secs(5), "{order}: {:?}", asked.elapsed());
        sockets[0].send(json!({ "type": "send", "text": "during", "id": order })).await;
        let error = sockets[0].next_of("error").await;
        assert_eq!((&error["code"], &error["id"]), (&json!("unavailable"), &json!(order)), "{order}: {error}");
        assert!(error["retry_after_ms"].is_u64(), "{error}");
        eventually("every backend sees it", async || {
            let mut seen = status(&system).await == "fail";
            for replica in [Role::Users, Role::Chat, Role::Analytics].into_iter().flat_map(|role| system.replicas(role)) {
                seen &= system.get_at(replica, "/readyz").await.status == 503;
            }
            seen
        })
        .await;
        let through_the_door = system.get("/users").await;
        assert_eq!((through_the_door.status, through_the_door.header("retry-after").is_some()), (503, true));

        back(system.postgres());
        eventually("it is well again by itself", async || status(&system).await == "pass").await;
        sockets[0].send(json!({ "type": "send", "text": "during", "id": order })).await;
        assert_eq!(sockets[0].next_of("ack").await["id"], order, "the same socket, and it is open");
        acked += 1;
        let log = system.get("/chat/rooms/lobby/messages?limit=200").await.json();
        assert_eq!(log.as_array().unwrap().len(), acked, "{order}");
    }
}

#[tokio::test]
async fn a_database_that_was_set_back_sends_its_readers_back_too_and_swallows_nothing() {
    let system = System::production().await;
    let say =
        async |text: &str| system.post("/chat/rooms/lobby/messages", &json!({ "user": "bob", "text": text })).await.json()["seq"].clone();
    let mut alice = system.socket("alice").await;
    alice.next_of("joined").await;
    for text in ["one", "two", "three"] {
        say(text).await;
        alice.next_of("message").await;
    }
    system.sql("delete from chat.events where seq > 1; update chat.rooms set head = 1");
    assert_eq!(say("after").await, 2);
    assert_eq!(alice.closed().await.0, 4002);
    let mut alice = system.socket_at(system.address(Role::Gateway), "user=alice&after=1").await;
    assert_eq!(alice.next_of("message").await["text"], "after");
}

#[tokio::test]
async fn a_change_of_which_nobody_knows_whether_it_was_made_leaves_no_row_from_before() {
    let system = Setup::production().with_own_postgres().start().await;
    let (ada, bob, carl) = (system.sign_up("ada").await, system.sign_up("bob").await, system.sign_up("carl").await);
    let path = |user: &Value| format!("/users/{}", user["id"].as_str().unwrap());
    for replica in system.replicas(Role::Users) {
        for user in [&ada, &bob] {
            assert_eq!(system.get_at(replica, &path(user)).await.status, 200);
        }
    }
    // Commits are made and not answered, as when a standby or the line to the server is lost.
    system.sql("alter system set synchronous_standby_names = 'nobody'");
    system.sql("select pg_reload_conf()");
    // The server has to hear of it first.
    let mut names = 0..;
    let mut next_name = || json!({ "name": format!("carl {}", names.next().unwrap_or_default()) });
    eventually("commits are not answered", async || system.patch(&path(&carl), &next_name()).await.status == 503).await;
    let deleted = system.delete(&path(&ada)).await;
    let changed = system.patch(&path(&bob), &json!({ "name": "Bob the second" })).await;
    assert_eq!((deleted.status, changed.status), (503, 503));
    system.sql("alter system reset synchronous_standby_names");
    system.sql("select pg_reload_conf()");
    eventually("they are made", async || system.sql("select name from users.users where name not like 'carl%'") == [["Bob the second"]])
        .await;
    for replica in system.replicas(Role::Users) {
        assert_eq!(system.get_at(replica, &path(&ada)).await.status, 404);
        assert_eq!(system.get_at(replica, &path(&bob)).await.json()["name"], "Bob the second");
    }
}

#[tokio::test]
async fn connections_that_are_cut_are_made_again() {
    let system = Setup::production().with_own_postgres().start().await;
    let mut sockets = sockets(&system).await;
    for _ in 0..3 {
        system.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'superapp %'");
        eventually("users are answered", async || system.get("/users").await.status == 200).await;
        eventually("it is well", async || status(&system).await == "pass").await;
        let id = uuid_like();
        loop {
            sockets[1].send(json!({ "type": "send", "text": "again", "id": id })).await;
            let answer = sockets[1].next_of_any(&["ack", "error"]).await;
            if answer["type"] == "ack" {
                break;
            }
            assert_eq!(answer["code"], "unavailable");
        }
    }
    let log = system.get("/chat/rooms/lobby/messages").await.json();
    assert_eq!(log.as_array().unwrap().len(), 3);
}

/// A text that no other has.
fn uuid_like() -> String {
    format!("{:?}", Instant::now()).chars().filter(char::is_ascii_digit).collect()
}

#[tokio::test]
async fn a_lock_that_lasts_is_answered_with_come_again_and_not_waited_out() {
    let system = Setup::production().with_own_postgres().start().await;
    let ada = system.sign_up("ada").await;
    let path = format!("/users/{}", ada["id"].as_str().unwrap());
    let lock = system.hold("lock table users.users in access exclusive mode");
    let asked = Instant::now();
    let reply = system.patch(&path, &json!({ "name": "Ada the second" })).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "unavailable"));
    // database.statement_timeout_ms is 3000.
    assert!((2..5).contains(&asked.elapsed().as_secs()), "it took {:?}", asked.elapsed());
    assert_eq!(status(&system).await, "pass", "a lock is no illness");
    drop(lock);
    assert_eq!(system.patch(&path, &json!({ "name": "Ada the third" })).await.status, 200);
}

#[tokio::test]
async fn replicas_that_die_or_hang_are_routed_around() {
    let mut system = System::production().await;
    let mut alice = system.socket_at(system.replicas(Role::Chat)[1], "user=alice").await;
    alice.next_of("joined").await;
    system.kill_one(Role::Users, 1);
    system.kill_one(Role::Chat, 0);
    eventually("the deaths show", async || status(&system).await == "warn").await;
    for number in 0..10 {
        system.sign_up(&format!("u{number}")).await;
        let said = system.post("/chat/rooms/lobby/messages", &json!({ "user": "bob", "text": "hi" })).await;
        assert_eq!(said.status, 201);
        assert_eq!(alice.next_of("message").await["seq"], number + 1);
    }
    system.start_one(Role::Users, 1).await;
    system.start_one(Role::Chat, 0).await;
    eventually("the returns show", async || status(&system).await == "pass").await;

    system.pause(Role::Users, 0);
    eventually("the silence shows", async || status(&system).await == "warn").await;
    assert_eq!(system.get("/users").await.json().as_array().unwrap().len(), 10);
    system.resume(Role::Users, 0);
    eventually("its end shows", async || status(&system).await == "pass").await;
}

#[tokio::test]
async fn several_processes_share_a_redis_cluster() {
    let cluster = servers::RedisCluster::start();
    let system = Setup::production().set(&format!("redis_url={}", cluster.url())).start().await;
    let mut sockets = sockets(&system).await;
    everyone_hears_everyone(&mut sockets, SOON).await;
    let ada = system.sign_up("ada").await;
    let path = format!("/users/{}", ada["id"].as_str().unwrap());
    let [writer, reader] = system.replicas(Role::Users)[..] else { panic!("there are two") };
    assert_eq!(system.get_at(reader, &path).await.status, 200);
    assert_eq!(system.patch_at(writer, &path, &json!({ "name": "Ada the second" })).await.status, 200);
    assert_eq!(system.get_at(reader, &path).await.json()["name"], "Ada the second");

    cluster.nodes()[1].kill();
    eventually("the death of a node shows", async || status(&system).await == "warn").await;
    everyone_hears_everyone(&mut sockets, SOON).await;
    assert_eq!(system.get_at(reader, &path).await.json()["name"], "Ada the second");
    cluster.nodes()[1].start_again();
    eventually("its return shows", async || status(&system).await == "pass").await;
    everyone_hears_everyone(&mut sockets, SOON).await;
}

#[tokio::test]
async fn outsiders_hear_the_documented_message_in_redis() {
    let system = System::production().await;
    let mut heard = system.redis().listen("PSUBSCRIBE superapp:chat:*");
    let ack = system.post("/chat/rooms/ops/messages", &json!({ "user": "alice", "text": "hi", "id": "9b1c" })).await.json();
    let message = loop {
        let line = heard.next_line();
        if line.starts_with('{') {
            break serde_json::from_str::<Value>(&line).unwrap();
        }
    };
    let expected = json!({ "type": "message", "room": "ops", "seq": 1, "user": "alice", "text": "hi", "at": ack["at"], "id": "9b1c" });
    assert_eq!(message, expected);
}
