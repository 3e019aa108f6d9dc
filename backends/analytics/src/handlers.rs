//! What each endpoint does, one file each. No warp here: plain functions over plain values.

mod accept_events;
mod get_summary;

pub(crate) use accept_events::accept_events;
pub(crate) use get_summary::get_summary;

#[cfg(test)]
mod tests;
