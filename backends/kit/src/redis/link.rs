//! A link to a Redis that is kept up for ever: it never fails to start, is asked without waiting, and heals by itself.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::address::Place;
use super::{Nodes, OnPush, Probe, RedisAddress};
use crate::health::Check;

/// How often the nodes are asked whether they are alive, and how long they may take to say so.
const LOOK_EVERY: Duration = Duration::from_millis(800);
const LOOK_LIMIT: Duration = Duration::from_millis(700);
/// How long connecting to all nodes may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// Between two attempts, growing.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Connections that lasted so long were good: when they break, the next attempt is made at once.
const LASTED: Duration = Duration::from_secs(5);

/// A link, given up when dropped.
pub(crate) struct Link {
    state: watch::Receiver<State>,
    _keeping: AbortOnDropHandle<()>,
}

/// How a link is doing.
#[derive(Clone)]
pub(crate) enum State {
    /// Redis cannot be used, for this reason.
    Away(String),
    /// Redis is there; part of it may be lacking.
    There { nodes: Arc<Nodes>, lacking: Option<String> },
}

impl State {
    pub(crate) fn nodes(&self) -> Option<&Arc<Nodes>> {
        match self {
            Self::Away(_) => None,
            Self::There { nodes, .. } => Some(nodes),
        }
    }

    fn complaint(&self) -> Option<String> {
        match self {
            Self::Away(why) => Some(format!("redis is away: {why}")),
            Self::There { lacking, .. } => lacking.as_ref().map(|what| format!("redis is not whole: {what}")),
        }
    }
}

impl Link {
    /// Begins to connect, on the present runtime. What the nodes say unasked goes to `on_push`. With a `probe`, a Redis that
    /// refuses it is away.
    pub(crate) fn start(address: RedisAddress, on_push: OnPush, probe: Option<Probe>) -> Self {
        let (sender, state) = watch::channel(State::Away("it was not reached yet".to_owned()));
        let keeper = Keeper {
            address,
            on_push,
            probe,
            state: sender,
            known: Vec::new(),
            runs: HashSet::new(),
            other_memory_since: None,
            connected: 0,
            was_well: true,
        };
        Self { state, _keeping: AbortOnDropHandle::new(tokio::spawn(keeper.keep())) }
    }

    /// The connections, unless Redis is away.
    pub(crate) fn nodes(&self) -> Option<Arc<Nodes>> {
        self.state.borrow().nodes().cloned()
    }

    /// The state and its changes.
    pub(crate) fn watch(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// `warn` with the reason when Redis is away or not whole. It does not ask: the state is at most two seconds old.
    pub(crate) fn check(&self) -> Check {
        self.state.borrow().complaint().map_or_else(Check::pass, Check::warn)
    }
}

type Connected = (Nodes, mpsc::Receiver<String>);

struct Keeper {
    address: RedisAddress,
    on_push: OnPush,
    probe: Option<Probe>,
    state: watch::Sender<State>,
    /// The nodes that were there last.
    known: Vec<Place>,
    /// The runs of Redis that were there last, and since when there was one that had not been there before.
    runs: HashSet<String>,
    other_memory_since: Option<Instant>,
    /// How often it connected.
    connected: u64,
    /// What was logged last.
    was_well: bool,
}

impl Keeper {
    async fn keep(mut self) {
        let mut pause = PAUSE_MIN;
        let mut ready: Option<Connected> = None;
        loop {
            let connected = match ready.take() {
                Some(connected) => Ok(connected),
                None => self.connect().await,
            };
            match connected {
                Ok((nodes, doubted)) => {
                    let nodes = Arc::new(nodes);
                    match self.watch_over(&nodes, doubted).await {
                        Ok(better) => ready = Some(better),
                        Err(why) => self.become_known(State::Away(why)),
                    }
                    if ready.is_some() || nodes.since.elapsed() > LASTED {
                        pause = PAUSE_MIN;
                        continue;
                    }
                }
                Err(why) => self.become_known(State::Away(why)),
            }
            sleep(jittered(pause)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn connect(&mut self) -> Result<Connected, String> {
        let connecting = Nodes::connect(&self.address, &self.known, self.connected + 1, &self.on_push);
        let mut connected = timeout(CONNECT_LIMIT, connecting).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))?;
        self.connected += 1;
        self.remember_runs(&connected.0);
        connected.0.other_memory_since = self.other_memory_since;
        if let Some(probe) = &self.probe {
            connected.0.write_when_looking(probe);
        }
        Ok(connected)
    }

    fn remember_runs(&mut self, nodes: &Nodes) {
        if !self.runs.is_empty() && nodes.runs().any(|run| !self.runs.contains(run)) {
            self.other_memory_since = Some(Instant::now());
        }
        // A node that is lacking may come back as it was, unless another took over meanwhile.
        if nodes.are_all() {
            self.runs.clear();
        }
        self.runs.extend(nodes.runs().map(str::to_owned));
    }

    /// Until these connections are of no use, for the reason that is the error, or better ones are there.
    async fn watch_over(&mut self, nodes: &Arc<Nodes>, mut doubted: mpsc::Receiver<String>) -> Result<Connected, String> {
        self.known = nodes.reached().into_iter().map(|(place, _)| place.clone()).collect();
        loop {
            let lacking = tokio::select! {
                Some(why) = doubted.recv() => return Err(why),
                seen = timeout(LOOK_LIMIT, nodes.look()) => seen.unwrap_or_else(|_| Err("no answer in time".to_owned()))?,
            };
            let is_whole = lacking.is_none();
            self.become_known(State::There { nodes: nodes.clone(), lacking });
            tokio::select! {
                Some(why) = doubted.recv() => return Err(why),
                () = sleep(LOOK_EVERY) => {}
            }
            // A node may be back, or another may have taken over its slots.
            if !is_whole
                && let Ok(better) = self.connect().await
                && better.0.reached() != nodes.reached()
            {
                return Ok(better);
            }
        }
    }

    /// Tells the state. The log hears when it turns: at once to the worse, and to the better when it has lasted a moment,
    /// so that connections which break again and again are one complaint.
    fn become_known(&mut self, state: State) {
        let has_lasted = state.nodes().is_some_and(|nodes| nodes.since.elapsed() >= LOOK_EVERY);
        match state.complaint() {
            Some(complaint) if self.was_well => {
                tracing::warn!(address = %self.address, "{complaint}");
                self.was_well = false;
            }
            None if !self.was_well && has_lasted => {
                tracing::info!(address = %self.address, "redis is back");
                self.was_well = true;
            }
            _ => {}
        }
        self.state.send_replace(state);
    }
}

/// Between half of it and all of it, so that processes that lost Redis together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    pause / 2 + pause.mul_f64(0.5 * (random % 1000) as f64 / 1000.0)
}
