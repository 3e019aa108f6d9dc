//! Rounds as a table: medians with the least and the most, and our ratio to each peer, round by round.

use super::cases::{Case, Pace, Sample};
use super::proxy::{Engine, Subject};

/// More of the machine than this in other hands, and what was measured is theirs too.
const OTHERS_MAX: f64 = 0.05;

/// Prints one case. `rounds` holds the samples of each subject, in the order of `subjects`.
pub(crate) fn print(case: Case, subjects: &[Subject], rounds: &[Vec<Sample>], others: f64) {
    let (unit, busy) = (case.unit(), "busy");
    println!("\n{:<30} {unit:>22} {:>14} {busy:>6} {:>9} {:>9}", case.title(), "per second", "p50 ms", "p99 ms");
    for (subject, samples) in subjects.iter().zip(rounds) {
        let cost = Spread::of(samples.iter().map(|sample| sample.cost));
        println!("  {:<28} {:>22}{}", subject.name, cost.text(), pace(samples));
    }
    if others > OTHERS_MAX {
        println!("  (other programs used {:.0} % of the machine meanwhile: measure again when it is quiet)", others * 100.0);
    }
    let goals = case.goals();
    let all = || subjects.iter().zip(rounds);
    for (index, (ours, samples)) in all().enumerate().filter(|(_, (subject, _))| subject.is_ours()) {
        for (peer, of_peer) in all().skip_while(|(peer, _)| peer.is_ours()).take(subjects.len()) {
            let goal = match peer.engine {
                Engine::Nginx => goals.nginx,
                Engine::Haproxy => goals.haproxy,
                Engine::Gateway(_) => None,
            };
            // A build of ours is compared with those before it, once.
            let is_own_or_later = peer.is_ours() && subjects.iter().position(|each| each.name == peer.name) >= Some(index);
            if !is_own_or_later {
                let ratios = samples.iter().zip(of_peer).map(|(ours, peer)| ours.cost / peer.cost);
                judge(&format!("{} / {}", ours.name, peer.name), Spread::of(ratios), goal);
            }
        }
        let paces = samples.iter().filter_map(|sample| sample.pace);
        if goals.p99_to_p50.is_some() {
            judge(&format!("{} p99 / p50", ours.name), Spread::of(paces.map(|pace| pace.p99_ms / pace.p50_ms)), goals.p99_to_p50);
        }
        if goals.cost.is_some() {
            judge(&ours.name, Spread::of(samples.iter().map(|sample| sample.cost)), goals.cost);
        }
    }
}

/// The rest of a subject's line.
fn pace(samples: &[Sample]) -> String {
    let paces: Vec<Pace> = samples.iter().filter_map(|sample| sample.pace).collect();
    if paces.is_empty() {
        return String::new();
    }
    let median = |of: fn(&Pace) -> f64| Spread::of(paces.iter().map(of)).median;
    let (per_second, busy) = (median(|pace| pace.per_second), median(|pace| pace.busy) * 100.0);
    let (p50, p99) = (median(|pace| pace.p50_ms), median(|pace| pace.p99_ms));
    format!(" {per_second:>14.0} {busy:>4.0} % {p50:>9.2} {p99:>9.2}")
}

fn judge(what: &str, spread: Spread, goal: Option<f64>) {
    let verdict = goal.map_or(String::new(), |goal| {
        let word = if spread.median <= goal { "reached" } else { "missed" };
        format!("   at most {goal:.2} is wanted: {word}")
    });
    println!("  {what:<28} {:>22}{verdict}", spread.text());
}

/// The median of some rounds, and how far they reach.
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        Self { least: at(0), median: (at(last / 2) + at(last.div_ceil(2))) / 2.0, most: at(last) }
    }

    fn text(&self) -> String {
        let Self { least, median, most } = self;
        let digits = if *median < 100.0 { 2 } else { 0 };
        format!("{median:.digits$} ({least:.digits$}–{most:.digits$})")
    }
}
