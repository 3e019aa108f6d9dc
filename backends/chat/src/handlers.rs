//! What each HTTP endpoint does, one file each. No warp here: plain functions over plain values.

mod get_chat;
mod list_messages;
mod list_rooms;
mod send_message;

pub(crate) use get_chat::get_chat;
pub(crate) use list_messages::list_messages;
pub(crate) use list_rooms::{ROOMS_DEFAULT, ROOMS_MAX, list_rooms};
pub(crate) use send_message::send_message;

/// Messages in a page, where not said otherwise.
pub(crate) const PAGE_DEFAULT: u32 = 50;
/// Messages in a page at most.
pub(crate) const PAGE_MAX: u32 = 200;
