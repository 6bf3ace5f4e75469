//! Answers the reads that planning lacks: all of one host in one round trip, hosts side by side.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream;

use crate::plan::{Lacks, Seen, Unreached};
use crate::resource::kind::Endpoint;
use crate::world::{World, WorldError};

/// Hosts asked at a time.
const AT_A_TIME: usize = 64;

/// Asks every endpoint for what is lacking and adds the answers.
pub async fn observe(world: &Arc<dyn World>, lacks: &Lacks, seen: &mut Seen) {
    for (endpoint, connection) in &lacks.connections {
        if let Endpoint::Host(host) = endpoint {
            world.introduce(host, connection.clone());
        }
    }
    let asked = stream::iter(&lacks.probes).map(|(endpoint, probes)| async move {
        let probes: Vec<_> = probes.iter().cloned().collect();
        let answer = world.read(endpoint, &probes).await;
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
