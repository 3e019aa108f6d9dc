//! The web side: warp's filters for routing, our own accept loop under them.
//!
//! - `server` accepts connections, with limits on time and number;
//! - `service` is what surrounds every request: its id, its metrics, its log line, its problem if it fails;
//! - `table` is a backend's routes: the router and the document (`document`) are both made of it;
//! - `operation` is what one of them promises;
//! - `body`, `query`, `reply` turn bytes into types and back.

mod body;
mod document;
mod linger;
mod operation;
mod query;
mod reply;
mod routes;
mod server;
mod service;
mod table;
#[cfg(feature = "testing")]
pub mod testing;

pub use body::{Body, BodyError, body, parse_object};
pub use operation::{Answer, Operation, list_of, schema};
pub use query::{Query, QueryError, query};
pub use reply::{Response, accepted, created, no_content, ok, problem, raw_json};
pub use routes::{any_of, page};
pub use server::{Config, serve};
pub use service::RequestId;
pub use table::Table;
