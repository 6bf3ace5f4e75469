//! Moments, and the clock of a chain. Nothing here asks what time it is.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment: how long after 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub Duration);

impl Time {
    /// So many seconds after 1970.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Time {
        Time(Duration::from_secs(seconds))
    }

    /// So many milliseconds after 1970.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Time {
        Time(Duration::from_millis(millis))
    }

    /// How long after another moment; nothing where it is before it.
    #[must_use]
    pub fn since(self, other: Time) -> Duration {
        self.0.saturating_sub(other.0)
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, by: Duration) -> Time {
        Time(self.0.saturating_add(by))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;

    fn sub(self, by: Duration) -> Time {
        Time(self.0.saturating_sub(by))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0.as_secs(), self.0.subsec_millis())
    }
}

/// The clock of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// When slot 0 starts.
    pub genesis: Time,
    /// How long a slot is.
    pub slot: Duration,
    /// Slots of an epoch; never zero.
    pub slots_per_epoch: u64,
}

impl Clock {
    /// When a slot starts. Slots beyond all time start at its end.
    #[must_use]
    pub fn start_of(&self, slot: u64) -> Time {
        let nanos = self.slot.as_nanos().saturating_mul(u128::from(slot));
        let whole = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
        let rest = u32::try_from(nanos % 1_000_000_000).unwrap_or(0);
        self.genesis + Duration::new(whole, rest)
    }

    /// The slot at a moment; none before genesis.
    #[must_use]
    pub fn slot_at(&self, now: Time) -> Option<u64> {
        let since = now.0.checked_sub(self.genesis.0)?;
        u64::try_from(since.as_nanos() / self.slot.as_nanos().max(1)).ok()
    }

    /// The epoch of a slot.
    #[must_use]
    pub fn epoch_of(&self, slot: u64) -> u64 {
        slot / self.slots_per_epoch.max(1)
    }

    /// The first slot of an epoch.
    #[must_use]
    pub fn first_of(&self, epoch: u64) -> u64 {
        epoch.saturating_mul(self.slots_per_epoch)
    }

    /// How long an epoch is.
    #[must_use]
    pub fn epoch(&self) -> Duration {
        let slots = u32::try_from(self.slots_per_epoch).unwrap_or(u32::MAX);
        self.slot.saturating_mul(slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: Clock =
        Clock { genesis: Time::from_secs(1000), slot: Duration::from_millis(1500), slots_per_epoch: 8 };

    #[test]
    fn slots_start_and_are_found() {
        assert_eq!(CLOCK.start_of(2), Time::from_secs(1003));
        assert_eq!(CLOCK.slot_at(Time::from_millis(1_002_999)), Some(1));
        assert_eq!(CLOCK.slot_at(Time::from_secs(1003)), Some(2));
        assert_eq!(CLOCK.slot_at(Time::from_secs(999)), None);
        assert_eq!(CLOCK.epoch_of(17), 2);
        assert_eq!(CLOCK.epoch(), Duration::from_secs(12));
    }

    #[test]
    fn what_is_beyond_all_time_is_at_its_end() {
        assert!(CLOCK.start_of(u64::MAX) > CLOCK.start_of(1 << 60));
        let far = Clock { slot: Duration::MAX, ..CLOCK };
        assert_eq!(far.slot_at(Time(Duration::MAX)), Some(0));
        assert!(far.start_of(u64::MAX) <= Time(Duration::MAX));
    }
}
