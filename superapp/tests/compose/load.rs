//! Requests without a pause, none of which may fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::json;
use tokio::task::JoinHandle;

use crate::project::Project;

/// Who asks at the same time: as many as `oha` has connections where one does not say how many.
const ASKERS: usize = 50;

pub(crate) struct Load {
    is_over: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    started: Instant,
    askers: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    /// Begins to ask the busiest paths in turn, until it is [`Load::done`].
    pub(crate) async fn start(project: &Project) -> Self {
        let name = format!("load-{}", uuid_like());
        let user = project.sign_up(&name).await["id"].as_str().unwrap().to_owned();
        let (is_over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut askers = Vec::new();
        for asker in 0..ASKERS {
            let (http, is_over, asked) = (project.http(), is_over.clone(), asked.clone());
            let [one, list, room, events] = [
                format!("/users/{user}"),
                "/users?limit=20".to_owned(),
                format!("/chat/rooms/load-{asker}/messages"),
                "/analytics/events".to_owned(),
            ]
            .map(|path| project.url(&path));
            askers.push(tokio::spawn(async move {
                let mut failed = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    let requests = [
                        http.get(&one),
                        http.get(&list),
                        http.post(&room).json(&json!({ "user": "load", "text": "hi" })),
                        http.get(&room),
                        http.post(&events).json(&json!({ "name": "load" })),
                    ];
                    for (number, request) in requests.into_iter().enumerate() {
                        asked.fetch_add(1, Ordering::Relaxed);
                        match request.send().await {
                            Ok(answer) if answer.status().is_success() => drop(answer.bytes().await),
                            Ok(answer) => failed.push(format!("{number}: {} {}", answer.status(), answer.text().await.unwrap_or_default())),
                            Err(error) => failed.push(format!("{number}: {error:?}")),
                        }
                    }
                }
                failed
            }));
        }
        Self { is_over, asked, started: Instant::now(), askers }
    }

    /// Ends it; not one request may have failed.
    pub(crate) async fn done(self, when: &str) {
        self.is_over.store(true, Ordering::Relaxed);
        let mut failed = Vec::new();
        for asker in self.askers {
            failed.extend(asker.await.unwrap());
        }
        let asked = self.asked.load(Ordering::Relaxed);
        println!("compose: {asked} requests in {:.0} s {when}, {} failed", self.started.elapsed().as_secs_f64(), failed.len());
        assert!(asked > ASKERS * 5, "there was load");
        assert!(failed.is_empty(), "{} of {asked} failed {when}:\n{}", failed.len(), failed[..failed.len().min(10)].join("\n"));
    }
}

/// Different at each call.
fn uuid_like() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()
}
