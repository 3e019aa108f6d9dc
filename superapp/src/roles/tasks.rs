//! Parts that serve, each a task with a name. None may end before it is told to.

use std::collections::HashMap;

use anyhow::{Context, anyhow};
use tokio::task::{Id, JoinSet};

/// Named tasks; those still running are stopped when this is dropped.
#[derive(Default)]
pub(super) struct Tasks {
    running: JoinSet<anyhow::Result<()>>,
    names: HashMap<Id, &'static str>,
}

impl Tasks {
    pub(super) fn spawn(&mut self, name: &'static str, task: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        let id = self.running.spawn(task).id();
        self.names.insert(id, name);
    }

    /// Whether none is running.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Waits until one ends although nobody told it to; for ever when there is none.
    pub(super) async fn broken(&mut self) -> anyhow::Error {
        match self.next().await {
            Some((name, Ok(()))) => anyhow!("{name} stopped without being told to"),
            Some((_, Err(error))) => error,
            None => std::future::pending().await,
        }
    }

    /// Waits until all have ended, as they were told to.
    pub(super) async fn finished(&mut self) -> anyhow::Result<()> {
        while let Some((_, ended)) = self.next().await {
            ended?;
        }
        Ok(())
    }

    async fn next(&mut self) -> Option<(&'static str, anyhow::Result<()>)> {
        let (id, ended) = match self.running.join_next_with_id().await? {
            Ok((id, ended)) => (id, ended),
            Err(error) if error.is_panic() => (error.id(), Err(anyhow!("panicked, see the log"))),
            Err(error) => (error.id(), Err(error.into())),
        };
        let name = self.names.remove(&id).unwrap_or("a part");
        Some((name, ended.context(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_ends_by_itself_is_named() {
        let mut tasks = Tasks::default();
        tasks.spawn("users", async { Ok(()) });
        assert_eq!(tasks.broken().await.to_string(), "users stopped without being told to");
        tasks.spawn("chat", async { panic!("on purpose") });
        assert_eq!(format!("{:#}", tasks.broken().await), "chat: panicked, see the log");
        assert!(tasks.finished().await.is_ok());
    }
}
