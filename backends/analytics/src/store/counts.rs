//! How the new events of a batch change the counts: one write for each row of them, however many events.

use std::collections::BTreeMap;

use crate::model::Event;

/// In the tables of counts, the name that stands for all of them together.
const ALL_NAMES: &str = "";

/// What is to be added to each row, in the order of the rows.
#[derive(Default)]
pub(super) struct Counts<'a> {
    totals: BTreeMap<&'a str, i64>,
    minutes: BTreeMap<(i64, &'a str), i64>,
}

impl<'a> Counts<'a> {
    pub(super) fn add(&mut self, event: &'a Event) {
        let minute = event.minute().as_millis();
        for name in [ALL_NAMES, event.name.as_str()] {
            *self.totals.entry(name).or_default() += 1;
            *self.minutes.entry((minute, name)).or_default() += 1;
        }
    }

    /// How many events were added.
    pub(super) fn events(&self) -> u64 {
        self.totals.get(ALL_NAMES).map_or(0, |count| count.unsigned_abs())
    }

    /// Name and count.
    pub(super) fn totals(&self) -> impl Iterator<Item = (&'a str, i64)> {
        self.totals.iter().map(|(name, count)| (*name, *count))
    }

    /// The minute's beginning, name and count.
    pub(super) fn minutes(&self) -> impl Iterator<Item = (i64, &'a str, i64)> {
        self.minutes.iter().map(|((minute, name), count)| (*minute, *name, *count))
    }
}
