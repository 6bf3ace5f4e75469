//! Answers the reads that planning lacks: all of one host in one round trip, hosts side by side.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;

use crate::plan::{Lacks, Seen, Unreached};
use crate::resource::act::Act;
use crate::resource::answer::{Answer, GuardAnswer};
use crate::resource::kind::Endpoint;
use crate::resource::probe::Probe;
use crate::world::{World, WorldError};

/// Hosts asked at a time.
const AT_A_TIME: usize = 64;

/// Limit on the wait for a guard, besides the seconds it gives.
const GUARD_LIMIT: Duration = Duration::from_secs(90);
/// Limit on having a guard count again.
const RESUME_LIMIT: Duration = Duration::from_secs(30);
/// Pause between two looks at a guard.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Tells people what is waited for while hosts are looked at; nobody by default.
#[derive(Clone, Default)]
pub struct Notices(pub Option<Arc<Say>>);

/// How it is said.
pub type Say = dyn Fn(&str) + Send + Sync;

impl Notices {
    /// Says it.
    pub fn say(&self, text: &str) {
        if let Some(say) = &self.0 {
            say(text);
        }
    }
}

impl std::fmt::Debug for Notices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "to people" } else { "to nobody" })
    }
}

/// Asks every endpoint for what is lacking and adds the answers.
pub async fn observe(world: &Arc<dyn World>, lacks: &Lacks, seen: &mut Seen, notices: &Notices) {
    for (endpoint, connection) in &lacks.connections {
        if let Endpoint::Host(host) = endpoint {
            world.introduce(host, connection.clone());
        }
    }
    let asked = stream::iter(&lacks.probes).map(|(endpoint, probes)| async move {
        let probes: Vec<_> = probes.iter().cloned().collect();
        let answer = settled(world.as_ref(), endpoint, &probes, notices).await;
        (endpoint.clone(), probes, answer)
    });
    let answers: Vec<_> = asked.buffer_unordered(AT_A_TIME).collect().await;
    let mut by_endpoint = BTreeMap::new();
    for (endpoint, probes, answer) in answers {
        by_endpoint.insert(endpoint, (probes, answer));
    }
    for (endpoint, (probes, answer)) in by_endpoint {
        match answer {
            Ok(answers) => seen.answers.entry(endpoint).or_default().extend(probes.into_iter().zip(answers)),
            Err(error) => {
                seen.unreadable.insert(endpoint, unreached(&error));
            }
        }
    }
}

fn guard_of(answers: &[Answer]) -> Option<&GuardAnswer> {
    answers.iter().find_map(|answer| match answer {
        Answer::Facts(facts) => facts.guard.as_deref(),
        _ => None,
    })
}

/// Reads a host on which no change of the way to it is unconfirmed: what such a change made is there for a while only,
/// and no base for a plan. It is confirmed by those who are at it, or the host takes it back.
async fn settled(
    world: &dyn World,
    at: &Endpoint,
    probes: &[Probe],
    notices: &Notices,
) -> Result<Vec<Answer>, WorldError> {
    let mut answers = world.read(at, probes).await?;
    let Some(guard) = guard_of(&answers).cloned() else { return Ok(answers) };
    let limit = Duration::from_secs(guard.after_s).saturating_add(GUARD_LIMIT);
    notices.say(&format!(
        "{at}: waiting until this is confirmed or taken back, which the host does by itself within {} s: {}",
        guard.after_s, guard.who
    ));
    let end = tokio::time::Instant::now() + limit;
    let mut is_counting = guard.is_counting;
    loop {
        if !is_counting {
            // A run that only reads may not.
            match world.act(at, &[Act::Resume], RESUME_LIMIT, &|_: &str| {}).await {
                Ok(_) | Err(WorldError::ReadOnly { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        // The way may be cut for now.
        match world.read(at, probes).await {
            Ok(now) => answers = now,
            Err(error) if tokio::time::Instant::now() >= end => return Err(error),
            Err(_) => continue,
        }
        match guard_of(&answers) {
            None => return Ok(answers),
            // Who counts may be killed while we wait.
            Some(now) => is_counting = now.is_counting,
        }
        if tokio::time::Instant::now() >= end {
            return Err(WorldError::Failed {
                endpoint: at.to_string(),
                what: "wait for its guard".to_owned(),
                reason: format!(
                    "a change is neither confirmed nor taken back ({}); `coxswain apply` has it taken back, or look at \
                     guard/log in /var/lib/coxswain there",
                    guard.who
                ),
            });
        }
    }
}

/// What an error of the world means for planning.
fn unreached(error: &WorldError) -> Unreached {
    let fatal = match error {
        WorldError::HostKey { .. } | WorldError::AnotherMachine { .. } => true,
        WorldError::Unreachable { .. }
        | WorldError::Sudo { .. }
        | WorldError::Broken { .. }
        | WorldError::Timeout { .. }
        | WorldError::Stale { .. }
        | WorldError::Failed { .. }
        | WorldError::ReadOnly { .. } => false,
    };
    Unreached { reason: error.to_string(), fatal }
}
