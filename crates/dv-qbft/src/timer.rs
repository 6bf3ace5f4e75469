//! How long a round lasts.
//!
//! All nodes of a cluster must use one schedule, or they are in different rounds: the eager timer counts from the start
//! of the duty by the clock of the chain, never from when a node began.

use std::time::Duration;

use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::time::{Clock, Time};

/// What a proposer's first round has more, and by [`Profile::EveryRound`] all of them: blocks take longer to build.
const PROPOSER_EXTRA: Duration = Duration::from_millis(500);
/// Of the eager timer, by rounds.
const EAGER_ROUND: Duration = Duration::from_secs(1);
const INCREASING_BASE: Duration = Duration::from_millis(750);
const INCREASING_STEP: Duration = Duration::from_millis(250);
const LINEAR_FIRST: Duration = Duration::from_secs(1);
const LINEAR_STEP: Duration = Duration::from_millis(200);

/// Where a proposer gets more time with the eager timer. A cluster must be of one mind, and versions differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// In its first round: charon up to v1.11.0-rc1.
    FirstRound,
    /// In every round: charon from v1.11.0-rc2.
    EveryRound,
}

/// A kind of timer. The names are those of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerKind {
    /// Rounds from the request on, each a little longer.
    Increasing,
    /// Round r ends r seconds after the start of the duty, and as much later again once its leader proposed.
    EagerDoubleLinear,
    /// A long first round, and short ones that grow.
    Linear,
}

impl TimerKind {
    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TimerKind::Increasing => "inc",
            TimerKind::EagerDoubleLinear => "eager_dlinear",
            TimerKind::Linear => "linear",
        }
    }
}

/// Features of charon that choose timers, by their names there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerFlags {
    /// `eager_double_linear`, which is on unless an operator turns it off.
    pub eager_double_linear: bool,
    /// `linear`, which is off unless an operator turns it on; for proposers alone.
    pub linear: bool,
    /// `proposal_timeout`, which is on unless an operator turns it off: proposers get more time.
    pub proposal_timeout: bool,
}

impl TimerFlags {
    /// As they are where nobody changes them.
    pub const STANDARD: TimerFlags =
        TimerFlags { eager_double_linear: true, linear: false, proposal_timeout: true };

    /// The timer of a type of duty.
    #[must_use]
    pub fn kind(&self, duty: DutyType) -> TimerKind {
        if self.linear && duty == DutyType::Proposer {
            TimerKind::Linear
        } else if self.eager_double_linear {
            TimerKind::EagerDoubleLinear
        } else {
            TimerKind::Increasing
        }
    }
}

/// The timer of one instance.
#[derive(Debug, Clone)]
pub struct RoundTimer {
    kind: TimerKind,
    /// What the first round has more, and what later ones have.
    extra: (Duration, Duration),
    /// From when the eager timer counts; from each request where that is not known.
    start: Option<Time>,
    /// The last round that was asked for, and the end it got first.
    first: Option<(u64, Time)>,
}

impl RoundTimer {
    /// The timer of a duty.
    #[must_use]
    pub fn new(duty: &Duty, clock: &Clock, flags: &TimerFlags, profile: Profile) -> RoundTimer {
        let kind = flags.kind(duty.kind);
        let extra = if flags.proposal_timeout && duty.kind == DutyType::Proposer {
            PROPOSER_EXTRA
        } else {
            Duration::ZERO
        };
        RoundTimer::of(kind, extra, profile, Some(duty.start(clock)))
    }

    /// A timer of a kind; `extra` is what proposers have more, and `start` when the duty begins, where that is known.
    #[must_use]
    pub fn of(kind: TimerKind, extra: Duration, profile: Profile, start: Option<Time>) -> RoundTimer {
        let later = match (kind, profile) {
            (TimerKind::EagerDoubleLinear, Profile::EveryRound) => extra,
            (TimerKind::EagerDoubleLinear, Profile::FirstRound)
            | (TimerKind::Increasing | TimerKind::Linear, _) => Duration::ZERO,
        };
        RoundTimer { kind, extra: (extra, later), start, first: None }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> TimerKind {
        self.kind
    }

    /// When a round ends that is asked for now. The second time an eager timer is asked for one round, it doubles what it
    /// gave first.
    #[expect(clippy::arithmetic_side_effects, reason = "moments end at the end of time")]
    pub fn request(&mut self, now: Time, round: u64) -> Time {
        let lasts = self.lasts(round);
        if self.kind != TimerKind::EagerDoubleLinear {
            return now + lasts;
        }
        match self.first {
            Some((same, end)) if same == round => end + lasts,
            Some(_) | None => {
                let end = self.start.unwrap_or(now) + lasts;
                self.first = Some((round, end));
                end
            }
        }
    }

    fn lasts(&self, round: u64) -> Duration {
        // Rounds beyond 2³² last as long as that one, which is longer than any duty.
        let count = u32::try_from(round).unwrap_or(u32::MAX);
        let extra = if round <= 1 { self.extra.0 } else { self.extra.1 };
        let plain = match self.kind {
            TimerKind::Increasing => INCREASING_BASE.saturating_add(INCREASING_STEP.saturating_mul(count)),
            TimerKind::EagerDoubleLinear => EAGER_ROUND.saturating_mul(count),
            TimerKind::Linear if round <= 1 => LINEAR_FIRST,
            TimerKind::Linear => LINEAR_STEP.saturating_mul(count),
        };
        plain.saturating_add(extra)
    }
}
