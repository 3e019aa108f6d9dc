//! The web side of analytics, all of it.

use kit::http::{Table, accepted, body, ok, query};
use warp::Filter;

use crate::{Analytics, handlers, operations};

/// Everything this backend answers.
pub(crate) fn table(analytics: Analytics) -> Table {
    let body = body(analytics.config.body_bytes_max);
    let health = {
        let analytics = analytics.clone();
        move || {
            let analytics = analytics.clone();
            async move { analytics.health().await }
        }
    };
    let accept_events = operations::accept_events(&analytics.config);
    let mut table = Table::new("analytics", operations::SCHEMAS);
    table.schema_mut("EventBatch")["anyOf"][1]["maxItems"] = analytics.config.batch_events_max.into();
    let analytics = warp::any().map(move || analytics.clone());

    table
        .on(operations::get_summary(), |at| at.and(query()).and(analytics.clone()).then(handlers::get_summary).map(ok))
        .on(accept_events, |at| at.and(body).and(analytics).then(handlers::accept_events).map(accepted))
        .health(health)
}
