//! Gates before a step, and the way to a host that a step may cut: guards, reboots, new connections.
//!
//! ```text
//! gate closed ─look again→ open or too late
//! arm the host's guard → act under it → a new connection, and one to hosts behind it → disarm
//!                                             (otherwise the host takes the change back itself)
//! reboot → the same machine, another boot id
//! ```
//!
//! Never: a step with a guard counts as done without a new connection that found the guard still armed, and all its
//! acts ended; a guard is armed on a host where another one is.

use std::time::Duration;

use async_trait::async_trait;
use coxswain_model::Object;
use coxswain_state::{ClaimKey, Phase};

use super::{Doing, Early};
use crate::plan::stored;
use crate::resource::act::{Act, ActDone};
use crate::resource::answer::Answer;
use crate::resource::kind::{
    Answers, Change, Endpoint, Facts, Gate, GateState, HostId, KindError, OBSERVE_DEPTH, StepClass,
};
use crate::resource::probe::Probe;
use crate::world::{Connection, World, WorldError};

/// Limit on the way back after a reboot.
const REBOOT_LIMIT: Duration = Duration::from_secs(900);
/// Limit on the new connection after a step that changes the way to the host; with a guard, after it has fired.
const RECONNECT_LIMIT: Duration = Duration::from_secs(60);
/// Pause between two looks at a host that is away, or at a gate that is closed.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// The longest pause between two attempts to come in: ufw's `limit` is six in 30 s.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// Limit on arming and disarming a guard.
const GUARD_LIMIT: Duration = Duration::from_secs(120);
/// How many of the hosts behind this one are tried: each try is one more connection here, and firewalls count them.
const BEHIND_MAX: usize = 3;
/// How often arming is tried where others arm theirs first.
const ARM_ATTEMPTS: u32 = 5;
/// Limit on the wait for the guard of somebody else, besides the seconds it gives.
const OTHERS_LIMIT: Duration = Duration::from_secs(90);

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

    fn has_guard(&self) -> bool {
        self.planned.step.guard_s.is_some() && self.endpoint != Endpoint::Nowhere
    }

    /// Waits until no change of the way to the host is unconfirmed, before a step looks at what it will change.
    pub(super) async fn wait_for_guard(&self) {
        if !self.has_guard() {
            return;
        }
        let mut end = None;
        while let Some(guard) = self.facts().await.and_then(|facts| facts.guard) {
            let limit = Duration::from_secs(guard.after_s).saturating_add(OTHERS_LIMIT);
            let now = tokio::time::Instant::now();
            if end.is_none() {
                self.say_blocked(format!(
                    "waiting until this is confirmed or taken back, within {} s: {}",
                    guard.after_s, guard.who
                ));
            }
            // Arming says what is wrong with it.
            if now >= *end.get_or_insert(now + limit) || self.core.run.interrupt.level() > 0 {
                return;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Arms the guard of a step that has one. Another one that came in between is waited for; then what the step was
    /// decided on must still be so.
    pub(super) async fn arm(
        &self,
        change: &Change,
        seen: Option<&Object>,
    ) -> Result<Option<Guard>, KindError> {
        let Some(after_s) = self.planned.step.guard_s.filter(|_| self.has_guard()) else { return Ok(None) };
        let revert = self.kind.revert(change, &self.planned.step);
        if revert.is_empty() {
            return Ok(None);
        }
        let outer_s = after_s.saturating_add(self.limit().as_secs());
        let arm =
            [Act::Arm { who: format!("{}, {}", self.planned.id, self.now()), after_s, outer_s, revert }];
        for _ in 0..ARM_ATTEMPTS {
            let done = self.core.run.world.act(&self.endpoint, &arm, GUARD_LIMIT, &|_: &str| {}).await?;
            let said = done.first().map(|done| done.stdout.trim()).unwrap_or_default();
            if let Some(token) = said.strip_prefix("armed ") {
                self.say_blocked(format!(
                    "the host takes this back after {after_s} s unless a new connection works"
                ));
                return Ok(Some(Guard { token: token.to_owned(), after: Duration::from_secs(after_s) }));
            }
            self.wait_for_guard().await;
            let now = self.observe(&self.endpoint, &self.asked_now(super::Look::Before)).await;
            let print = |object| stored::fingerprint(self.schema, object, self.core.run.digest);
            if print(now.map_err(KindError::Failed)?.as_ref()) != print(seen) {
                return Err(KindError::Failed(format!(
                    "another change of the way to {} came first: plan again",
                    self.endpoint
                )));
            }
        }
        Err(KindError::Failed(format!(
            "other changes of the way to {} are neither confirmed nor taken back: look at guard/log in \
             /var/lib/coxswain there",
            self.endpoint
        )))
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
        let mut acts = vec![Act::Hold { token: guard.token.clone() }];
        acts.extend(self.kind.revert(change, &self.planned.step));
        acts.push(Act::Disarm { token: guard.token.clone() });
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
                Some(guard) => self.confirmed(change, &guard).await,
                None => Ok(()),
            };
        };
        // A connection by the old way proves nothing.
        world.reroute(&self.endpoint, Some(port));
        let reached = self.reach(if guard.is_some() { after } else { limit }).await;
        let Some(guard) = guard else { return reached };
        if reached.is_ok() {
            return self.confirmed(change, &guard).await;
        }
        world.reroute(&self.endpoint, None);
        self.reach(RECONNECT_LIMIT).await?;
        // The guard may be about to fire: both do the same.
        let so = self.take_back(change, &guard).await.so();
        Err(KindError::Failed(format!(
            "no new connection to {} through port {port} within {} s, {so}",
            self.endpoint,
            after.as_secs()
        )))
    }

    /// The host lets us in; now those who are reached through it must be reached still. Their own connections go on:
    /// something may be running there.
    async fn confirmed(&self, change: &Change, guard: &Guard) -> Result<(), KindError> {
        let world = &self.core.run.world;
        // Soon enough to take it back before the guard does.
        let end = tokio::time::Instant::now() + guard.after / 2;
        for behind in world.behind(&self.endpoint).iter().take(BEHIND_MAX) {
            let again = async {
                let mut pause = LOOK_AGAIN;
                while world.knock(behind).await.is_err() {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            };
            if tokio::time::timeout_at(end, again).await.is_err() {
                let so = self.take_back(change, guard).await.so();
                return Err(KindError::Failed(format!(
                    "{behind}, the way to which leads through {}, is not reached any more, {so}",
                    self.endpoint
                )));
            }
        }
        self.disarm(change, guard).await
    }

    /// Makes new connections until one works. A firewall with `limit` rules counts those who knock and keeps out those
    /// who knock on: the pauses grow.
    async fn reach(&self, limit: Duration) -> Result<(), KindError> {
        let again = async {
            let mut pause = LOOK_AGAIN;
            self.core.run.world.disconnect(&self.endpoint).await;
            while self.facts().await.is_none() {
                self.core.run.world.disconnect(&self.endpoint).await;
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        tokio::time::timeout(limit, again).await.map_err(|_| {
            KindError::Failed(format!("no new connection to {} within {} s", self.endpoint, limit.as_secs()))
        })
    }

    /// Takes the guard back once its step has ended.
    async fn disarm(&self, change: &Change, guard: &Guard) -> Result<(), KindError> {
        let acts = [Act::Disarm { token: guard.token.clone() }];
        let end = tokio::time::Instant::now()
            + guard.after.saturating_add(self.limit()).saturating_add(GUARD_LIMIT);
        let mut is_told = false;
        loop {
            let done = match self.core.run.world.act(&self.endpoint, &acts, GUARD_LIMIT, &|_: &str| {}).await
            {
                Ok(done) => done,
                // What became of it is asked again: the host remembers.
                Err(error) => {
                    let error = KindError::World(error);
                    if !self.is_cut(&error) || tokio::time::Instant::now() >= end {
                        return Err(error);
                    }
                    self.reach(RECONNECT_LIMIT + guard.after).await?;
                    continue;
                }
            };
            let word = done.first().map(|done| done.stdout.trim()).unwrap_or_default();
            let why = match word {
                "disarmed" => return Ok(()),
                "busy" | "firing" if tokio::time::Instant::now() < end => {
                    if !is_told && word == "busy" {
                        self.say_blocked("waiting: the host is still at it".to_owned());
                        is_told = true;
                    }
                    tokio::time::sleep(LOOK_AGAIN).await;
                    continue;
                }
                "unfinished" => {
                    let so = self.take_back(change, guard).await.so();
                    format!("the connection to {} broke before the step had ended, {so}", self.endpoint)
                }
                "fired" => format!(
                    "no new connection to {} worked within {} s, so the host took the change back by itself",
                    self.endpoint,
                    guard.after.as_secs()
                ),
                "gone" => format!(
                    "the guard of {} is gone: the host took the change back by itself, unless somebody removed it",
                    self.endpoint
                ),
                _ => format!(
                    "no new connection to {} worked in time, and the host could not take the change back by itself: \
                     look at guard/log in /var/lib/coxswain there",
                    self.endpoint
                ),
            };
            return Err(KindError::Failed(why));
        }
    }
}

/// Whether a failed step is gone.
pub(super) enum TakenBack {
    /// It is.
    Now,
    /// Its guard is still there.
    ByTheHost,
}

impl TakenBack {
    fn so(self) -> &'static str {
        match self {
            TakenBack::Now => "so the change was taken back",
            TakenBack::ByTheHost => "so the host takes the change back by itself",
        }
    }
}

/// A guard that is armed.
pub(super) struct Guard {
    token: String,
    after: Duration,
}

impl Guard {
    /// The world as the guarded step sees it.
    pub(super) fn around<'w>(&self, world: &'w dyn World) -> Guarded<'w> {
        Guarded { world, token: self.token.clone() }
    }
}

/// A world in which every row of acts is done under a guard.
pub(super) struct Guarded<'w> {
    world: &'w dyn World,
    token: String,
}

#[async_trait]
impl World for Guarded<'_> {
    fn introduce(&self, host: &std::sync::Arc<HostId>, connection: Connection) {
        self.world.introduce(host, connection);
    }
    async fn read(&self, at: &Endpoint, probes: &[Probe]) -> Result<Vec<Answer>, WorldError> {
        self.world.read(at, probes).await
    }
    async fn act(
        &self,
        at: &Endpoint,
        acts: &[Act],
        limit: Duration,
        progress: &(dyn for<'line> Fn(&'line str) + Send + Sync),
    ) -> Result<Vec<ActDone>, WorldError> {
        if acts.is_empty() {
            return Ok(Vec::new());
        }
        let hold = Act::Hold { token: self.token.clone() };
        let acts: Vec<Act> = std::iter::once(hold).chain(acts.iter().cloned()).collect();
        let mut done = self.world.act(at, &acts, limit, progress).await?;
        done.remove(0);
        Ok(done)
    }
    fn reroute(&self, at: &Endpoint, port: Option<u16>) {
        self.world.reroute(at, port);
    }
    fn behind(&self, at: &Endpoint) -> Vec<Endpoint> {
        self.world.behind(at)
    }
    async fn knock(&self, at: &Endpoint) -> Result<(), WorldError> {
        self.world.knock(at).await
    }
    async fn disconnect(&self, at: &Endpoint) {
        self.world.disconnect(at).await;
    }
}
