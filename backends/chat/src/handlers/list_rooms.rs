use kit::http::{Query, QueryError};
use serde::Deserialize;

use crate::Error;
use crate::model::Room;
use crate::replica::Shared;

const LIMIT_DEFAULT: u32 = 100;
const LIMIT_MAX: u32 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    limit: Option<u32>,
}

/// The rooms in which something was said last.
pub(crate) async fn list_rooms(query: Query, replica: Shared) -> Result<Vec<Room>, Error> {
    let parameters: Parameters = query.parse()?;
    let limit = parameters.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(QueryError(format!("limit must be from 1 to {LIMIT_MAX}")).into());
    }
    Ok(replica.store.list_rooms(limit).await?)
}
