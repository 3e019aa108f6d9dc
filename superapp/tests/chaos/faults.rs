//! What breaks: a few things at a time, for a moment.

use std::collections::BTreeMap;

use tokio::task::block_in_place;
use tokio::time::sleep;

use super::random::Random;
use crate::support::{Role, System};

/// One thing that breaks, and is put right again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    KillChat(usize),
    PauseChat(usize),
    KillGateway(usize),
    PauseGateway(usize),
    StopRedis,
    KillRedis,
    PauseRedis,
    /// `DEBUG SLEEP 5`: longer than any of the others.
    SleepRedis,
    CutRedis(&'static str),
    StopPostgres,
    KillPostgres,
    PausePostgres,
    CutPostgres,
}

impl Fault {
    /// What it breaks; nothing is broken twice at the same time.
    fn target(self) -> (&'static str, usize) {
        match self {
            Fault::KillChat(index) | Fault::PauseChat(index) => ("chat", index),
            Fault::KillGateway(index) | Fault::PauseGateway(index) => ("gateway", index),
            Fault::StopRedis | Fault::KillRedis | Fault::PauseRedis | Fault::SleepRedis | Fault::CutRedis(_) => ("redis", 0),
            Fault::StopPostgres | Fault::KillPostgres | Fault::PausePostgres | Fault::CutPostgres => ("postgres", 0),
        }
    }

    fn begin(self, system: &mut System) {
        match self {
            Fault::KillChat(index) => system.kill_one(Role::Chat, index),
            Fault::PauseChat(index) => system.pause(Role::Chat, index),
            Fault::KillGateway(index) => system.kill_one(Role::Gateway, index),
            Fault::PauseGateway(index) => system.pause(Role::Gateway, index),
            Fault::StopRedis => system.redis().stop(),
            Fault::KillRedis => system.redis().kill(),
            Fault::PauseRedis => system.redis().pause(),
            Fault::SleepRedis => drop(system.redis().sleep(5)),
            Fault::CutRedis(kind) => drop(system.redis().command(&format!("CLIENT KILL TYPE {kind}"))),
            Fault::StopPostgres => system.postgres().stop(),
            Fault::KillPostgres => system.postgres().kill(),
            Fault::PausePostgres => system.postgres().pause(),
            Fault::CutPostgres => {
                system.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'superapp %'");
            }
        }
    }

    async fn end(self, system: &mut System) {
        match self {
            // They start only where PostgreSQL is.
            Fault::KillChat(index) => system.start_one(Role::Chat, index).await,
            Fault::KillGateway(index) => system.start_one(Role::Gateway, index).await,
            Fault::PauseChat(index) => system.resume(Role::Chat, index),
            Fault::PauseGateway(index) => system.resume(Role::Gateway, index),
            Fault::StopRedis | Fault::KillRedis => block_in_place(|| system.redis().start_again()),
            Fault::PauseRedis => system.redis().resume(),
            Fault::StopPostgres | Fault::KillPostgres => block_in_place(|| system.postgres().start_again()),
            Fault::PausePostgres => system.postgres().resume(),
            // It wakes up by itself.
            Fault::SleepRedis | Fault::CutRedis(_) | Fault::CutPostgres => {}
        }
    }
}

/// Breaks things.
pub(super) struct Faults {
    random: Random,
    /// How often each.
    done: BTreeMap<String, usize>,
}

impl Faults {
    pub(super) fn new(random: Random) -> Self {
        Self { random, done: BTreeMap::new() }
    }

    /// Lets everything be for a moment, breaks one to three things, leaves them so for a moment, and puts them right.
    pub(super) async fn strike(&mut self, system: &mut System) {
        sleep(self.random.millis(200, 2500)).await;
        let mut faults: Vec<Fault> = Vec::new();
        for _ in 0..=self.random.below(3) {
            let fault = self.choose();
            if faults.iter().all(|other| other.target() != fault.target()) {
                faults.push(fault);
            }
        }
        println!("chaos: {faults:?}");
        for fault in &faults {
            block_in_place(|| fault.begin(system));
            *self.done.entry(format!("{fault:?}").split('(').next().unwrap_or_default().to_owned()).or_default() += 1;
            sleep(self.random.millis(0, 300)).await;
        }
        sleep(self.random.millis(100, 3000)).await;
        // Servers first: a process does not start without PostgreSQL.
        faults.sort_by_key(|fault| matches!(fault, Fault::KillChat(_) | Fault::KillGateway(_)));
        for fault in faults {
            fault.end(system).await;
        }
    }

    /// How often what broke.
    pub(super) fn summary(&self) -> String {
        format!("{} faults: {:?}", self.done.values().sum::<usize>(), self.done)
    }

    fn choose(&mut self) -> Fault {
        let (chat, gateway) = (self.random.below(3), self.random.below(2));
        let all = [
            Fault::KillChat(chat),
            Fault::KillChat(chat),
            Fault::PauseChat(chat),
            Fault::PauseChat(chat),
            Fault::KillGateway(gateway),
            Fault::PauseGateway(gateway),
            Fault::StopRedis,
            Fault::KillRedis,
            Fault::PauseRedis,
            Fault::SleepRedis,
            Fault::CutRedis("pubsub"),
            Fault::CutRedis("normal"),
            Fault::StopPostgres,
            Fault::KillPostgres,
            Fault::PausePostgres,
            Fault::CutPostgres,
        ];
        all[self.random.below(all.len())]
    }
}
