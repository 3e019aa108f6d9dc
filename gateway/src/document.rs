//! `/openapi.json`: everything behind the door as one document.
//!
//! Each backend has a document of its own. They are asked for in the background, of one live replica of each cluster, and merged
//! with that of the gateway's own pages (`own.json`). What was once known of a backend is shown until something newer comes, also
//! while all of its replicas are away; requests never wait.

mod merge;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::StatusCode;
use http::header::ETAG;
use serde_json::Value;

use crate::answer::{Answer, json_line};
use crate::cluster::Cluster;
use crate::probe::Asker;
use crate::problem::Problem;
use crate::{Gateway, etag};

/// A document larger than this is none.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a replica may take to show its own.
const TIMEOUT: Duration = Duration::from_secs(5);
/// As long as something is not known it is asked for again after this, twice as long each time, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The merged document, once there is one.
#[derive(Default)]
pub(crate) struct Document(ArcSwapOption<Shown>);

struct Shown {
    body: Bytes,
    etag: String,
}

impl Document {
    /// The answer to a request for it.
    pub(crate) fn answer(&self, if_none_match: Option<&[u8]>, request_id: &str) -> Answer {
        let Some(shown) = self.0.load_full() else { return Problem::DocumentUnknown.answer(request_id) };
        let answer = match etag::is_known(if_none_match, &shown.etag) {
            true => Answer::not_modified("no-cache"),
            false => Answer::kept("application/json", shown.body.clone(), "no-cache"),
        };
        answer.with(ETAG, &shown.etag)
    }

    fn show(&self, document: &Value) {
        let body = Bytes::from(json_line(document));
        self.0.store(Some(Arc::new(Shown { etag: etag::of(&body), body })));
    }
}

/// Keeps the document up to date for as long as the door serves.
pub(crate) async fn run(gateway: Gateway) {
    let refresh = gateway.config().document_refresh();
    if refresh.is_zero() {
        return;
    }
    let asker = Asker::default();
    let mut known = gateway.clusters().map(|cluster| (cluster.service, None));
    let mut pause = PAUSE_MIN;
    loop {
        let mut is_new = false;
        for (cluster, (_, fragment)) in gateway.clusters().into_iter().zip(&mut known) {
            let found = ask(&asker, cluster).await;
            is_new |= found.is_some() && found != *fragment;
            *fragment = found.or(fragment.take());
        }
        if is_new {
            gateway.document().show(&merge::merge(gateway.version(), gateway.config(), &known));
        }
        let is_complete = known.iter().all(|(_, fragment)| fragment.is_some());
        tokio::time::sleep(if is_complete { refresh } else { refresh.min(pause) }).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// The document of a cluster, as one of its live replicas shows it.
async fn ask(asker: &Asker, cluster: &Cluster) -> Option<Value> {
    let endpoints = cluster.endpoints();
    for endpoint in endpoints.iter().filter(|endpoint| endpoint.is_live()) {
        let why = match tokio::time::timeout(TIMEOUT, asker.get(endpoint.address, "/openapi.json", BYTES_MAX)).await {
            Ok(Ok((StatusCode::OK, body))) => match serde_json::from_slice::<Value>(&body) {
                Ok(document) if document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")) => return Some(document),
                Ok(_) => "it is no OpenAPI 3.1",
                Err(_) => "it is no JSON",
            },
            Ok(Ok(_)) => "it has none",
            Ok(Err(why)) => why,
            Err(_) => "it did not answer in time",
        };
        tracing::debug!(service = cluster.service.name(), replica = %endpoint.address, why, "a replica does not show its document");
    }
    None
}
