//! The way of bodies in, with limits on what is under way.
//!
//! A body of a few KiB may become one of megabytes, so two things are bounded: how many large bodies are read at the same
//! time (they wait for each other), and how many bytes wait to be stored (more are told to come again).

use std::sync::Arc;

use kit::clock::Timestamp;
use kit::database;
use kit::http::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::batch::{self, Batch, Limits};
use crate::{Config, Error};

/// Large bodies that are read at the same time.
const READERS: usize = 4;
/// A body up to this size is read where it is; a larger one would hold up the thread that answers others.
const SMALL_BYTES: usize = 16 * 1024;

/// The way in; clones share it.
#[derive(Clone)]
pub(crate) struct Intake {
    limits: Limits,
    readers: Arc<Semaphore>,
    room: Arc<Semaphore>,
    room_bytes: u32,
}

impl Intake {
    pub(crate) fn new(config: &Config) -> Self {
        let room_bytes = u32::try_from(config.intake_bytes_max).unwrap_or(u32::MAX).min(u32::MAX >> 3);
        Self {
            limits: Limits { body_bytes_max: config.body_bytes_max, batch_events_max: config.batch_events_max },
            readers: Arc::new(Semaphore::new(READERS)),
            room: Arc::new(Semaphore::new(room_bytes as usize)),
            room_bytes,
        }
    }

    /// Takes a body apart.
    pub(crate) async fn read(&self, body: Body, now: Timestamp) -> Result<Batch, Error> {
        let is_large = body.bytes.as_ref().is_ok_and(|bytes| bytes.len() > SMALL_BYTES);
        if !is_large && batch::is_compressed(&body) != Some(true) {
            return batch::read(&body, self.limits, now);
        }
        let limits = self.limits;
        let permit = self.readers.clone().acquire_owned().await;
        let read = tokio::task::spawn_blocking(move || {
            let batch = batch::read(&body, limits, now);
            drop(permit);
            batch
        });
        read.await.map_err(|error| database::Error::Internal(format!("read a body: {error}")))?
    }

    /// Room for a batch to wait in until it is stored; it is given back when the permit is dropped.
    pub(crate) fn reserve(&self, batch: &Batch) -> Result<OwnedSemaphorePermit, Error> {
        // One body always fits, whatever the settings say.
        let bytes = u32::try_from(batch.bytes).unwrap_or(u32::MAX).min(self.room_bytes);
        Ok(self.room.clone().try_acquire_many_owned(bytes).map_err(|_| database::Error::Busy)?)
    }
}
