use kit::http::{Query, QueryError};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{PAGE_DEFAULT, PAGE_MAX};
use crate::model::RoomName;
use crate::replica::Shared;
use crate::{Error, frames};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    before: Option<u64>,
    after: Option<u64>,
    limit: Option<u32>,
}

/// A page of a room's log as `message` frames, ascending: the newest, or those before or after a `seq`.
pub(crate) async fn list_messages(room: String, query: Query, replica: Shared) -> Result<Vec<Box<RawValue>>, Error> {
    let room = RoomName::try_from(room).map_err(Error::InvalidRoom)?;
    let parameters: Parameters = query.parse()?;
    let limit = parameters.limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(QueryError(format!("limit must be from 1 to {PAGE_MAX}")).into());
    }
    let events = match (parameters.before, parameters.after) {
        (Some(_), Some(_)) => return Err(QueryError("give before or after, not both".to_owned()).into()),
        (None, Some(after)) => replica.store.list_events_after(room, after, limit).await?,
        (before, None) => replica.store.list_events_before(room, before, limit).await?,
    };
    Ok(events.iter().map(|event| frames::raw(frames::message(event))).collect())
}
