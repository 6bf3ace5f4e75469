//! Which step follows which.

use coxswain_dv_types::cluster::{Definition, Deposits};
use coxswain_dv_types::deposit::{self, GWEI};

use super::keygen::Keygen;
use super::{Ceremony, Effect, Failure, Progress, Stage};
use crate::exchange::Kind;
use crate::frost;

/// The barriers after those of the work: files are there, and goodbye.
pub(super) const PREPARED: i64 = 6;
pub(super) const STORED: i64 = 7;
const GOODBYE: i64 = 8;

/// The amounts that are deposited.
pub(super) fn amounts(definition: &Definition) -> Vec<u64> {
    let given = definition.deposit_amounts.as_deref().unwrap_or_default();
    if given.is_empty() && definition.version.deposits != Deposits::List {
        return vec![32 * GWEI];
    }
    deposit::signed_amounts(given, definition.rewards())
}

/// What people are told, and what a limit is about.
fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Connecting => "waiting for all nodes to connect",
        Stage::Barrier(_) => "waiting for all nodes to finish the step before",
        Stage::Keys => "making keys",
        Stage::Deposits(_) => "signing deposits",
        Stage::Registrations => "signing registrations with builders",
        Stage::Lock => "signing the lock",
        Stage::NodeSignatures => "signing as nodes",
        Stage::Preparing => "storing keys and lock",
        Stage::Storing => "putting keys and lock in place",
        Stage::Parting => "saying goodbye",
        Stage::Over => "over",
    }
}

impl Ceremony {
    pub(super) fn proceed(&mut self) -> Result<(), Failure> {
        while self.is_finished()? {
            match self.stage {
                Stage::Connecting => self.reach(1),
                Stage::Barrier(step) => self.enter(step)?,
                Stage::Keys => self.reach(2),
                Stage::Deposits(place) if place + 1 < self.amounts.len() => {
                    self.begin(Stage::Deposits(place + 1));
                    self.sign(Kind::Deposit(place + 1))?;
                }
                Stage::Deposits(_) => self.reach(3),
                Stage::Registrations => self.reach(4),
                Stage::Lock => self.reach(5),
                Stage::NodeSignatures => {
                    self.begin(Stage::Preparing);
                    self.effects.push(Effect::Progress(Progress::Step(name(Stage::Preparing))));
                    self.store()?;
                }
                // End with an event.
                Stage::Preparing | Stage::Storing | Stage::Over => break,
                Stage::Parting => {
                    self.stage = Stage::Over;
                    self.effects.push(Effect::Done);
                }
            }
        }
        self.tell();
        if self.stage != Stage::Over && self.now >= self.deadline {
            return Err(self.late());
        }
        Ok(())
    }

    fn is_finished(&mut self) -> Result<bool, Failure> {
        Ok(match self.stage {
            Stage::Connecting => self.sync.not_connected().is_empty(),
            Stage::Barrier(step) => self.sync.has_passed(step)?,
            Stage::Keys => self.keys.is_some() && self.on_the_way.is_empty(),
            Stage::Deposits(place) => self.exchanged(Kind::Deposit(place)),
            Stage::Registrations => self.exchanged(Kind::Registration),
            Stage::Lock => self.exchanged(Kind::Lock),
            Stage::NodeSignatures => {
                self.node_signatures.len() == self.nodes.len() && self.on_the_way.is_empty()
            }
            Stage::Parting => self.sync.not_parted().is_empty(),
            Stage::Preparing | Stage::Storing | Stage::Over => false,
        })
    }

    fn begin(&mut self, stage: Stage) {
        self.stage = stage;
        self.deadline = self.now + self.limits.step;
    }

    /// Our part of a step is done: on to the next barrier.
    pub(super) fn reach(&mut self, step: i64) {
        self.sync.go_to(step);
        self.effects.push(Effect::Report { step, leaving: false });
        self.begin(Stage::Barrier(step));
    }

    /// All have come to a barrier.
    fn enter(&mut self, step: i64) -> Result<(), Failure> {
        let stage = match step {
            1 => Stage::Keys,
            2 => Stage::Deposits(0),
            3 => Stage::Registrations,
            4 => Stage::Lock,
            5 => Stage::NodeSignatures,
            PREPARED => Stage::Storing,
            STORED => {
                self.reach(GOODBYE);
                return Ok(());
            }
            _ => Stage::Parting,
        };
        self.begin(stage);
        self.effects.push(Effect::Progress(Progress::Step(name(stage))));
        match stage {
            Stage::Keys => self.deal(),
            Stage::Deposits(place) => self.sign(Kind::Deposit(place))?,
            Stage::Registrations => self.sign(Kind::Registration)?,
            Stage::Lock => {
                self.lock = Some(self.unsigned_lock()?);
                self.sign(Kind::Lock)?;
            }
            Stage::NodeSignatures => self.sign_as_node(),
            Stage::Storing => self.effects.push(Effect::Commit),
            Stage::Parting => self.effects.push(Effect::Report { step, leaving: true }),
            Stage::Connecting | Stage::Barrier(_) | Stage::Preparing | Stage::Over => {}
        }
        Ok(())
    }

    fn late(&mut self) -> Failure {
        if self.stage == Stage::Keys
            && let Keygen::Frost { machine, .. } = &mut self.keygen
            && let Err(error) = machine.step(frost::Event::PhaseOver)
        {
            return error.into();
        }
        let missing = match self.stage {
            Stage::Connecting => self.sync.not_connected(),
            Stage::Barrier(step) => self.sync.not_at(step),
            Stage::Keys | Stage::Preparing | Stage::Storing | Stage::Over => Vec::new(),
            // Everything is here, and being put together.
            Stage::Deposits(_) | Stage::Registrations | Stage::Lock if self.roots.is_empty() => Vec::new(),
            Stage::Deposits(place) => self.exchange.missing(Kind::Deposit(place)),
            Stage::Registrations => self.exchange.missing(Kind::Registration),
            Stage::Lock => self.exchange.missing(Kind::Lock),
            Stage::NodeSignatures => {
                (0..self.nodes.len()).filter(|place| !self.node_signatures.contains_key(place)).collect()
            }
            Stage::Parting => self.sync.not_parted(),
        };
        let limit = if self.stage == Stage::Connecting { self.limits.connect } else { self.limits.step };
        let on_the_way = self.on_the_way.iter().map(|(to, _)| *to);
        let mut missing: Vec<usize> = missing.into_iter().chain(on_the_way).collect();
        missing.sort_unstable();
        missing.dedup();
        Failure::Late { waiting: name(self.stage), missing, limit }
    }

    /// Tells people whom we wait for, when that changes.
    fn tell(&mut self) {
        let progress = match self.stage {
            Stage::Connecting => Progress::Connecting(self.sync.not_connected()),
            Stage::Barrier(step) => Progress::Waiting(self.sync.not_at(step)),
            _ => return,
        };
        if self.told.as_ref() != Some(&progress) {
            self.told = Some(progress.clone());
            self.effects.push(Effect::Progress(progress));
        }
    }
}
