//! The web side: warp's filters for routing, our own accept loop under them.
//!
//! - `server` accepts connections, with limits on time and number;
//! - `service` is what surrounds every request: its id, its metrics, its log line, its problem if it fails;
//! - `routes` helps `routes.rs` of each backend to read as a list;
//! - `body`, `query`, `reply` turn bytes into types and back.

mod body;
mod linger;
mod query;
mod reply;
mod routes;
mod server;
mod service;

pub use body::{Body, BodyError, body, parse_object};
pub use query::{Query, QueryError, query};
pub use reply::{Response, accepted, created, no_content, ok, problem, raw_json};
pub use routes::{any_of, health_routes, method_not_allowed, page, route};
pub use server::{Config, serve};
pub use service::RequestId;
