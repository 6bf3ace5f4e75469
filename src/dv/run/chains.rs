//! Beacon nodes of the cluster's chain: only those are asked. One of another chain that was named by mistake could be the first to
//! answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use coxswain_dv_beacon::client::{Backends, Config, Waiting};
use coxswain_dv_eth::beacon::CallError;
use coxswain_dv_eth::bytes::Bytes4;
use coxswain_dv_eth::spec::Genesis;
use coxswain_dv_types::network::Networks;

use super::RunError;
use super::waiting::{AGAIN, Told};

/// How often nodes that have answered are asked of their chain again: another one may be behind the same address.
const LOOK: Duration = Duration::from_secs(60);
/// When those are that have not, at first; then ever less often.
const SOON: Duration = Duration::from_secs(2);

type Answers = [Result<Genesis, CallError>];

/// Waits for a beacon node that tells of the cluster's chain, however long that is. From then on only those of it are asked, which
/// it gives as well.
///
/// # Errors
/// All nodes answer, and none is of the cluster's network; or two of them have different chains of it.
pub(super) async fn wait_for_config(
    backends: &Backends,
    fork_version: Bytes4,
) -> Result<(Arc<Config>, BTreeSet<usize>), RunError> {
    let mut told = Told::default();
    loop {
        let answers = backends.geneses().await;
        let Some(genesis) = choose(&named(backends), &answers, fork_version)? else {
            let error = answers.into_iter().find_map(Result::err);
            error.iter().for_each(|error| told.tell(&Waiting::Answer(error.clone())));
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let asked = of_chain(&answers, &genesis, &BTreeSet::new());
        backends.ask_only(asked.clone());
        match backends.config().await {
            Ok(config) if config.genesis == genesis => return Ok((config, asked)),
            // Another one is behind its address now.
            Ok(_) => {}
            Err(error) => told.tell(&Waiting::Answer(error)),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Looks again and again which of the nodes are of the chain; at first these are. Those who read the log learn of nodes that are not,
/// and of those that do not answer: as long as another one does, nothing else says so.
pub(super) async fn keep_to_chain(backends: Backends, genesis: Genesis, mut asked: BTreeSet<usize>) {
    let names = named(&backends);
    let mut known = vec![Standing::Asked; names.len()];
    let mut pause = SOON;
    loop {
        let answers = backends.geneses().await;
        asked = of_chain(&answers, &genesis, &asked);
        backends.ask_only(asked.clone());
        for ((name, answer), known) in names.iter().zip(&answers).zip(&mut known) {
            let now = match answer {
                Ok(found) if *found == genesis => Standing::Asked,
                Ok(_) => Standing::OfAnother,
                Err(_) => Standing::Away,
            };
            if std::mem::replace(known, now) != now {
                tell(name, answer, &genesis);
            }
        }
        // Who is away and is not asked has not told its chain yet.
        let wait =
            known.iter().enumerate().any(|(place, one)| *one == Standing::Away && !asked.contains(&place));
        tokio::time::sleep(if wait { pause } else { LOOK }).await;
        pause = if wait { (pause * 2).min(LOOK) } else { SOON };
    }
}

/// What is known of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is of the chain.
    Asked,
    /// It is of another one.
    OfAnother,
    /// It does not answer.
    Away,
}

fn tell(node: &str, answer: &Result<Genesis, CallError>, genesis: &Genesis) {
    match answer {
        Ok(found) if found == genesis => {
            tracing::info!(node, "a beacon node of the cluster's chain answers again")
        }
        Ok(found) => {
            let (found, expected) = (shown(found), shown(genesis));
            tracing::error!(
                node,
                found,
                expected,
                "a beacon node is of another chain than the cluster's: it is not asked"
            );
        }
        Err(error) => tracing::warn!(node, %error, "a beacon node does not answer"),
    }
}

/// Where the nodes are, as it may be shown.
fn named(backends: &Backends) -> Vec<String> {
    backends.addresses().iter().map(ToString::to_string).collect()
}

/// The genesis of the nodes that are of a network; none while no node of it has answered.
fn choose(names: &[String], answers: &Answers, fork_version: Bytes4) -> Result<Option<Genesis>, RunError> {
    let known: Vec<(&String, &Genesis)> =
        names.iter().zip(answers).filter_map(|(name, answer)| Some((name, answer.as_ref().ok()?))).collect();
    let mut of_network = known.iter().filter(|(_, genesis)| genesis.genesis_fork_version == fork_version);
    let Some((name, genesis)) = of_network.next() else {
        if known.len() < names.len() {
            return Ok(None);
        }
        let found = |(name, genesis): &(&String, &Genesis)| {
            format!("{name} is of {}", network_of(genesis.genesis_fork_version))
        };
        return Err(RunError::Network {
            expected: network_of(fork_version),
            found: known.iter().map(found).collect::<Vec<_>>().join(", "),
        });
    };
    match of_network.find(|(_, other)| other != genesis) {
        None => Ok(Some(**genesis)),
        Some((other_name, other)) => Err(RunError::Chains {
            one: format!("{name} with the {}", shown(genesis)),
            other: format!("{other_name} with the {}", shown(other)),
        }),
    }
}

/// Those that are of a chain: by what they say now, else by what they said before.
fn of_chain(answers: &Answers, genesis: &Genesis, before: &BTreeSet<usize>) -> BTreeSet<usize> {
    let is_of_it = |(place, answer): &(usize, &Result<Genesis, CallError>)| match answer {
        Ok(found) => found == genesis,
        Err(_) => before.contains(place),
    };
    answers.iter().enumerate().filter(is_of_it).map(|(place, _)| place).collect()
}

fn network_of(fork_version: Bytes4) -> String {
    let networks = Networks::default();
    let name = networks.of(fork_version.0).map(|network| format!(" ({})", network.name));
    format!("{fork_version}{}", name.unwrap_or_default())
}

fn shown(genesis: &Genesis) -> String {
    format!(
        "genesis validators root {}, genesis time {} and fork version {}",
        genesis.genesis_validators_root,
        genesis.genesis_time,
        network_of(genesis.genesis_fork_version)
    )
}

#[cfg(test)]
mod tests {
    use coxswain_dv_eth::Bytes;
    use coxswain_dv_eth::beacon::Failure;

    use super::*;

    const HOODI: Bytes4 = Bytes([0x10, 0, 0x09, 0x10]);
    const SEPOLIA: Bytes4 = Bytes([0x90, 0, 0, 0x69]);

    fn genesis(version: Bytes4, root: u8) -> Result<Genesis, CallError> {
        Ok(Genesis {
            genesis_time: 1,
            genesis_validators_root: Bytes([root; 32]),
            genesis_fork_version: version,
        })
    }

    fn away() -> Result<Genesis, CallError> {
        Err(CallError { endpoint: "genesis", failure: Failure::Network, message: "refused".to_owned() })
    }

    fn chosen(answers: &Answers) -> Result<Option<u8>, String> {
        let names: Vec<String> = (0..answers.len()).map(|place| format!("http://node{place}")).collect();
        let chosen = choose(&names, answers, HOODI).map_err(|error| error.to_string())?;
        Ok(chosen.map(|genesis| genesis.genesis_validators_root.0[0]))
    }

    #[test]
    fn the_chain_is_that_of_the_network_whoever_answers_first() {
        let (ours, other) = (|| genesis(HOODI, 1), || genesis(SEPOLIA, 2));
        assert_eq!(chosen(&[ours()]), Ok(Some(1)));
        assert_eq!(chosen(&[other(), ours()]), Ok(Some(1)));
        assert_eq!(chosen(&[other(), away(), ours(), ours()]), Ok(Some(1)));
        assert_eq!(chosen(&[away()]), Ok(None));
        assert_eq!(chosen(&[other(), away()]), Ok(None), "the other one may be of it");
    }

    #[test]
    fn where_there_is_none_or_there_are_two_it_is_said_which() {
        let none = chosen(&[genesis(SEPOLIA, 2), genesis(Bytes([1; 4]), 2)]).expect_err("none is of it");
        assert_eq!(
            none,
            "the cluster is of the network 0x10000910 (hoodi), and of the beacon nodes http://node0 is of 0x90000069 \
             (sepolia), http://node1 is of 0x01010101"
        );
        let two = chosen(&[away(), genesis(HOODI, 1), genesis(HOODI, 2)]).expect_err("two chains");
        assert!(two.contains("http://node1 with the genesis validators root 0x0101"), "{two}");
        assert!(two.contains("http://node2 with the genesis validators root 0x0202"), "{two}");
    }

    #[test]
    fn who_does_not_answer_is_taken_for_what_it_was() {
        let ours = genesis(HOODI, 1).expect("it is there");
        let before = BTreeSet::from([1, 2]);
        let answers = [genesis(HOODI, 1), away(), genesis(SEPOLIA, 1), away()];
        assert_eq!(of_chain(&answers, &ours, &before), BTreeSet::from([0, 1]));
    }
}
