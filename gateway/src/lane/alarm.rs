//! One clock for a connection, set for each thing it waits for. Setting it costs nothing most of the time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// The timer underneath is never set further away than this, so that an alarm that is set again and again, always at least so
/// far ahead, need not move it.
const STEP: Duration = Duration::from_secs(10);

/// Rings once its time has come.
pub(crate) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    due: Instant,
}

impl Alarm {
    pub(crate) fn at(due: Instant) -> Alarm {
        let step = due.min(Instant::now() + STEP);
        Alarm { sleep: Box::pin(tokio::time::sleep_until(step.into())), due }
    }

    /// From now on it rings at `due`.
    pub(crate) fn set(&mut self, due: Instant) {
        self.due = due;
        if due < self.sleep.deadline().into_std() {
            self.sleep.as_mut().reset(due.into());
        }
    }

    /// Ready when the time has come.
    pub(crate) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.sleep.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now >= self.due {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(self.due.min(now + STEP).into());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_the_time_that_was_set_last() {
        let start = tokio::time::Instant::now();
        let at = |seconds| (start + Duration::from_secs(seconds)).into_std();
        let mut alarm = Alarm::at(at(75));
        alarm.set(at(3));
        std::future::poll_fn(|cx| alarm.poll_due(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 3);
    }
}
