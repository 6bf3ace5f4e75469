//! Clocks of machines: wrong by a bit, a bit too fast or too slow, and set now and then.

use std::time::Duration;

use coxswain_dv_eth::time::Time;

/// A machine's clock. The world's own time is the true one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MachineClock {
    /// Microseconds that it is ahead.
    pub(crate) ahead_us: i64,
    /// Microseconds a second that it gains.
    pub(crate) drift_ppm: i64,
    /// Since when it drifts.
    pub(crate) since: Time,
}

impl MachineClock {
    /// What it shows.
    pub(crate) fn shows(&self, now: Time) -> Time {
        let seconds = i64::try_from(now.since(self.since).as_millis()).unwrap_or(0) / 1_000;
        let ahead = self.ahead_us + seconds * self.drift_ppm;
        let by = Duration::from_micros(ahead.unsigned_abs());
        if ahead < 0 { now - by } else { now + by }
    }

    /// The true time at which it will show this, or a moment after; a moment from now where it has.
    pub(crate) fn when(&self, now: Time, shown: Time) -> Time {
        now + shown.since(self.shows(now)) + Duration::from_millis(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_what_it_is_set_to() {
        let start = Time::from_secs(1_000);
        let clock = MachineClock { ahead_us: -500_000, drift_ppm: 100, since: start };
        assert_eq!(clock.shows(start), Time::from_millis(999_500));
        assert_eq!(clock.shows(start + Duration::from_secs(100)), Time::from_millis(1_099_510));
        let shown = Time::from_secs(1_000);
        assert_eq!(clock.when(start, shown), Time::from_millis(1_000_501));
        assert!(clock.shows(clock.when(start, shown)) >= shown);
        assert_eq!(clock.when(start, Time::from_secs(1)), Time::from_millis(1_000_001));
    }
}
