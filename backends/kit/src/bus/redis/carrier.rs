//! The task that talks to Redis for the bus: it keeps the subscriptions confirmed, and publishes what waits.

use std::collections::{BTreeMap, HashSet};
use std::future::pending;
use std::sync::Arc;

use futures_util::future::join_all;
use redis::{ErrorKind, Pipeline, PushKind, RedisError, ServerErrorKind, Value};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::topics::{HOLD, Topics};
use super::{Outgoing, lose};
use crate::bus::Topic;
use crate::redis::{Nodes, State, reason};

/// How many messages go together, and of how many bytes: not more than a slow network carries in time.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 1 << 20;

pub(super) struct Carrier {
    topics: Arc<Topics>,
    link: watch::Receiver<State>,
    queue: mpsc::UnboundedReceiver<Outgoing>,
    refused: watch::Sender<Option<String>>,
    batch: Vec<Outgoing>,
    done: watch::Sender<u64>,
    /// The topics whose subscriptions were confirmed, and on which connections.
    confirmed: HashSet<Topic>,
    confirmed_on: u64,
}

impl Carrier {
    /// Why Redis did not carry the last message, if it said so, goes to `refused`; how many are carried or given up, to `done`.
    pub(super) fn new(
        topics: Arc<Topics>,
        link: watch::Receiver<State>,
        queue: mpsc::UnboundedReceiver<Outgoing>,
        refused: watch::Sender<Option<String>>,
        done: watch::Sender<u64>,
    ) -> Self {
        Self { topics, link, queue, refused, done, batch: Vec::with_capacity(BATCH), confirmed: HashSet::new(), confirmed_on: 0 }
    }

    pub(super) async fn carry(mut self) {
        loop {
            if self.batch.is_empty() {
                tokio::select! {
                    count = self.queue.recv_many(&mut self.batch, BATCH) => if count == 0 { return },
                    _ = self.link.changed() => {}
                    () = self.topics.added.notified() => {}
                }
            }
            let deadline = self.batch.first().map_or_else(Instant::now, |message| message.since) + HOLD;
            match timeout_at(deadline, self.ready()).await {
                Ok(nodes) => self.publish(&nodes).await,
                Err(_) => self.lose_late(),
            }
        }
    }

    /// Connections on which all subscriptions are confirmed: who subscribes and then publishes hears himself.
    async fn ready(&mut self) -> Arc<Nodes> {
        loop {
            let nodes = self.link.borrow_and_update().nodes().cloned();
            if let Some(nodes) = nodes {
                match self.subscribe(&nodes).await {
                    Ok(()) => return nodes,
                    Err(why) => nodes.doubt(format!("a subscription failed: {why}")),
                }
            }
            if self.link.changed().await.is_err() {
                // The link ends with the bus, and so does this.
                return pending().await;
            }
        }
    }

    async fn subscribe(&mut self, nodes: &Nodes) -> Result<(), String> {
        if self.confirmed_on != nodes.number {
            self.confirmed.clear();
            self.confirmed_on = nodes.number;
        }
        let wanted = self.topics.beside(&self.confirmed);
        let mut requests: BTreeMap<usize, Pipeline> = BTreeMap::new();
        let command = if nodes.is_cluster { "SSUBSCRIBE" } else { "SUBSCRIBE" };
        for channel in wanted.iter().flat_map(|topic| self.topics.channels(*topic)) {
            // Where a node is lacking, the others are listened to; when it is back there are new connections.
            if let Some(owner) = nodes.owner(&channel) {
                requests.entry(owner).or_default().cmd(command).arg(channel);
            }
        }
        let is_confirmation = |value: &Value| matches!(value, Value::Push { kind: PushKind::Subscribe | PushKind::SSubscribe, .. });
        for answers in send(nodes, &requests).await {
            if let Some(refusal) = answers.map_err(|error| reason(&error))?.into_iter().find(|answer| !is_confirmation(answer)) {
                return Err(refusal.extract_error().err().map_or_else(|| "it was not confirmed".to_owned(), |error| reason(&error)));
            }
        }
        for topic in wanted {
            self.topics.confirm(topic);
            self.confirmed.insert(topic);
        }
        Ok(())
    }

    /// Publishes the first of what waits: together, in order for each node, and so for each key.
    async fn publish(&mut self, nodes: &Nodes) {
        let count = together(&self.batch);
        let mut requests: BTreeMap<usize, Pipeline> = BTreeMap::new();
        let command = if nodes.is_cluster { "SPUBLISH" } else { "PUBLISH" };
        for message in &self.batch[..count] {
            if let Some(owner) = nodes.owner(&message.channel) {
                requests.entry(owner).or_default().cmd(command).arg(&message.channel).arg(&message.payload[..]);
            }
        }
        let (mut published, mut refusal) = (0, None);
        for answers in send(nodes, &requests).await {
            match answers {
                Ok(answers) => {
                    published += answers.iter().filter(|answer| matches!(answer, Value::Int(_))).count();
                    for error in answers.into_iter().filter_map(|answer| answer.extract_error().err()) {
                        nodes.doubt_when_moved(&error);
                        if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) {
                            refusal = Some(reason(&error));
                        }
                    }
                }
                Err(error) => nodes.doubt(reason(&error)),
            }
        }
        self.batch.drain(..count);
        self.done.send_modify(|done| *done += count as u64);
        if published > 0 || refusal.is_some() {
            self.become_known(refusal);
        }
        metrics::counter!("bus_messages_published_total").increment(published as u64);
        lose((count - published) as u64);
    }

    /// New connections would not help, so this is told beside the state of the link.
    fn become_known(&self, refusal: Option<String>) {
        self.refused.send_if_modified(|refused| {
            let is_new = *refused != refusal;
            if let Some(why) = refusal.as_ref().filter(|_| is_new) {
                tracing::warn!("redis does not carry messages: {why}");
            }
            *refused = refusal;
            is_new
        });
    }

    /// Gives up what waited too long.
    fn lose_late(&mut self) {
        let waiting = self.batch.len();
        self.batch.retain(|message| message.since.elapsed() < HOLD);
        let count = (waiting - self.batch.len()) as u64;
        self.done.send_modify(|done| *done += count);
        lose(count);
    }
}

/// How many of these go together; a large one goes alone.
fn together(batch: &[Outgoing]) -> usize {
    let mut bytes = 0;
    let fits = |message: &&Outgoing| {
        bytes += message.payload.len();
        bytes <= BATCH_BYTES
    };
    batch.iter().take_while(fits).count().max(1).min(batch.len())
}

/// Sends each node its commands, to all at the same time. A node that does not answer in time is an error.
async fn send(nodes: &Nodes, requests: &BTreeMap<usize, Pipeline>) -> Vec<Result<Vec<Value>, RedisError>> {
    join_all(requests.iter().map(|(owner, pipeline)| {
        let mut connection = nodes.connection(*owner);
        async move { connection.send_packed_commands(pipeline, 0, pipeline.len()).await }
    }))
    .await
}
