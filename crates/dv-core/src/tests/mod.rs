//! Parts of a node on their own. Whole clusters are in `crates/sim`.

#[path = "../../../../tests/support/mutate.rs"]
mod mutate;

mod ahead;
mod decided;
mod exchange;
mod inclusion;
mod partials;
mod priority;
mod reorg;
mod serving;
mod switched;
mod taken_out;
mod votes;

use std::time::Duration;

use coxswain_dv_crypto::bls::{self, SecretKey};
use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_eth::bytes::{Bytes4, Bytes32, Bytes48, Bytes96};
use coxswain_dv_eth::domain::Chain;
use coxswain_dv_eth::fork::Forks;
use coxswain_dv_eth::signed::SignedData;
use coxswain_dv_eth::sync::SyncCommitteeMessage;
use coxswain_dv_eth::time::{Clock, Time};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::{Cluster, Majority, Validator};

/// Nodes of the cluster, shares that are enough, and validators.
const NODES: usize = 4;
const THRESHOLD: usize = 3;
const VALIDATORS: usize = 3;
/// The chain's index of the first validator.
const FIRST_INDEX: u64 = 100;

/// Slots of twelve seconds from 1970 on, four in an epoch; all forks from the first epoch on.
fn chain() -> Chain {
    let clock = Clock { genesis: Time::default(), slot: Duration::from_secs(12), slots_per_epoch: 4 };
    let mut rows = [(0, Bytes4::from([0; 4])); 7];
    for (number, row) in (0u8..).zip(&mut rows) {
        row.1 = Bytes4::from([number, 0, 0, 9]);
    }
    Chain { clock, forks: Forks::new(rows), genesis_validators_root: [9; 32] }
}

/// Keys of a cluster.
struct Keys {
    /// By validator and node.
    shares: Vec<Vec<SecretKey>>,
    validators: Vec<Validator>,
}

impl Keys {
    fn new() -> Keys {
        let mut rng = StdRng::seed_from_u64(1);
        let public = |secret: &SecretKey| (Bytes48::from(secret.public().to_bytes()), secret.public());
        let (mut shares, mut validators) = (Vec::new(), Vec::new());
        for _ in 0..VALIDATORS {
            let group = SecretKey::generate(&mut rng);
            let dealt = bls::split(&group, NODES as u64, THRESHOLD as u64, &mut rng).expect("numbers fit");
            let dealt: Vec<SecretKey> = dealt.into_iter().map(|(_, share)| share).collect();
            let (key, point) = public(&group);
            validators.push(Validator { key, group: point, shares: dealt.iter().map(public).collect() });
            shares.push(dealt);
        }
        Keys { shares, validators }
    }

    fn cluster(&self, me: usize) -> Cluster {
        let validators = self.validators.clone();
        Cluster::new(NODES, THRESHOLD, me, validators, Majority::Required).expect("a cluster")
    }

    /// With the signature of a share.
    fn signed(&self, validator: usize, node: usize, mut data: SignedData) -> SignedData {
        let chain = chain();
        let root = chain.signing_root(&data.signable(&chain.clock).expect("it is signed"));
        data.set_signature(self.shares[validator][node].sign(&root).to_bytes().into());
        data
    }

    /// A vote of a validator, signed by a share.
    fn vote(&self, validator: usize, node: usize, slot: u64) -> SyncCommitteeMessage {
        let vote = SyncCommitteeMessage {
            slot,
            beacon_block_root: Bytes32::from([5; 32]),
            validator_index: FIRST_INDEX + validator as u64,
            signature: Bytes96::default(),
        };
        match self.signed(validator, node, SignedData::SyncMessage(vote)) {
            SignedData::SyncMessage(vote) => vote,
            other => panic!("it was a vote: {other:?}"),
        }
    }
}

fn identity(node: usize) -> IdentityKey {
    IdentityKey::from_bytes(&[u8::try_from(node + 1).expect("few"); 32]).expect("a key")
}
