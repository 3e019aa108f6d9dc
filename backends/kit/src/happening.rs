//! The system's own happenings (user created, message sent, socket opened): how they cross from one backend to analytics.
//!
//! A backend publishes them on the bus and forgets them; whoever listens counts them. The bus may lose (see `bus::Bus`), so
//! these are counts for people, not accounts. The id makes a happening countable once however often it is heard.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bus::{Bus, Topic};
use crate::clock::Timestamp;

/// The topic of the bus that carries happenings.
pub const TOPIC: Topic = Topic { name: "happenings", shards: 1 };

/// Something that happened in a backend; on the wire an object as `POST /analytics/events` takes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Happening {
    /// Unique.
    pub id: Uuid,
    /// What happened, such as `user.created`.
    pub name: String,
    /// When.
    pub at: Timestamp,
    /// Who did it, as the backend names him.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// More about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<serde_json::Value>,
}

impl Happening {
    /// A happening with a new id.
    pub fn new(name: &str, at: Timestamp, user_id: Option<String>, properties: Option<serde_json::Value>) -> Self {
        Self { id: Uuid::now_v7(), name: name.to_owned(), at, user_id, properties }
    }

    /// Tells whoever listens.
    pub fn publish(&self, bus: &dyn Bus) {
        match serde_json::to_vec(self) {
            Ok(payload) => bus.publish(TOPIC, "", Bytes::from(payload)),
            Err(error) => tracing::error!(%error, name = self.name, "a happening could not be written"),
        }
    }
}
