//! The interchange tests of EIP-3076: <https://github.com/eth-clients/slashing-protection-interchange-tests>.
//!
//! Each verdict has two right answers there: the one of a program that keeps the highest numbers only, and the one of a
//! program that keeps every record. What is imported covers all up to its highest numbers here, and what was signed here
//! is kept whole; so the answer is the first one, but for the very same message, and for what the store itself has signed.

#[path = "../../dv-types/tests/support/vectors.rs"]
mod support;

#[path = "support/directories.rs"]
mod directories;

use std::collections::BTreeSet;

use coxswain_dv_eth::bytes::{Bytes32, Bytes48};
use coxswain_dv_slashing::interchange::Interchange;
use coxswain_dv_slashing::machine::Disk;
use coxswain_dv_slashing::protect::{Refusal, Request, Signer, Verdict, Wall, What};
use coxswain_dv_slashing::store::{ImportError, KeyPair, Settings, Store, Strangers};
use coxswain_dv_types::cluster::Lock;
use serde::Deserialize;

/// Later than all in the suite.
const WALL: Wall = Wall { slot: 1 << 20, epoch: 1 << 15 };

#[derive(Deserialize)]
struct Case {
    name: String,
    genesis_validators_root: Bytes32,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    should_succeed: bool,
    interchange: serde_json::Value,
    blocks: Vec<Asked>,
    attestations: Vec<Asked>,
}

#[derive(Deserialize)]
struct Asked {
    pubkey: Bytes48,
    slot: Option<String>,
    source_epoch: Option<String>,
    target_epoch: Option<String>,
    signing_root: Bytes32,
    should_succeed: bool,
    should_succeed_complete: bool,
}

impl Asked {
    fn request(&self) -> Request {
        let number = |text: &Option<String>| text.as_deref().expect("a number").parse().expect("a number");
        let root = self.signing_root.0;
        let what = match self.slot {
            Some(_) => What::Block { slot: number(&self.slot), root },
            None => What::Attestation {
                source: number(&self.source_epoch),
                target: number(&self.target_epoch),
                root,
            },
        };
        Request { key: self.pubkey, what }
    }
}

/// Another key.
fn share_of(key: Bytes48) -> Bytes48 {
    Bytes48::from(key.0.map(|byte| !byte))
}

/// Verdicts, by how they compare to the two answers.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    steps: usize,
    verdicts: usize,
    again: usize,
    own: usize,
}

/// Runs a case; entries are imported under the names of groups or of shares.
fn run(case: &Case, signer: Signer, named: fn(Bytes48) -> Bytes48, counts: &mut Counts) {
    let dir = directories::directory();
    let text = serde_json::to_string(&case.steps.iter().map(|step| &step.interchange).collect::<Vec<_>>());
    let text = text.expect("JSON");
    let keys: BTreeSet<Bytes48> = text.split('"').filter_map(|word| word.parse().ok()).collect();
    let keys = keys.into_iter().map(|group| KeyPair { group, share: share_of(group) }).collect();
    let settings =
        Settings { genesis_validators_root: case.genesis_validators_root.0, keys, disk: Disk::Local };
    let store = Store::open(&directories::file(dir.path()), &settings).expect("a store");
    for step in &case.steps {
        counts.steps += 1;
        let text = serde_json::to_vec(&step.interchange).expect("JSON");
        let mut history = Interchange::parse(&text).expect("a history");
        history.entries.iter_mut().for_each(|entry| entry.key = named(entry.key));
        let imported = store.import(&history, Strangers::Refuse, WALL);
        assert_eq!(imported.is_ok(), step.should_succeed, "{}: {imported:?}", case.name);
        assert!(imported.is_ok() || matches!(imported, Err(ImportError::OtherChain { .. })));
        for asked in step.blocks.iter().chain(&step.attestations) {
            verdict(case, &store, signer, asked, counts);
        }
    }
}

fn verdict(case: &Case, store: &Store, signer: Signer, asked: &Asked, counts: &mut Counts) {
    let request = asked.request();
    let verdict = store.check_and_record(signer, &[request], WALL).expect("an answer")[0];
    let name = format!("{}: {verdict:?} for {request:?}", case.name);
    counts.verdicts += 1;
    assert!(!matches!(verdict, Verdict::Refused(Refusal::NotStarted | Refusal::UnknownKey)), "{name}");
    let is_allowed = !matches!(verdict, Verdict::Refused(_));
    if is_allowed == asked.should_succeed {
        return;
    }
    assert!(is_allowed && asked.should_succeed_complete, "{name}");
    match verdict {
        Verdict::Again => counts.again += 1,
        // After its own block at slot 30, the store signs at slot 29, where nothing was signed.
        _ => counts.own += 1,
    }
}

/// The keys of a node, as a lock of others names them.
#[test]
fn keys_of_a_lock() {
    let Some(folder) = support::vectors("charon/runs/create-v1.11-n4") else { return };
    let find = |folder: &std::path::Path| -> Vec<std::path::PathBuf> {
        let entries =
            std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        entries.collect()
    };
    let all = find(&folder).into_iter().flat_map(|path| if path.is_dir() { find(&path) } else { vec![path] });
    let path = all.filter(|path| path.ends_with("cluster-lock.json")).min().expect("a lock");
    let lock = Lock::parse(&std::fs::read(path).expect("a file")).expect("a lock");
    let nodes = lock.validators[0].public_shares.len();
    let mut names = BTreeSet::new();
    for node in 0..nodes {
        let pairs = KeyPair::of_node(&lock, node).expect("a node");
        assert_eq!(pairs.len(), lock.validators.len());
        names.extend(pairs.iter().flat_map(|pair| [pair.group, pair.share]));
    }
    assert_eq!(names.len(), lock.validators.len() * (1 + nodes));
    assert_eq!(KeyPair::of_node(&lock, nodes), None);
}

#[test]
fn the_suite_of_eip_3076() {
    let Some(folder) = support::vectors("eip3076/tests/generated") else { return };
    let mut counts = [Counts::default(), Counts::default(), Counts::default()];
    let mut cases = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let text = std::fs::read(entry.expect("an entry").path()).expect("a file");
        let case: Case = serde_json::from_slice(&text).expect("a case");
        run(&case, Signer::Share, |group| group, &mut counts[0]);
        run(&case, Signer::Group, |group| group, &mut counts[1]);
        run(&case, Signer::Share, share_of, &mut counts[2]);
        cases += 1;
    }
    assert_eq!(cases, 38);
    for counts in counts {
        assert_eq!(counts, Counts { steps: 49, verdicts: 150, again: 4, own: 1 });
    }
}
