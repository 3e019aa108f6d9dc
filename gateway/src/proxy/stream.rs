//! One request over HTTP/2, in the hands of pingora-proxy; and what ends it where pingora would wait for a body for ever.
//!
//! Before there is an answer, a body that is too slow is refused in `proxy`, in words. After it, pingora reads on and has no limit
//! of time, and nothing of ours is asked any more: the stream is let go from here.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, ready};
use std::time::Instant;

use async_trait::async_trait;
use pingora_core::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::H2Options;
use pingora_core::server::ShutdownWatch;
use pingora_proxy::HttpProxy;

use super::Proxy;
use crate::lane::Alarm;
use crate::pace::Pace;
use crate::{Config, Gateway};

tokio::task_local! {
    /// That of the stream which is being polled; pingora lets nothing be handed to its phases.
    static UPLOAD: Upload;
}

/// pingora-proxy, with an eye on each stream.
pub(crate) struct Streams {
    gateway: Gateway,
    proxy: Arc<HttpProxy<Proxy>>,
}

/// The body of a request, as far as the phases have told.
#[derive(Clone)]
pub(super) struct Upload(Arc<Mutex<State>>);

struct State {
    pace: Pace,
    is_complete: bool,
    is_answered: bool,
    is_given_up: bool,
}

impl Streams {
    pub(crate) fn new(gateway: Gateway, proxy: HttpProxy<Proxy>) -> Streams {
        Streams { gateway, proxy: Arc::new(proxy) }
    }
}

#[async_trait]
impl HttpServerApp for Streams {
    async fn process_new_http(self: &Arc<Self>, session: ServerSession, shutdown: &ShutdownWatch) -> Option<ReusedHttpStream> {
        let upload = Upload::begin();
        let serving = UPLOAD.scope(upload.clone(), self.proxy.process_new_http(session, shutdown));
        upload.watch(serving, self.gateway.config()).await
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.proxy.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.proxy.server_options()
    }

    async fn http_cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}

impl Upload {
    fn begin() -> Upload {
        let pace = Pace::begin(Instant::now());
        Upload(Arc::new(Mutex::new(State { pace, is_complete: false, is_answered: false, is_given_up: false })))
    }

    /// That of the stream in whose task this is called.
    pub(super) fn of_this_stream() -> Upload {
        UPLOAD.try_with(Upload::clone).unwrap_or_else(|_| Upload::begin())
    }

    /// It is waited for from now on, for the first time or once more: a replica is asked.
    pub(super) fn wait(&self) {
        self.with(|state| state.pace = Pace::begin(Instant::now()));
    }

    /// So much has come in all; whether that is too little by now.
    pub(super) fn note(&self, received: usize, is_complete: bool, config: &Config) -> bool {
        self.with(|state| {
            state.is_complete = is_complete;
            let is_late = !is_complete && state.pace.due(config) < Instant::now();
            state.pace.note(received as u64);
            is_late
        })
    }

    pub(super) fn is_complete(&self) -> bool {
        self.with(|state| state.is_complete)
    }

    /// The answer has begun.
    pub(super) fn note_answer(&self) {
        self.with(|state| state.is_answered = true);
    }

    /// The stream was let go for its sake.
    pub(super) fn is_given_up(&self) -> bool {
        self.with(|state| state.is_given_up)
    }

    /// Serves the request, but not for longer than its body may take once there is an answer.
    async fn watch<T>(&self, serving: impl Future<Output = Option<T>>, config: &Config) -> Option<T> {
        let mut serving = pin!(serving);
        let mut alarm: Option<Alarm> = None;
        poll_fn(|cx| {
            if let Poll::Ready(served) = serving.as_mut().poll(cx) {
                return Poll::Ready(served);
            }
            let Some(due) = self.with(|state| (state.is_answered && !state.is_complete).then(|| state.pace.due(config))) else {
                return Poll::Pending;
            };
            let alarm = alarm.get_or_insert_with(|| Alarm::at(due));
            alarm.set(due);
            ready!(alarm.poll_due(cx));
            self.with(|state| state.is_given_up = true);
            Poll::Ready(None)
        })
        .await
    }

    fn with<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
