//! The vocabulary of the stories.
//!
//! ```text
//! let mut system = System::all_in_one().await;         // or roles(), production(), or Setup::roles().set("…").start().await
//! let ada = system.sign_up("ada").await;                // a user; her JSON
//! let reply = system.get("/users").await;               // get, delete, post, put, patch; send for anything else; raw for bytes
//! assert_eq!((reply.status, reply.code()), (404, "…"));
//! let mut socket = system.socket("alice").await;        // through the gateway; socket_at(address, query) to a replica
//! socket.say("hi").await;                               // a line of text; send for JSON
//! let ack = socket.next_of("ack").await;                // frames in between are skipped; next() takes the very next
//! system.kill(Role::Chat).await;                        // kill -9 of the process that plays the role
//! system.start(Role::Chat).await;                       // again, on the same addresses and data
//! system.kill_one(Role::Chat, 2);                        // one of several; start_one, pause and resume
//! system.redis().stop();                                // in production; system.postgres() with Setup::with_own_postgres
//! system.restart_with(Role::Gateway, &["…=…"]).await;   // the same with other settings
//! system.stop(Role::Gateway).await;                     // SIGTERM, and wait for exit 0; terminate and ended are its halves
//! ```
//!
//! In the all-in-one shape every role is the same process; in production most have several. Nothing waits for a fixed time: [`eventually`] asks until something
//! holds, within [`LIMIT`]. Ports and folders are free ones; everything is killed and removed when the system is dropped.

mod http;
mod process;
mod socket;
mod system;

use std::time::Duration;

pub(crate) use http::Reply;
pub(crate) use process::{Exit, Process, Ready, superapp};
pub(crate) use socket::Socket;
pub(crate) use system::{Role, Setup, System};
use tokio::net::TcpSocket;

/// How long anything may take before a story fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("never happened: {what}"));
}

/// An address where nobody answers, for as long as this is held.
pub(crate) struct DeadAddress {
    pub(crate) address: std::net::SocketAddr,
    _bound: TcpSocket,
}

impl DeadAddress {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        // Bound but not listening: the port is nobody else's, and connecting is refused.
        Self { address: socket.local_addr().unwrap(), _bound: socket }
    }
}

/// Tells each story three times: against everything in one process, against a process per role, and against several processes
/// per role on PostgreSQL and Redis.
macro_rules! in_every_shape {
    ($($story:ident),+ $(,)?) => {
        mod all_in_one {
            $(#[tokio::test]
            async fn $story() {
                super::$story(crate::support::System::all_in_one().await).await;
            })+
        }
        mod roles {
            $(#[tokio::test]
            async fn $story() {
                super::$story(crate::support::System::roles().await).await;
            })+
        }
        mod production {
            $(#[tokio::test]
            async fn $story() {
                super::$story(crate::support::System::production().await).await;
            })+
        }
    };
}
pub(crate) use in_every_shape;
