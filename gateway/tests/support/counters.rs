//! What the door counts, as a recorder of metrics would see it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// All counters and gauges, and how often histograms were told something, over all doors of this process.
#[derive(Default)]
struct Counters(Mutex<HashMap<Key, Arc<AtomicU64>>>);

static COUNTERS: LazyLock<&'static Counters> = LazyLock::new(|| {
    let counters: &'static Counters = Box::leak(Box::default());
    metrics::set_global_recorder(counters).unwrap();
    counters
});

/// Counts from here on, for the whole process.
pub fn start() {
    LazyLock::force(&COUNTERS);
}

/// The sum of all counters of this name.
pub fn sum(name: &str) -> u64 {
    by_label(name, "").values().sum()
}

/// The sums of all counters of this name, for each value of a label; a histogram counts what it was told.
pub fn by_label(name: &str, label: &str) -> HashMap<String, u64> {
    let mut sums = HashMap::new();
    for (key, count) in COUNTERS.0.lock().unwrap().iter().filter(|(key, _)| key.name() == name) {
        let value = key.labels().find(|each| each.key() == label).map_or("", |each| each.value());
        *sums.entry(value.to_owned()).or_default() += count.load(Ordering::SeqCst);
    }
    sums
}

/// A gauge, found by one of its labels.
pub fn gauge(name: &str, label: &str, value: &str) -> f64 {
    let counters = COUNTERS.0.lock().unwrap();
    let is_it = |key: &Key| key.name() == name && key.labels().any(|each| each.key() == label && each.value() == value);
    counters.iter().find(|(key, _)| is_it(key)).map_or(0.0, |(_, bits)| f64::from_bits(bits.load(Ordering::SeqCst)))
}

impl Counters {
    fn of(&self, key: &Key) -> Arc<AtomicU64> {
        self.0.lock().unwrap().entry(key.clone()).or_default().clone()
    }
}

/// Counts what a histogram is told.
struct Told(Arc<AtomicU64>);

impl HistogramFn for Told {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Recorder for &'static Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.of(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Told(self.of(key))))
    }
}
