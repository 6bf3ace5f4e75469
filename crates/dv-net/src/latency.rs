//! How long round trips take.

use std::time::Duration;

/// Upper ends of the classes of round trips, in seconds; the last class is open.
pub const PING_BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Round trips to a peer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Latency {
    /// How many were no longer than each of [`PING_BUCKETS`].
    pub classes: [u64; PING_BUCKETS.len()],
    /// All of them.
    pub count: u64,
    /// Together, in seconds.
    pub sum: f64,
}

impl Latency {
    pub(crate) fn add(&mut self, round_trip: Duration) {
        let seconds = round_trip.as_secs_f64();
        for (class, end) in self.classes.iter_mut().zip(PING_BUCKETS) {
            *class += u64::from(seconds <= end);
        }
        self.count += 1;
        self.sum += seconds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_are_in_every_class_above_them() {
        let mut latency = Latency::default();
        latency.add(Duration::from_millis(20));
        latency.add(Duration::from_secs(60));
        assert_eq!(latency.classes, [0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!((latency.count, latency.sum), (2, 60.02));
    }
}
