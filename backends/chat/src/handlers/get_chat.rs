use kit::health::Health;
use kit::http::Query;
use serde::Serialize;

use crate::Error;
use crate::replica::Shared;

/// The answering replica: how it is, and how much it has.
#[derive(Debug, Serialize)]
pub(crate) struct ChatView {
    #[serde(flatten)]
    health: Health,
    replica: String,
    uptime_s: u64,
    /// Sockets open on this replica.
    sockets: usize,
    /// Rooms that its sockets are in.
    rooms_open: usize,
    /// Rooms in which something was ever said.
    rooms: u64,
    /// Messages in all of them.
    messages: u64,
}

/// Health and counts of the answering replica.
pub(crate) async fn get_chat(query: Query, replica: Shared) -> Result<ChatView, Error> {
    query.expect_none()?;
    let counts = replica.store.count_rooms().await?;
    Ok(ChatView {
        health: replica.health().await,
        replica: replica.name.clone(),
        uptime_s: replica.started.elapsed().as_secs(),
        sockets: replica.sockets_open(),
        rooms_open: replica.hub.rooms_open(),
        rooms: counts.rooms,
        messages: counts.events,
    })
}
