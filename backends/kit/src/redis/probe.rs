//! A write that a link tries on each node whenever it looks, for those that need a Redis which can be written: one without
//! memory left, or with its disk full, answers all questions as if it were well.

use std::ops::RangeInclusive;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script};

use super::nodes::slot_of;

/// How many keys are tried to find one for a node: enough for a node of a single slot.
const TRIES: u32 = 200_000;

/// What is written: by a script, since that takes the same rights as what it stands for.
#[derive(Clone)]
pub(crate) struct Probe {
    /// The keys are this, a colon, and a number for each node.
    pub(crate) prefix: String,
    pub(crate) write: Arc<Script>,
    pub(crate) arguments: Vec<String>,
}

impl Probe {
    /// A key that is in one of these slots; none where no key with this prefix is.
    pub(super) fn key_in(&self, slots: &[RangeInclusive<u16>]) -> Option<String> {
        let is_there = |key: &String| slots.iter().any(|slots| slots.contains(&slot_of(key.as_bytes())));
        (0..TRIES).map(|number| format!("{}:{number}", self.prefix)).find(is_there)
    }

    pub(super) async fn write(&self, key: &str, mut connection: MultiplexedConnection) -> RedisResult<()> {
        let mut invocation = self.write.key(key);
        self.arguments.iter().for_each(|argument| _ = invocation.arg(argument));
        invocation.invoke_async(&mut connection).await
    }
}
