//! The way to Redis: its address, and a link that is kept up. `bus::Redis` and `cache::Redis` each have a link of their own.
//!
//! A Redis is a single node or a Cluster; which of them is seen when connecting. There is one connection for each node, so
//! that a link costs the same however much goes through it.

mod address;
mod link;
mod nodes;
mod probe;
mod reason;
#[cfg(test)]
pub(crate) mod testing;

pub use address::{InvalidRedisAddress, RedisAddress};
pub(crate) use link::{Link, State};
pub(crate) use nodes::{Nodes, OnPush};
pub(crate) use probe::Probe;
pub(crate) use reason::reason;
