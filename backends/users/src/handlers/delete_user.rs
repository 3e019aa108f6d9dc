use super::parse_id;
use crate::store::Conditions;
use crate::{Error, Users};

/// Deletes an account.
pub(crate) async fn delete_user(id: String, conditions: Conditions, users: Users) -> Result<(), Error> {
    let id = parse_id(&id)?;
    users.store.delete_user(id, conditions).await?;
    users.cached.forget(id).await;
    Ok(())
}
