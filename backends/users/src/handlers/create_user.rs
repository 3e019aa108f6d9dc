use kit::happening::Happening;
use kit::http::Body;
use uuid::Uuid;

use crate::cached::View;
use crate::model::{Draft, User};
use crate::{Error, Users};

/// Makes an account, unless the address is taken.
pub(crate) async fn create_user(body: Body, users: Users) -> Result<View, Error> {
    let (name, email) = body.json::<Draft>()?.complete()?;
    let now = (users.clock)();
    let user = User::new(Uuid::now_v7(), name, email, now);
    users.store.insert_user(user.clone()).await?;
    metrics::counter!("users_created_total").increment(1);
    Happening::new("user.created", now, Some(user.id.to_string()), None).publish(&*users.bus);
    View::of(&user)
}
