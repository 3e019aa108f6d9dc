//! The frames of a socket: JSON objects, one per WebSocket text message, told apart by `type`.
//!
//! `client` is what comes in, `server` what goes out.

mod client;
mod server;

pub(crate) use client::ClientFrame;
pub(crate) use server::{ErrorFrame, ServerFrame, message, raw, with_id};
