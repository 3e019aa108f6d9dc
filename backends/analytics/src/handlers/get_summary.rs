use kit::clock::Timestamp;
use kit::health::Health;
use kit::http::Query;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::store::NameCount;
use crate::{Analytics, Error};

/// How analytics is doing, how much there is, and what happens right now.
#[derive(Debug, serde::Serialize)]
pub(crate) struct SummaryView {
    #[serde(flatten)]
    health: Health,
    totals: Totals,
    last_minutes: Vec<Minute>,
    hot: Vec<NameCount>,
}

#[derive(Debug, serde::Serialize)]
struct Totals {
    events: u64,
    by_name: ByName,
}

/// An object with a member per name, the largest count first.
#[derive(Debug)]
struct ByName(Vec<NameCount>);

#[derive(Debug, serde::Serialize)]
struct Minute {
    minute: Timestamp,
    count: u64,
}

/// Health, totals, the last quarter of an hour and what is hot.
pub(crate) async fn get_summary(query: Query, analytics: Analytics) -> Result<SummaryView, Error> {
    query.expect_none()?;
    let summary = analytics.store.summary((analytics.clock)()).await?;
    Ok(SummaryView {
        health: analytics.health().await,
        totals: Totals { events: summary.events, by_name: ByName(summary.by_name) },
        last_minutes: summary.minutes.into_iter().map(|(minute, count)| Minute { minute, count }).collect(),
        hot: summary.hot,
    })
}

impl Serialize for ByName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for NameCount { name, count } in &self.0 {
            map.serialize_entry(name, count)?;
        }
        map.end()
    }
}
