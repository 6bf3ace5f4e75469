//! Gates before a step, and the way to a host that a step may cut: guards, reboots, new connections.
//!
//! ```text
//! gate closed ─look again→ open or too late
//! arm the revert on the host → act → a new connection → disarm   (otherwise the host takes the change back itself)
//! reboot → the same machine, another boot id
//! ```
//!
//! Never: a step with a guard counts as done without a new connection that found the guard still armed.

use std::time::Duration;

use coxswain_state::{ClaimKey, Phase};

use super::{Doing, Early};
use crate::resource::act::Act;
use crate::resource::answer::Answer;
use crate::resource::kind::{
    Answers, Change, Endpoint, Facts, Gate, GateState, KindError, OBSERVE_DEPTH, StepClass,
};
use crate::resource::probe::Probe;
use crate::world::WorldError;

/// Limit on the way back after a reboot.
const REBOOT_LIMIT: Duration = Duration::from_secs(900);
/// Limit on the new connection after a step that changes the way to the host; with a guard, after it has fired.
const RECONNECT_LIMIT: Duration = Duration::from_secs(60);
/// Pause between two looks at a host that is away, or at a gate that is closed.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Limit on arming and disarming a guard.
const GUARD_LIMIT: Duration = Duration::from_secs(30);

impl Doing<'_, '_> {
    /// Waits until every gate of the step is open.
    pub(super) async fn pass_gates(&self) -> Result<(), Early> {
        for gate in &self.planned.step.gates {
            match gate {
                Gate::ClaimProved(key) => self.check_proved(key)?,
                Gate::Condition { name, limit_s } => {
                    self.pass(name, Duration::from_secs(*limit_s)).await.map_err(Early::Failed)?;
                }
            }
        }
        Ok(())
    }

    /// No next holder is given anything while the former one may still use it.
    fn check_proved(&self, key: &str) -> Result<(), Early> {
        let claims = &self.core.lock().now.claims;
        let claim = key.parse::<ClaimKey>().ok().and_then(|key| claims.get(&key).cloned());
        let is_proved = claim.as_ref().is_some_and(|claim| {
            claim.evidence.is_some()
                && matches!(claim.phase, Phase::ProvedGone | Phase::Exported | Phase::Importing)
        });
        if is_proved {
            return Ok(());
        }
        Err(Early::Refused(format!(
            "the ledger has no proof that the last holder of {key} does not use it any more"
        )))
    }

    async fn pass(&self, name: &str, limit: Duration) -> Result<(), String> {
        let end = tokio::time::Instant::now() + limit;
        let mut said = None;
        loop {
            let Some(why) = self.closed(name).await else { return Ok(()) };
            if self.core.run.interrupt.level() > 0 {
                return Err(format!("the run was stopped while it waited until {name}: {why}"));
            }
            if tokio::time::Instant::now() >= end {
                return Err(format!("waited {} s until {name}: {why}", limit.as_secs()));
            }
            if said.as_ref() != Some(&why) {
                self.say_blocked(format!("waiting until {name}: {why}"));
                said = Some(why);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Why a gate is closed; none where it is open.
    async fn closed(&self, name: &str) -> Option<String> {
        let identity = self.asked(None, super::Look::After);
        let mut got = Answers::new();
        for _ in 0..=OBSERVE_DEPTH {
            match self.kind.gate(name, &identity, &got) {
                GateState::Open => return None,
                GateState::Closed(why) => return Some(why),
                GateState::Need(probes) => match self.core.run.world.read(&self.endpoint, &probes).await {
                    Ok(answers) => got.extend(probes.into_iter().zip(answers)),
                    Err(error) => return Some(error.to_string()),
                },
            }
        }
        Some("it asks for the same reads again and again".into())
    }

    async fn facts(&self) -> Option<Facts> {
        match self.core.run.world.read(&self.endpoint, &[Probe::Facts]).await.ok()?.into_iter().next()? {
            Answer::Facts(facts) => Some(facts),
            _ => None,
        }
    }

    pub(super) async fn boot_id(&self) -> Option<String> {
        if self.planned.step.class != StepClass::Reboot || self.endpoint == Endpoint::Nowhere {
            return None;
        }
        self.facts().await.map(|f| f.boot_id)
    }

    /// Waits until the same machine is back with another boot id.
    pub(super) async fn back_from_reboot(&self, before: Option<String>) -> Result<(), KindError> {
        let back = async {
            loop {
                self.core.run.world.disconnect(&self.endpoint).await;
                if let Some(facts) = self.facts().await
                    && before.as_ref().is_some_and(|b| *b != facts.boot_id)
                {
                    return;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(REBOOT_LIMIT, back).await.map_err(|_| {
            KindError::Failed(format!(
                "{} did not come back from its reboot within {} s",
                self.endpoint,
                REBOOT_LIMIT.as_secs()
            ))
        })
    }

    /// Arms the guard of a step that has one.
    pub(super) async fn arm(&self, change: &Change) -> Result<Option<Guard>, KindError> {
        let Some(after_s) = self.planned.step.guard_s.filter(|_| self.endpoint != Endpoint::Nowhere) else {
            return Ok(None);
        };
        let revert = self.kind.revert(change, &self.planned.step);
        if revert.is_empty() {
            return Ok(None);
        }
        let name = format!("{}-{}", self.instance.uid, self.planned.step.name.replace('_', "-"));
        let arm = Act::Arm { name: name.clone(), after_s, revert };
        self.core.run.world.act(&self.endpoint, &[arm], GUARD_LIMIT, &|_: &str| {}).await?;
        self.say_blocked(format!("the host takes this back after {after_s} s unless a new connection works"));
        Ok(Some(Guard { name, after: Duration::from_secs(after_s) }))
    }

    /// Whether an error may come from the way to the host being cut, rather than from the step.
    pub(super) fn is_cut(&self, error: &KindError) -> bool {
        match error {
            KindError::World(
                WorldError::Broken { .. } | WorldError::Timeout { .. } | WorldError::Unreachable { .. },
            ) => true,
            KindError::World(_) | KindError::Program { .. } | KindError::Stale(_) | KindError::Failed(_) => {
                false
            }
        }
    }

    /// Takes a failed step back at once where that is possible; otherwise the guard does it in its time.
    pub(super) async fn take_back(&self, change: &Change, guard: &Guard) -> TakenBack {
        let mut acts = self.kind.revert(change, &self.planned.step);
        acts.push(Act::Disarm { name: guard.name.clone() });
        let world = &self.core.run.world;
        let done = world.act(&self.endpoint, &acts, GUARD_LIMIT, &|_: &str| {}).await;
        let is_done = done.is_ok_and(|done| {
            done.len() == acts.len()
                && done.iter().all(|d| d.code == 0)
                && done.last().is_some_and(|d| matches!(d.stdout.trim(), "disarmed" | "fired"))
        });
        if is_done {
            self.say_blocked("it failed and was taken back".to_owned());
            return TakenBack::Now;
        }
        self.say_blocked(format!("it failed; the host takes it back within {} s", guard.after.as_secs()));
        TakenBack::ByTheHost
    }

    /// Makes a new connection, so that a step that cut the way to the host does not count as done.
    pub(super) async fn confirm(&self, change: &Change, guard: Option<Guard>) -> Result<(), KindError> {
        let world = &self.core.run.world;
        let after = guard.as_ref().map_or(Duration::ZERO, |g| g.after);
        let limit = RECONNECT_LIMIT + after;
        let Some(port) = self.planned.step.through_port else {
            self.reach(limit).await?;
            return match guard {
                Some(guard) => self.disarm(&guard).await,
                None => Ok(()),
            };
        };
        // A connection by the old way proves nothing.
        world.reroute(&self.endpoint, Some(port));
        let reached = self.reach(if guard.is_some() { after } else { limit }).await;
        let Some(guard) = guard else { return reached };
        if reached.is_ok() {
            return self.disarm(&guard).await;
        }
        world.reroute(&self.endpoint, None);
        self.reach(RECONNECT_LIMIT).await?;
        // The guard may be about to fire: both do the same.
        let so = match self.take_back(change, &guard).await {
            TakenBack::Now => "so the change was taken back",
            TakenBack::ByTheHost => "so the host takes the change back by itself",
        };
        Err(KindError::Failed(format!(
            "no new connection to {} through port {port} within {} s, {so}",
            self.endpoint,
            after.as_secs()
        )))
    }

    /// Makes new connections until one works.
    async fn reach(&self, limit: Duration) -> Result<(), KindError> {
        let again = async {
            self.core.run.world.disconnect(&self.endpoint).await;
            while self.facts().await.is_none() {
                self.core.run.world.disconnect(&self.endpoint).await;
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(limit, again).await.map_err(|_| {
            KindError::Failed(format!("no new connection to {} within {} s", self.endpoint, limit.as_secs()))
        })
    }

    async fn disarm(&self, guard: &Guard) -> Result<(), KindError> {
        let acts = [Act::Disarm { name: guard.name.clone() }];
        let done = self.core.run.world.act(&self.endpoint, &acts, GUARD_LIMIT, &|_: &str| {}).await?;
        if done.first().is_some_and(|d| d.stdout.trim() == "disarmed") {
            return Ok(());
        }
        Err(KindError::Failed(format!(
            "no new connection to {} worked within {} s, so the host took the change back by itself",
            self.endpoint,
            guard.after.as_secs()
        )))
    }
}

/// Whether a failed step is gone.
pub(super) enum TakenBack {
    /// It is.
    Now,
    /// Its guard is still there.
    ByTheHost,
}

/// A guard that is armed.
pub(super) struct Guard {
    name: String,
    after: Duration,
}
