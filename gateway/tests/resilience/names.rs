//! Replicas that are given by name.

use crate::replica::Replica;
use crate::support::{Door, eventually};
use crate::{before, endpoints};

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_all_its_addresses_and_a_bad_one_harms_nobody() {
    let replica = Replica::start().await;
    let port = replica.address.port();
    let mut config = before(&[]);
    config.clusters.users.endpoints = vec![format!("localhost:{port} weight=2"), "does-not-exist.invalid:1".to_owned()];
    let door = Door::open(config).await;
    eventually("the name is resolved", || async { !endpoints(&door).is_empty() }).await;
    for _ in 0..20 {
        let reply = door.post("/users/1", "x").await;
        assert_eq!((reply.status, reply.header("x-replica")), (200, Some(replica.address.to_string().as_str())));
    }
    for endpoint in endpoints(&door) {
        let address = endpoint["address"].as_str().unwrap();
        assert!(["127.0.0.1", "[::1]"].iter().any(|host| address == format!("{host}:{port}")), "{endpoint}");
        assert_eq!(endpoint["weight"], 2);
    }
}
