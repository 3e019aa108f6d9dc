//! What ends a socket, and what does not; and how sockets are counted.

use std::time::Duration;

use tokio::time::interval;

use crate::peers::{Replica, echo, goodbye, is_over, next, open};
use crate::support::{Connection, Door, LIMIT, config, counters, eventually};

/// A door whose limits for requests are all a second.
fn hasty(replica: &Replica) -> gateway::Config {
    let mut config = config(&[replica.address()], &[replica.address()], &[replica.address()]);
    config.header_timeout_s = 1;
    config.keepalive_s = 1;
    config.write_timeout_s = 1;
    config.request_timeout_s = 1;
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn no_limit_of_requests_ends_a_socket() {
    let replica = Replica::start().await;
    let door = Door::open(hasty(&replica)).await;
    let mut socket = open(door.address, "echo").await;
    // Who is idle, and has been for no longer, is let go.
    for _ in 0..2 {
        let mut idle = Connection::open(door.address).await;
        idle.write(b"GET /version HTTP/1.1\r\nhost: door\r\n\r\n").await;
        assert_eq!(idle.reply().await.status, 200);
        assert!(idle.is_closed().await);
    }
    echo(&mut socket, "still here").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_socket_is_closed_by_a_frame_at_its_own_limit_and_one_that_talks_is_not() {
    let replica = Replica::start().await;
    let mut config = hasty(&replica);
    config.websocket_idle_s = 2;
    let door = Door::open(config).await;
    let mut silent = open(door.address, "echo").await;
    let mut talking = open(door.address, "echo").await;
    let mut pace = interval(Duration::from_millis(300));
    let started = std::time::Instant::now();
    let told = tokio::spawn(async move {
        let told = next(&mut silent).await;
        assert!(is_over(&mut silent).await);
        told
    });
    while !told.is_finished() && started.elapsed() < LIMIT {
        pace.tick().await;
        echo(&mut talking, "and another thing").await;
    }
    assert!(started.elapsed() > Duration::from_secs(2));
    assert_eq!(goodbye(told.await.unwrap().as_ref()), (1001, ""));
    echo(&mut talking, "as I was saying").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_is_counted_as_long_as_it_lives_and_its_time_is_no_latency() {
    counters::start();
    let replica = Replica::start().await;
    let door = Door::open(hasty(&replica)).await;
    let endpoint = replica.address().to_string();
    let gauge = || counters::gauge("gateway_sockets_open", "endpoint", &endpoint);
    let mut sockets = Vec::new();
    for count in 1..=7 {
        sockets.push(open(door.address, "echo").await);
        assert_eq!((gauge(), door.gateway.in_flight()), (f64::from(count), count as usize));
    }
    for socket in &mut sockets {
        echo(socket, "hello").await;
    }
    assert_eq!((gauge(), door.gateway.in_flight()), (7.0, 7));
    let told = || counters::by_label("gateway_request_duration_seconds", "route");
    let own = || told().get("own").copied().unwrap_or(0);
    let before = own();
    assert_eq!(door.get("/version").await.status, 200);
    eventually("a request is told", || async { own() > before }).await;

    sockets.truncate(3);
    eventually("four are closed", || async { gauge() == 3.0 && door.gateway.in_flight() == 3 }).await;
    drop(sockets);
    eventually("all are closed", || async { gauge() == 0.0 && door.gateway.in_flight() == 0 }).await;
    assert_eq!(told().get("/ws").copied().unwrap_or(0), 0);
    assert!(counters::by_label("gateway_requests_total", "route")["/ws"] >= 7);
}
