//! What is done without anybody who is well, and where somebody does not answer at all.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gateway::Config;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::load::{ask, get, post};
use crate::replica::Replica;
use crate::support::backend::Backend;
use crate::support::wire::Wire;
use crate::support::{Door, LIMIT, config, eventually};
use crate::{before, endpoints, state, timed};

#[tokio::test(flavor = "multi_thread")]
async fn when_all_say_that_they_are_not_ready_they_are_asked_anyway() {
    let replicas = Replica::start_many(3).await;
    let addresses: Vec<SocketAddr> = replicas.iter().map(|replica| replica.address).collect();
    let door = Door::open(before(&addresses)).await;
    for replica in &replicas {
        replica.facts.is_unready.store(true, Ordering::SeqCst);
    }
    eventually("the door has heard it", || async { (0..3).all(|index| state(&door, index) == "failing") }).await;
    assert!(ask(door.address, 8, 300, &get("/users/1")).await.all_are(200));
    assert!(ask(door.address, 8, 300, &post("/users/1")).await.all_are(200));
    assert!(replicas.iter().all(|replica| replica.requests() > 50));
    // And the door says how it is.
    assert_eq!((door.get("/").await.status, door.get("/readyz").await.status, door.get("/livez").await.status), (503, 503, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_ready_gets_it_all_until_the_others_are() {
    let replicas = Replica::start_many(3).await;
    let addresses: Vec<SocketAddr> = replicas.iter().map(|replica| replica.address).collect();
    for replica in &replicas[1..] {
        replica.facts.is_unready.store(true, Ordering::SeqCst);
    }
    let door = Door::open(before(&addresses)).await;
    assert!(ask(door.address, 8, 100, &get("/users/1")).await.all_are(200));
    assert_eq!((replicas[1].requests(), replicas[2].requests()), (0, 0));
    replicas[1].facts.is_unready.store(false, Ordering::SeqCst);
    eventually("the door has heard it", || async { state(&door, 1) == "live" }).await;
    assert!(ask(door.address, 8, 300, &get("/users/1")).await.all_are(200));
    assert!(replicas[1].requests() > 0);
    assert_eq!(replicas[2].requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_die_at_the_same_moment_cost_nobody_an_answer() {
    let mut replicas = Replica::start_many(6).await;
    let addresses: Vec<SocketAddr> = replicas.iter().map(|replica| replica.address).collect();
    let mut config = before(&addresses);
    // Nobody but the requests finds out.
    config.health_interval_ms = 600_000;
    let door = Door::open(config).await;
    for replica in &mut replicas[..5] {
        replica.kill().await;
    }
    // Each of the dead may be asked before the living one is; none of that was sent anywhere.
    for _ in 0..20 {
        assert_eq!(door.post("/users/1", "x").await.status, 200);
    }
    assert_eq!(replicas[5].requests(), 20);
}

/// Listens and accepts only what the kernel accepts for it; further connections get no answer at all, as from a machine that is
/// gone.
struct Hole {
    listener: TcpListener,
    filling: Vec<TcpStream>,
}

impl Hole {
    fn dig() -> Hole {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Hole { listener: socket.listen(1).unwrap(), filling: Vec::new() }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Passes one look, as long as it still can.
    async fn pass_one_check(&self) {
        let (stream, _) = self.listener.accept().await.unwrap();
        let mut wire = Wire::new(stream);
        wire.head().await.unwrap();
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{\"status\":\"pass\"}").await;
    }

    /// Opens a door that believes its first replica, this one, to be well; then nobody gets through, and no probe will notice.
    async fn open_door_then_fill(&mut self, mut config: Config) -> Door {
        config.health_interval_ms = 600_000;
        let (door, ()) = tokio::join!(Door::open(config), async {
            // The round before it opens, and the first one of those that come again and again.
            self.pass_one_check().await;
            self.pass_one_check().await;
        });
        eventually("it is believed to be well", || async { state(&door, 0) == "live" }).await;
        self.fill().await;
        door
    }

    /// From now on nobody gets through.
    async fn fill(&mut self) {
        let address = self.address();
        while let Ok(stream) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            self.filling.push(stream.unwrap());
            assert!(self.filling.len() < 100, "the kernel takes any number");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_gone_costs_the_connect_timeout_once() {
    let mut hole = Hole::dig();
    let other = Backend::echo().await;
    let mut config = config(&[hole.address(), other.address], &[], &[]);
    config.connect_timeout_ms = 300;
    let door = hole.open_door_then_fill(config).await;

    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        // Nothing was sent: a POST may go elsewhere, too.
        let (took, reply) = timed(door.post("/users/1", "x")).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "POST /users/1: 1 bytes"));
        slowest = slowest.max(took);
    }
    println!("the slowest took {slowest:?}");
    assert!((Duration::from_millis(300)..Duration::from_millis(900)).contains(&slowest), "{slowest:?}");
    assert_eq!((state(&door, 0), endpoints(&door)[0]["why"].as_str()), ("failing".to_owned(), Some("connection timed out")));
    assert_eq!(endpoints(&door)[0]["errors"], 1, "the others did not have to find out");
    assert_eq!(other.requests(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_too_busy_to_take_a_connection_gets_another_chance_where_it_is_the_only_one() {
    let mut hole = Hole::dig();
    let mut config = config(&[hole.address()], &[], &[]);
    config.connect_timeout_ms = 500;
    config.request_timeout_s = 5;
    let door = hole.open_door_then_fill(config).await;
    let address = door.address;
    let asking = tokio::spawn(async move {
        let mut client = Wire::connect(address).await;
        client.send("POST /users/1 HTTP/1.1\r\nhost: door\r\ncontent-length: 1\r\n\r\nx").await;
        client.whole_answer("POST").await.status
    });
    eventually("it has been waited for in vain", || async { endpoints(&door)[0]["errors"] == 1 }).await;
    // Now it has time for all who wait, and answers whoever asks.
    loop {
        let (stream, _) = tokio::time::timeout(LIMIT, hole.listener.accept()).await.expect("somebody who asks").unwrap();
        let mut wire = Wire::new(stream);
        hole.filling.clear();
        if wire.head().await.is_ok_and(|head| head.is_some()) {
            wire.send("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").await;
            break;
        }
    }
    assert_eq!(asking.await.unwrap(), 201);
}
