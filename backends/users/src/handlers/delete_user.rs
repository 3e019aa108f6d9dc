use kit::http::Query;

use super::parse_id;
use crate::store::Conditions;
use crate::{Error, Users};

/// Deletes an account.
pub(crate) async fn delete_user(id: String, conditions: Conditions, query: Query, users: Users) -> Result<(), Error> {
    query.expect_none()?;
    let id = parse_id(&id)?;
    let deleted = users.store.delete_user(id, conditions).await;
    users.cached.deleted(id, deleted).await
}
