//! Latencies as plain data: whoever serves metrics writes them out.

use std::time::Duration;

/// Upper bounds of latencies of beacon nodes, in seconds; charon's, which dashboards know.
pub const CALL_BOUNDS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 5.0];
/// Upper bounds of latencies of the validator API, in seconds: the defaults of Prometheus.
pub const REQUEST_BOUNDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// How often something took how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Upper bounds in seconds, rising.
    pub bounds: &'static [f64],
    /// How many were at most as long as each bound and longer than the one before; the last one has no bound.
    pub counts: Vec<u64>,
    /// Seconds, all together.
    pub sum_secs: f64,
}

impl Histogram {
    /// An empty one.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Histogram {
        Histogram { bounds, counts: vec![0; bounds.len() + 1], sum_secs: 0.0 }
    }

    /// One more.
    pub fn observe(&mut self, took: Duration) {
        let secs = took.as_secs_f64();
        let at = self.bounds.iter().position(|bound| secs <= *bound).unwrap_or(self.bounds.len());
        self.counts[at] += 1;
        self.sum_secs += secs;
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_in_the_first_bucket_that_holds_it() {
        let mut seen = Histogram::new(REQUEST_BOUNDS);
        for millis in [5, 6, 10_000, 10_001] {
            seen.observe(Duration::from_millis(millis));
        }
        assert_eq!(seen.counts, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(seen.total(), 4);
        assert!((seen.sum_secs - 20.012).abs() < 1e-9, "{}", seen.sum_secs);
    }
}
