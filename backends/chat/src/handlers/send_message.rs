use kit::http::Body;
use kit::problem::FieldError;
use serde::{Deserialize, Serialize};

use crate::frames::ServerFrame;
use crate::model::{ClientId, Draft, RoomName, UserName, check_text};
use crate::replica::Shared;
use crate::store::Appended;
use crate::{Config, Error};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMessage {
    user: String,
    text: String,
    id: Option<String>,
}

/// A message that has its place in the log.
#[derive(Debug)]
pub(crate) struct Sent {
    room: RoomName,
    id: Option<ClientId>,
    appended: Appended,
}

impl Serialize for Sent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ServerFrame::ack(&self.room, self.id.as_ref(), self.appended).serialize(serializer)
    }
}

/// Says something in a room; the answer comes after the commit.
pub(crate) async fn send_message(room: String, body: Body, replica: Shared) -> Result<Sent, Error> {
    let room = RoomName::try_from(room).map_err(Error::InvalidRoom)?;
    let (user, text, id) = judge(body.json()?, &replica.config)?;
    let draft = Draft { room: room.clone(), user, text, id: id.clone(), at: replica.now() };
    let appended = replica.sequencer.append(draft).await?;
    Ok(Sent { room, id, appended })
}

/// All faults at once.
fn judge(new: NewMessage, config: &Config) -> Result<(UserName, String, Option<ClientId>), Error> {
    let mut faults: Vec<FieldError> = Vec::new();
    let user = UserName::try_from(new.user).map_err(|fault| faults.push(fault));
    let text = check_text(&new.text, config.text_bytes_max).map_err(|fault| faults.push(fault));
    let id = new.id.map(ClientId::try_from).transpose().map_err(|fault| faults.push(fault));
    match (user, text, id) {
        (Ok(user), Ok(()), Ok(id)) => Ok((user, new.text, id)),
        _ => Err(Error::InvalidMessage(faults)),
    }
}
