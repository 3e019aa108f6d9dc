//! What every backend needs and none of them is.
//!
//! The kit knows no backend. It holds the web side (`http`, `problem`), the way to SQL (`sql`, `database`), what crosses
//! processes (`bus`, `cache`) and time (`clock`). Each backend takes from it what it needs; nothing here starts by itself.

pub mod bus;
pub mod cache;
pub mod clock;
pub mod database;
pub mod happening;
pub mod health;
pub mod http;
pub mod problem;
mod redis;
pub mod seldom;
pub mod sql;

pub use redis::{InvalidRedisAddress, RedisAddress};
