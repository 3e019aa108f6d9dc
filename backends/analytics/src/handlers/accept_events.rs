use kit::http::Body;
use serde::Serialize;

use crate::batch::Rejected;
use crate::store::Inserted;
use crate::{Analytics, Error};

/// What became of each event of a body; the three together are all of them.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Receipt {
    /// Stored, and counted from now on.
    pub(crate) accepted: u64,
    /// Stored before, or earlier in the same body.
    pub(crate) duplicates: u64,
    /// Not taken, and why.
    pub(crate) rejected: Vec<Rejected>,
}

/// Stores events, all of a body in one transaction, and answers after it is on disk.
pub(crate) async fn accept_events(body: Body, analytics: Analytics) -> Result<Receipt, Error> {
    let now = (analytics.clock)();
    let batch = analytics.intake.read(body, now).await?;
    let room = analytics.intake.reserve(&batch)?;
    let inserted = match batch.events.is_empty() {
        true => Inserted::default(),
        false => analytics.store.insert_events(batch.events, now).await?,
    };
    drop(room);
    inserted.count(batch.rejected.len());
    Ok(Receipt { accepted: inserted.accepted, duplicates: inserted.duplicates, rejected: batch.rejected })
}
