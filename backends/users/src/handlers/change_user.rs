use kit::http::Body;

use super::parse_id;
use crate::cached::View;
use crate::model::Draft;
use crate::store::Conditions;
use crate::{Error, Users};

/// Merges a change into a user (RFC 7396).
pub(crate) async fn change_user(id: String, conditions: Conditions, body: Body, users: Users) -> Result<View, Error> {
    let id = parse_id(&id)?;
    let content_types = ["application/json", "application/merge-patch+json"];
    let change = body.json_as::<Draft>(&content_types, "application/json or application/merge-patch+json")?.change()?;
    let updated = users.store.update_user(id, change, conditions, (users.clock)()).await;
    users.cached.changed(id, updated).await
}
