//! Whether a worker has all it can do.

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// Whether this thread has computed, or waited for a core to compute on, for this part of the time since it was last asked.
pub(crate) fn is_worker_busy(part: f64) -> bool {
    thread_local! {
        static LAST: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
    }
    let (now, runnable) = (Instant::now(), runnable());
    let Some((then, runnable_then)) = LAST.replace(Some((now, runnable))) else { return false };
    runnable.saturating_sub(runnable_then) >= now.saturating_duration_since(then).mul_f64(part)
}

/// How long this thread has run or wanted to run since it began.
fn runnable() -> Duration {
    thread_local! {
        static SCHEDSTAT: Option<File> = File::open("/proc/thread-self/schedstat").ok();
    }
    SCHEDSTAT.with(|file| file.as_ref().and_then(of_schedstat)).unwrap_or_else(of_clock)
}

/// As the scheduler counts it: nanoseconds on a core, and waiting for one (Linux, Documentation/scheduler/sched-stats.rst).
fn of_schedstat(file: &File) -> Option<Duration> {
    let mut text = [0; 64];
    let length = file.read_at(&mut text, 0).ok()?;
    let text = std::str::from_utf8(text.get(..length)?).ok()?;
    let mut fields = text.split_ascii_whitespace().map_while(|field| field.parse::<u64>().ok());
    Some(Duration::from_nanos(fields.next()? + fields.next()?))
}

/// Where the scheduler does not tell: on a core only.
fn of_clock() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(used.tv_sec).unwrap_or_default(), u32::try_from(used.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_computes_is_busy_and_one_that_waits_is_not() {
        let compute = |ends: Instant| while Instant::now() < ends {};
        is_worker_busy(0.5);
        // A machine whose host gives it no time for a moment has not computed in it.
        assert!((0..100).any(|_| {
            compute(Instant::now() + Duration::from_millis(50));
            is_worker_busy(0.5)
        }));
        let (_sender, receiver) = std::sync::mpsc::channel::<()>();
        receiver.recv_timeout(Duration::from_millis(200)).unwrap_err();
        assert!(!is_worker_busy(0.8));
    }

    #[test]
    fn both_ways_to_tell_agree() {
        let began = runnable();
        let clock = of_clock();
        let ends = Instant::now() + Duration::from_millis(30);
        while Instant::now() < ends {}
        // What it waited for a core comes on top.
        assert!(runnable() - began + Duration::from_millis(5) >= of_clock() - clock);
    }
}
