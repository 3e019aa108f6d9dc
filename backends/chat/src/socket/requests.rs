//! What a client's frames do.

use std::time::Instant;

use tokio_tungstenite::tungstenite::{self, Message};

use super::Socket;
use super::close::End;
use super::delivery::Joined;
use crate::Error;
use crate::frames::{self, ClientFrame, ErrorFrame, ServerFrame};
use crate::handlers::{PAGE_DEFAULT, PAGE_MAX};
use crate::model::{ClientId, Draft, RoomName, check_text};

/// Bytes of messages in one history frame, about; whatever the limit asked for.
const HISTORY_BYTES: usize = 128 * 1024;

impl Socket {
    /// Takes what the connection brought: a frame, a sign of life, or its end.
    pub(super) async fn take_incoming(&mut self, incoming: Option<Result<Message, tungstenite::Error>>) -> Result<(), End> {
        let message = incoming.ok_or(End::Gone)??;
        match message {
            Message::Text(text) => self.take_text(text.as_str()).await,
            Message::Binary(_) => Err(End::Binary),
            Message::Close(_) => Err(End::Closed),
            // Answering pings costs as much as a frame.
            Message::Ping(_) => self.rate.take(Instant::now()).map_err(|_| End::Flood),
            Message::Pong(_) | Message::Frame(_) => Ok(()),
        }
    }

    async fn take_text(&mut self, text: &str) -> Result<(), End> {
        let allowed = self.rate.take(Instant::now()).map_err(Error::RateLimited);
        let done = match allowed.and_then(|()| ClientFrame::parse(text)) {
            Ok(frame) => self.take_frame(frame).await?,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            self.send(&ServerFrame::Error(ErrorFrame::new(error, ClientFrame::id_of(text)))).await?;
        }
        Ok(())
    }

    async fn take_frame(&mut self, frame: ClientFrame) -> Result<Result<(), Error>, End> {
        match frame {
            ClientFrame::Send { room, text, id } => Ok(self.say(room, text, id)),
            // Boxed: rare and large, and every socket would carry their size all its life.
            ClientFrame::Join { room, after, .. } => match self.room(room) {
                Ok(room) => Box::pin(self.join(room, after)).await,
                Err(error) => Ok(Err(error)),
            },
            ClientFrame::Leave { room, .. } => match self.room(room) {
                Ok(room) => self.leave(room).await,
                Err(error) => Ok(Err(error)),
            },
            ClientFrame::History { room, before, limit, .. } => match self.room(room) {
                Ok(room) => Box::pin(self.tell_history(room, before, limit)).await,
                Err(error) => Ok(Err(error)),
            },
            ClientFrame::Ping { .. } => self.send(&ServerFrame::Pong {}).await.map(Ok),
        }
    }

    /// The room a frame is about.
    fn room(&self, named: Option<String>) -> Result<RoomName, Error> {
        named.map_or_else(|| Ok(self.home.clone()), |name| RoomName::try_from(name).map_err(Error::InvalidField))
    }

    /// Sends a message on its way into the log; its ack follows the commit.
    fn say(&mut self, room: Option<String>, text: String, id: Option<String>) -> Result<(), Error> {
        let room = self.room(room)?;
        let id = id.map(ClientId::try_from).transpose().map_err(Error::InvalidField)?;
        check_text(&text, self.replica.config.text_bytes_max).map_err(Error::InvalidField)?;
        let draft = Draft { room: room.clone(), user: self.user.clone(), text, id: id.clone(), at: self.replica.now() };
        let outcome = self.replica.sequencer.submit(draft)?;
        self.acks.push(room, id, outcome);
        Ok(())
    }

    /// Enters a room: live, or from where the client was. Entering again with `after` goes back there.
    pub(super) async fn join(&mut self, name: RoomName, after: Option<u64>) -> Result<Result<(), Error>, End> {
        let joined = match self.place_in(&name, after).await {
            Ok(joined) => joined,
            Err(error) => return Ok(Err(error)),
        };
        let head = joined.head();
        self.rooms.retain(|joined| joined.room().name != name);
        self.rooms.push(joined);
        self.send(&ServerFrame::Joined { room: &name, head }).await.map(Ok)
    }

    async fn place_in(&mut self, name: &RoomName, after: Option<u64>) -> Result<Joined, Error> {
        let present = self.rooms.iter().find(|joined| joined.room().name == *name).map(Joined::cursor);
        let rooms_max = self.replica.config.rooms_per_socket_max.get();
        if present.is_none() && self.rooms.len() >= rooms_max {
            return Err(Error::TooManyRooms(rooms_max));
        }
        let member = self.replica.hub.join(name, &self.news).await?;
        let after = after.or(present);
        // The client may have seen more on another replica than this one has heard of yet.
        if after.is_some_and(|after| after > member.room().head()) {
            self.replica.hub.catch_up(member.room()).await?;
        }
        Ok(Joined::new(member, after))
    }

    async fn leave(&mut self, room: RoomName) -> Result<Result<(), Error>, End> {
        let before = self.rooms.len();
        self.rooms.retain(|joined| joined.room().name != room);
        if self.rooms.len() == before {
            return Ok(Err(Error::NotJoined));
        }
        self.send(&ServerFrame::Left { room: &room }).await.map(Ok)
    }

    async fn tell_history(&mut self, room: RoomName, before: Option<u64>, limit: Option<u32>) -> Result<Result<(), Error>, End> {
        let limit = limit.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Ok(Err(Error::InvalidFrame(format!("limit must be from 1 to {PAGE_MAX}"))));
        }
        let events = match self.replica.store.list_events_before(room.clone(), before, limit).await {
            Ok(events) => events,
            Err(error) => return Ok(Err(Error::Store(error))),
        };
        // The newest of them that fit; the client asks for those before.
        let mut bytes = 0;
        let newest_first = events.iter().rev().map(|event| (event.seq, frames::message(event))).take_while(|(_, frame)| {
            let fits = bytes < HISTORY_BYTES;
            bytes += frame.len();
            fits
        });
        let (seqs, mut messages): (Vec<u64>, Vec<_>) = newest_first.map(|(seq, frame)| (seq, frames::raw(frame))).unzip();
        messages.reverse();
        // A log has no holes, so there is more exactly when the first is not the first.
        let more = seqs.last().is_some_and(|first| *first > 1);
        self.send(&ServerFrame::History { room: &room, messages, more }).await.map(Ok)
    }
}
