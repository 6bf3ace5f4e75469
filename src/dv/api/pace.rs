//! How many writes there may be: a bucket of them that fills up again.

use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub(super) struct Pace {
    /// How full the bucket can be, as time.
    room: Duration,
    per_write: Duration,
    /// When the bucket will be full again.
    full_at: Instant,
}

impl Pace {
    pub(super) fn new(burst: u32, per_write: Duration, now: Instant) -> Pace {
        Pace { room: per_write * burst, per_write, full_at: now }
    }

    /// Takes one, or says how long to wait for it.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let full_at = self.full_at.max(now) + self.per_write;
        let wait = full_at.saturating_duration_since(now).saturating_sub(self.room);
        if wait > Duration::ZERO {
            return Err(wait);
        }
        self.full_at = full_at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_a_pace() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(3, second, start);
        for _ in 0..3 {
            assert_eq!(pace.take(start), Ok(()));
        }
        assert_eq!(pace.take(start), Err(second));
        assert_eq!(pace.take(start + second / 2), Err(second / 2));
        assert_eq!(pace.take(start + second), Ok(()));
        assert_eq!(pace.take(start + second), Err(second));
        // Idle for long, it is full, and no fuller.
        let later = start + second * 100;
        for _ in 0..3 {
            assert_eq!(pace.take(later), Ok(()));
        }
        assert!(pace.take(later).is_err());
    }
}
