//! What must hold afterwards.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::client::Report;

/// By seq, who said what.
pub(super) type Log = BTreeMap<u64, (String, String)>;
/// By room.
pub(super) type Logs = HashMap<&'static str, Log>;

/// A room's whole log, as anyone can read it; `get` asks the gateway for a path.
pub(super) async fn whole_log(get: impl AsyncFn(String) -> Value, room: &str) -> Log {
    let mut log = Log::new();
    loop {
        let after = log.keys().next_back().copied().unwrap_or(0);
        let page = get(format!("/chat/rooms/{room}/messages?limit=200&after={after}")).await;
        let page = page.as_array().unwrap();
        for message in page {
            let text = |key: &str| message[key].as_str().unwrap().to_owned();
            log.insert(message["seq"].as_u64().unwrap(), (text("user"), text("text")));
        }
        if page.is_empty() {
            return log;
        }
    }
}

/// Everything that was promised and does not hold, a line each.
pub(super) fn violations(logs: &Logs, reports: &[Report]) -> Vec<String> {
    let mut violations: Vec<String> = reports.iter().flat_map(|report| report.violations.clone()).collect();
    for (room, log) in logs {
        if !log.keys().copied().eq(1..=log.len() as u64) {
            violations.push(format!("the log of {room} has holes"));
        }
        let mut places: HashMap<&str, u64> = HashMap::new();
        for (seq, (user, id)) in log {
            if let Some(first) = places.insert(id, *seq) {
                violations.push(format!("{id} is in {room} at {first} and at {seq}"));
            }
            let sender = reports.iter().find(|report| report.user == *user);
            if !sender.is_some_and(|report| report.sent.contains(id)) {
                violations.push(format!("{room} has {id} of {user} at {seq}, which nobody sent"));
            }
        }
    }
    for report in reports {
        let log = &logs[report.room];
        for (id, seq) in &report.acked {
            if log.get(seq) != Some(&(report.user.clone(), id.clone())) {
                violations.push(format!("{id} was acked at {seq} of {}, where {:?} is", report.room, log.get(seq)));
            }
        }
        for (seq, seen) in &report.seen {
            if log.get(seq) != Some(seen) {
                violations.push(format!("{} saw {seen:?} at {seq} of {}, where {:?} is", report.user, report.room, log.get(seq)));
            }
        }
        if report.gaps == 0 && report.seen.len() != log.len() {
            violations.push(format!("{} saw {} of {} in {}", report.user, report.seen.len(), log.len(), report.room));
        }
        if report.acked.is_empty() {
            violations.push(format!("{} got nothing acked: there was nothing to lose", report.user));
        }
    }
    violations
}

/// How much there was to lose.
pub(super) fn summary(logs: &Logs, reports: &[Report]) -> String {
    let sum = |of: fn(&Report) -> usize| reports.iter().map(of).sum::<usize>();
    format!(
        "{} messages in {} logs, {} sent, {} acked, {} seen by {} clients over {} connections, {} gaps",
        logs.values().map(BTreeMap::len).sum::<usize>(),
        logs.len(),
        sum(|report| report.sent.len()),
        sum(|report| report.acked.len()),
        sum(|report| report.seen.len()),
        reports.len(),
        sum(|report| report.connections),
        sum(|report| report.gaps),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str) -> (String, String) {
        ("ada".to_owned(), id.to_owned())
    }

    /// A log of `a`, `b`, `c`, and Ada, who sent them, got an ack for each and saw them.
    fn sound() -> (Logs, Report) {
        let log: Log = (1..).zip(["a", "b", "c"].map(entry)).collect();
        let report = Report {
            user: "ada".to_owned(),
            room: "lobby",
            sent: ["a", "b", "c"].map(str::to_owned).into(),
            acked: ["a", "b", "c"].map(str::to_owned).into_iter().zip(1..).collect(),
            seen: log.clone(),
            gaps: 0,
            connections: 1,
            violations: Vec::new(),
        };
        (Logs::from([("lobby", log)]), report)
    }

    fn found(spoil: impl FnOnce(&mut Log, &mut Report)) -> Vec<String> {
        let (mut logs, mut report) = sound();
        spoil(logs.get_mut("lobby").unwrap(), &mut report);
        violations(&logs, &[report])
    }

    #[test]
    fn what_is_sound_is_not_complained_of() {
        assert_eq!(found(|_, _| {}), [""; 0]);
        let gap = |_: &mut Log, report: &mut Report| {
            report.seen.remove(&2);
            report.gaps = 1;
        };
        assert_eq!(found(gap), [""; 0], "a gap that was told");
    }

    type Spoil = fn(&mut Log, &mut Report);

    #[test]
    fn each_broken_promise_is_found() {
        let cases: [(&str, Spoil); 8] = [
            ("has holes", |log, _| drop(log.remove(&2))),
            ("at 1 and at 4", |log, _| drop(log.insert(4, entry("a")))),
            ("which nobody sent", |log, _| drop(log.insert(4, entry("d")))),
            ("c was acked at 3", |log, _| drop(log.remove(&3))),
            ("saw (\"ada\", \"x\") at 2", |_, report| drop(report.seen.insert(2, entry("x")))),
            ("saw 2 of 3", |_, report| drop(report.seen.remove(&2))),
            ("nothing acked", |_, report| report.acked.clear()),
            ("came after", |_, report| report.violations.push("5 came after 3".to_owned())),
        ];
        for (expected, spoil) in cases {
            let found = found(spoil);
            assert!(found.iter().any(|line| line.contains(expected)), "{expected} is not in {found:?}");
        }
    }
}
