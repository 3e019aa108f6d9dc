//! Replicas come, go and die: who is not concerned notices nothing, and who is learns it by a Close frame.

use std::collections::HashMap;
use std::net::SocketAddr;

use futures_util::{FutureExt, SinkExt, StreamExt};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::peers::{Client, RESTARTING, Replica, echo, goodbye, is_over, next, open, open_somewhere};
use crate::support::{Door, LIMIT, config, eventually};

const SOCKETS: usize = 1000;
/// Sockets that are opened at the same time.
const CROWD: usize = 50;
/// A replica that died, in the words of the door.
const SERVICE_RESTART: (u16, &str) = (1012, "");

/// An address where nobody listens yet.
fn reserved() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket
}

fn before(chat: &[SocketAddr]) -> gateway::Config {
    config(&[], chat, &[])
}

/// A socket here is four descriptors: the client's, the replica's, and the door's two.
fn allow_many_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// Opens so many sockets, a crowd at a time; each with the port of its replica.
async fn open_many(door: &Door, count: usize) -> Vec<(Client, u16)> {
    let (mut opening, mut open) = (JoinSet::new(), Vec::new());
    for _ in 0..count {
        opening.spawn(open_somewhere(door.address, "echo"));
        if opening.len() == CROWD {
            open.push(opening.join_next().await.unwrap().unwrap());
        }
    }
    open.extend(opening.join_all().await);
    open
}

/// How many sockets each of these replicas has, as the clients see it.
fn counts(sockets: &[(Client, u16)], replicas: &[u16]) -> Vec<usize> {
    let mut counts: HashMap<u16, usize> = HashMap::new();
    for (_, replica) in sockets {
        *counts.entry(*replica).or_default() += 1;
    }
    replicas.iter().map(|replica| counts.get(replica).copied().unwrap_or_default()).collect()
}

fn are_even(counts: &[usize]) -> bool {
    counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 2
}

/// Nobody has heard anything.
fn are_undisturbed(sockets: &mut [(Client, u16)]) -> bool {
    sockets.iter_mut().all(|(socket, _)| socket.next().now_or_never().is_none())
}

/// The replicas of chat that live, by port, with what the door knows of their sockets.
fn live(door: &Door) -> HashMap<u16, usize> {
    let replicas = door.gateway.status().services.chat.replicas;
    let live = replicas.into_iter().filter(|replica| replica.status == gateway::Health::Pass);
    live.map(|replica| (replica.address.parse::<SocketAddr>().unwrap().port(), replica.sockets.unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_sockets_stay_while_three_replicas_become_five_and_then_two() {
    allow_many_descriptors();
    let mut replicas: Vec<_> = [Replica::start().await, Replica::start().await, Replica::start().await].into();
    let newcomers = [reserved(), reserved()];
    let addresses: Vec<_> =
        replicas.iter().map(Replica::address).chain(newcomers.iter().map(|socket| socket.local_addr().unwrap())).collect();
    let ports: Vec<_> = addresses.iter().map(SocketAddr::port).collect();
    let door = Door::open(before(&addresses)).await;
    let mut sockets = open_many(&door, SOCKETS).await;
    assert!(are_even(&counts(&sockets, &ports[..3])), "{:?}", counts(&sockets, &ports));

    replicas.extend(newcomers.map(|socket| Replica::start_on(socket.listen(1024).unwrap())));
    eventually("five live", || async { live(&door).len() == 5 }).await;
    assert!(are_undisturbed(&mut sockets));
    // As many as it takes to fill the new ones up.
    sockets.extend(open_many(&door, SOCKETS * 2 / 3).await);
    assert!(are_even(&counts(&sockets, &ports)), "{:?}", counts(&sockets, &ports));
    assert!(are_undisturbed(&mut sockets));

    // Two of the first three leave, and one of the others.
    let (leaving, staying) = ([ports[0], ports[1], ports[3]], [ports[2], ports[4]]);
    let (told, mut untold): (Vec<_>, Vec<_>) = sockets.into_iter().partition(|(_, replica)| leaving.contains(replica));
    let has_left = |replica: &Replica| leaving.contains(&replica.address().port());
    replicas.iter().filter(|replica| has_left(replica)).for_each(Replica::say_goodbye);
    let mut leave_takings = JoinSet::new();
    for (mut socket, _) in told {
        leave_takings.spawn(async move {
            assert_eq!(goodbye(next(&mut socket).await.as_ref()), (1012, RESTARTING));
            assert!(is_over(&mut socket).await);
        });
    }
    let told = tokio::time::timeout(LIMIT, leave_takings.join_all()).await.expect("all are told in time").len();
    replicas.retain(|replica| !has_left(replica));
    assert!(are_undisturbed(&mut untold));

    // They all come back at once.
    eventually("two live", || async { live(&door).len() == 2 }).await;
    untold.extend(open_many(&door, told).await);
    assert!(are_even(&counts(&untold, &staying)), "{:?}", counts(&untold, &staying));
    assert_eq!(counts(&untold, &leaving), [0, 0, 0]);
    assert!(are_undisturbed(&mut untold));
    for (socket, _) in &mut untold {
        echo(socket, "still here").await;
    }
    let known = live(&door);
    assert_eq!(staying.map(|port| known[&port]).to_vec(), counts(&untold, &staying));
    assert_eq!(door.gateway.in_flight(), untold.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_replica_dies_is_told_to_come_again() {
    for dies_by_reset in [false, true] {
        let replica = Replica::start().await;
        let door = Door::open(before(&[replica.address()])).await;
        let mut sockets = Vec::new();
        for number in 0..20 {
            let mut socket = open(door.address, "echo").await;
            echo(&mut socket, &format!("hello {number}")).await;
            sockets.push(socket);
        }
        match dies_by_reset {
            true => replica.reset(),
            false => drop(replica),
        }
        for mut socket in sockets {
            assert_eq!(goodbye(next(&mut socket).await.as_ref()), SERVICE_RESTART);
            assert!(is_over(&mut socket).await);
        }
        eventually("nothing is in flight", || async { door.gateway.in_flight() == 0 }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_talks_while_its_replica_dies_is_told_too() {
    let replica = Replica::start().await;
    let door = Door::open(before(&[replica.address()])).await;
    let mut clients = JoinSet::new();
    for _ in 0..20 {
        let mut socket = open(door.address, "echo").await;
        clients.spawn(async move {
            loop {
                // Nobody may hear it any more.
                let _ = socket.feed(Message::text("are you there?")).await;
                let _ = socket.flush().await;
                match next(&mut socket).await {
                    Some(Message::Text(_)) => {}
                    other => return assert_eq!(goodbye(other.as_ref()), SERVICE_RESTART),
                }
            }
        });
    }
    replica.reset();
    tokio::time::timeout(LIMIT, clients.join_all()).await.expect("all are told in time");
}
