use kit::http::{Query, QueryError};
use serde::Deserialize;

use crate::Error;
use crate::model::Room;
use crate::replica::Shared;

/// Rooms in a list, where not said otherwise.
pub(crate) const ROOMS_DEFAULT: u32 = 100;
/// Rooms in a list at most.
pub(crate) const ROOMS_MAX: u32 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    limit: Option<u32>,
}

/// The rooms in which something was said last.
pub(crate) async fn list_rooms(query: Query, replica: Shared) -> Result<Vec<Room>, Error> {
    let parameters: Parameters = query.parse()?;
    let limit = parameters.limit.unwrap_or(ROOMS_DEFAULT);
    if !(1..=ROOMS_MAX).contains(&limit) {
        return Err(QueryError(format!("limit must be from 1 to {ROOMS_MAX}")).into());
    }
    Ok(replica.store.list_rooms(limit).await?)
}
