use kit::http::Body;

use super::parse_id;
use crate::cached::View;
use crate::model::{Change, Draft};
use crate::store::Conditions;
use crate::{Error, Users};

/// Replaces a user's name and address.
pub(crate) async fn replace_user(id: String, conditions: Conditions, body: Body, users: Users) -> Result<View, Error> {
    let id = parse_id(&id)?;
    let (name, email) = body.json::<Draft>()?.complete()?;
    let change = Change { name: Some(name), email: Some(email) };
    let updated = users.store.update_user(id, change, conditions, (users.clock)()).await;
    users.cached.changed(id, updated).await
}
