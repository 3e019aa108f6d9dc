use kit::http::Query;

use super::parse_id;
use crate::cached::View;
use crate::store::Conditions;
use crate::{Error, Users};

/// A user, or the word that the caller has him already.
pub(crate) enum Found {
    Modified(View),
    NotModified(View),
}

/// One user by id.
pub(crate) async fn get_user(id: String, conditions: Conditions, query: Query, users: Users) -> Result<Found, Error> {
    query.expect_none()?;
    let view = users.cached.get(parse_id(&id)?).await?;
    Ok(if conditions.is_known(view.version) { Found::NotModified(view) } else { Found::Modified(view) })
}
