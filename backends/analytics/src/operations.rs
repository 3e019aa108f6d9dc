//! What analytics can be asked, and what it answers: the contract that `/openapi.json` shows and `routes` keeps.

use kit::http::{Answer, BodyError, Operation, schema};
use kit::problem::FieldError;

use crate::{Config, Error};

/// The schemas these speak of.
pub(crate) const SCHEMAS: &str = include_str!("schemas.json");

pub(crate) fn get_summary() -> Operation {
    Operation::new("GET /analytics", "getAnalytics", "Shows totals, the last minutes and what is hot.")
        .answers(Answer::new(200, "What was counted.").json(schema("Analytics")))
        .reads_query()
        .uses_database()
}

pub(crate) fn accept_events(config: &Config) -> Operation {
    let fault = FieldError::new("/name", "invalid_name", "must be 1 to 64 of the characters A-Z, a-z, 0-9, '.', '_', ':' and '-'");
    Operation::new("POST /analytics/events", "trackEvents", "Counts events, each exactly once.")
        .describe(
            "The answer comes after the commit. Send an `id` with each event when you retry. The body may be compressed: \
             `Content-Encoding: gzip`.",
        )
        .takes("application/json", schema("EventBatch"))
        .takes("application/x-ndjson", schema("EventLines"))
        .answers(Answer::new(202, "What became of each event.").json(schema("EventReceipt")))
        .fails([Error::InvalidEvent(vec![fault]), Error::TooManyEvents { max: config.batch_events_max }])
        .fails([BodyError::Encoding("the body is not valid gzip: corrupt deflate stream".to_owned())])
        .reads_body(config.body_bytes_max, "application/json or application/x-ndjson")
        .uses_database()
}
