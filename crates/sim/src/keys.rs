//! Keys of a cluster, and what they sign.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use coxswain_dv_core::{Aggregation, Check, Cluster, Finding, Job, Majority, Output, Validator};
use coxswain_dv_crypto::bls::{self, SecretKey};
use coxswain_dv_crypto::k1::{IdentityKey, IdentityPublic, K1Error, SIGNATURE_LEN};
use coxswain_dv_eth::Root;
use coxswain_dv_eth::bytes::{Bytes48, Bytes96};
use coxswain_dv_qbft::seals::{Identities, Seals};
use sha2::{Digest as _, Sha256};

use crate::dice::Dice;
use crate::setting::Signatures;

/// Validators of every cluster.
pub(crate) const VALIDATORS: usize = 4;

/// A group, a root, and shares that are put together.
type Together = (Bytes48, Root, Vec<(u64, Bytes96)>);

/// What takes time to make and is the same for all clusters of one size.
struct Dealt {
    nodes: usize,
    identities: Vec<IdentityKey>,
    validators: Vec<Validator>,
    groups: Vec<SecretKey>,
    /// By validator and node.
    shares: Vec<Vec<SecretKey>>,
    /// Keys of shares by the group's.
    by_group: BTreeMap<[u8; 48], usize>,
}

/// Keys of clusters that were made before.
#[derive(Default)]
pub struct Vault {
    dealt: BTreeMap<usize, Rc<Dealt>>,
}

impl Vault {
    /// One without any.
    #[must_use]
    pub fn new() -> Vault {
        Vault::default()
    }

    pub(crate) fn keys(&mut self, nodes: usize, signatures: Signatures) -> Keys {
        let dealt = self.dealt.entry(nodes).or_insert_with(|| Rc::new(Dealt::new(nodes)));
        Keys {
            dealt: Rc::clone(dealt),
            threshold: threshold(nodes),
            signatures,
            dice: Dice::of(nodes as u64, 3),
            signed: BTreeMap::new(),
            good: BTreeMap::new(),
            whole: BTreeMap::new(),
        }
    }
}

fn threshold(nodes: usize) -> usize {
    (nodes * 2).div_ceil(3)
}

impl Dealt {
    fn new(nodes: usize) -> Dealt {
        let mut dice = Dice::of(nodes as u64, 2);
        let identities = (0..nodes).map(|_| IdentityKey::generate(&mut dice)).collect();
        let groups: Vec<SecretKey> = (0..VALIDATORS).map(|_| SecretKey::generate(&mut dice)).collect();
        let split = |group: &SecretKey| {
            let dealt = bls::split(group, nodes as u64, threshold(nodes) as u64, &mut dice);
            let dealt = dealt.expect("numbers of nodes fit");
            dealt.into_iter().map(|(_, share)| share).collect::<Vec<_>>()
        };
        let shares: Vec<Vec<SecretKey>> = groups.iter().map(split).collect();
        let public = |secret: &SecretKey| (Bytes48::from(secret.public().to_bytes()), secret.public());
        let validator = |(group, shares): (&SecretKey, &Vec<SecretKey>)| Validator {
            key: public(group).0,
            group: group.public(),
            shares: shares.iter().map(public).collect(),
        };
        let validators: Vec<Validator> = groups.iter().zip(&shares).map(validator).collect();
        let by_group = validators.iter().enumerate().map(|(at, one)| (one.key.0, at)).collect();
        Dealt { nodes, identities, validators, groups, shares, by_group }
    }
}

/// All keys of a cluster.
pub(crate) struct Keys {
    dealt: Rc<Dealt>,
    pub(crate) threshold: usize,
    signatures: Signatures,
    dice: Dice,
    signed: BTreeMap<(usize, usize, Root), Bytes96>,
    good: BTreeMap<(Bytes48, Root, Bytes96), bool>,
    whole: BTreeMap<Together, Option<Bytes96>>,
}

/// What whoever has the key of these bytes says of a root.
fn cheap(key: &[u8; 48], root: &Root) -> Bytes96 {
    let half: [u8; 32] = Sha256::new().chain_update(key).chain_update(root).finalize().into();
    let mut bytes = [0xc5; 96];
    bytes[..32].copy_from_slice(&half);
    Bytes96::from(bytes)
}

impl Keys {
    pub(crate) fn cluster(&self, me: usize) -> Cluster {
        let validators = self.dealt.validators.clone();
        Cluster::new(self.dealt.nodes, self.threshold, me, validators, Majority::Required)
            .expect("dealt as a cluster")
    }

    pub(crate) fn validators(&self) -> &[Validator] {
        &self.dealt.validators
    }

    pub(crate) fn identity(&self, node: usize) -> IdentityKey {
        self.dealt.identities[node].clone()
    }

    pub(crate) fn peers(&self) -> Vec<IdentityPublic> {
        self.dealt.identities.iter().map(IdentityKey::public).collect()
    }

    /// How a node signs messages of consensus.
    pub(crate) fn seals(&self, node: usize) -> Arc<dyn Seals> {
        match self.signatures {
            Signatures::Real => Arc::new(Identities { key: self.identity(node), peers: self.peers() }),
            Signatures::Cheap => Arc::new(CheapSeals { me: node, nodes: self.dealt.nodes }),
        }
    }

    /// A share's signature.
    pub(crate) fn sign(&mut self, validator: usize, node: usize, root: Root) -> Bytes96 {
        match self.signatures {
            Signatures::Cheap => cheap(&self.dealt.validators[validator].shares[node].0.0, &root),
            Signatures::Real => {
                let share = &self.dealt.shares[validator][node];
                let made = || share.sign(&root).to_bytes().into();
                *self.signed.entry((validator, node, root)).or_insert_with(made)
            }
        }
    }

    /// A group's signature, which no node can make alone: registrations are signed when the cluster is made.
    pub(crate) fn sign_as_group(&self, validator: usize, root: Root) -> Bytes96 {
        match self.signatures {
            Signatures::Cheap => cheap(&self.dealt.validators[validator].key.0, &root),
            Signatures::Real => self.dealt.groups[validator].sign(&root).to_bytes().into(),
        }
    }

    /// Whether a group has signed.
    pub(crate) fn is_of_group(&mut self, validator: usize, root: Root, signature: Bytes96) -> bool {
        let key = self.dealt.validators[validator].group;
        self.verify(&[Check { key, root, signature }]) == [true]
    }

    /// Whether a share has signed.
    pub(crate) fn is_of_share(
        &mut self,
        validator: usize,
        node: usize,
        root: Root,
        signature: Bytes96,
    ) -> bool {
        let (_, key) = self.dealt.validators[validator].shares[node];
        self.verify(&[Check { key, root, signature }]) == [true]
    }

    /// Does a job.
    pub(crate) fn run(&mut self, job: &Job) -> Output {
        match job {
            Job::Verify(checks) => {
                Output::Verified(self.verify(checks).into_iter().map(Finding::from).collect())
            }
            Job::Aggregate(all) => Output::Aggregated(all.iter().map(|one| self.aggregate(one)).collect()),
        }
    }

    fn verify(&mut self, checks: &[Check]) -> Vec<bool> {
        if self.signatures == Signatures::Cheap {
            let is_good = |one: &Check| cheap(&one.key.to_bytes(), &one.root) == one.signature;
            return checks.iter().map(is_good).collect();
        }
        let name = |check: &Check| (check.key.to_bytes().into(), check.root, check.signature);
        let fresh: Vec<Check> =
            checks.iter().filter(|check| !self.good.contains_key(&name(check))).cloned().collect();
        if let Output::Verified(results) = Job::Verify(fresh.clone()).run(&mut self.dice) {
            let results = results.into_iter().map(|found| found == Finding::Good);
            self.good.extend(fresh.iter().map(name).zip(results));
        }
        checks.iter().map(|check| self.good.get(&name(check)).copied().unwrap_or(false)).collect()
    }

    fn aggregate(&mut self, one: &Aggregation) -> Option<Bytes96> {
        if self.signatures == Signatures::Cheap {
            return self.aggregate_cheap(one);
        }
        let name = (one.group.to_bytes().into(), one.root, one.partials.clone());
        if let Some(known) = self.whole.get(&name) {
            return *known;
        }
        let Output::Aggregated(whole) = Job::Aggregate(vec![one.clone()]).run(&mut self.dice) else {
            return None;
        };
        let made = whole.first().copied().flatten();
        self.whole.insert(name, made);
        made
    }

    /// As many good shares as are needed, each once, come to the group's signature.
    fn aggregate_cheap(&self, one: &Aggregation) -> Option<Bytes96> {
        let group = one.group.to_bytes();
        let validator = &self.dealt.validators[*self.dealt.by_group.get(&group)?];
        let mut seen = vec![false; self.dealt.nodes];
        for (index, signature) in &one.partials {
            let node = usize::try_from(*index).ok()?.checked_sub(1)?;
            let (key, _) = validator.shares.get(node)?;
            if std::mem::replace(seen.get_mut(node)?, true) || cheap(&key.0, &one.root) != *signature {
                return None;
            }
        }
        (one.partials.len() >= self.threshold).then(|| cheap(&group, &one.root))
    }
}

/// Messages of consensus, signed by naming the node and what it signs.
#[derive(Debug, Clone, Copy)]
struct CheapSeals {
    me: usize,
    nodes: usize,
}

fn cheap_seal(node: usize, digest: &Root) -> [u8; SIGNATURE_LEN] {
    let half = Sha256::new().chain_update((node as u64).to_le_bytes()).chain_update(digest).finalize();
    let mut bytes = [0; SIGNATURE_LEN];
    bytes[..32].copy_from_slice(&half);
    bytes
}

impl Seals for CheapSeals {
    fn sign(&self, digest: &Root) -> [u8; SIGNATURE_LEN] {
        cheap_seal(self.me, digest)
    }

    fn check(&self, node: usize, digest: &Root, signature: &[u8]) -> Result<(), K1Error> {
        match node < self.nodes && cheap_seal(node, digest) == *signature {
            true => Ok(()),
            false => Err(K1Error::Unrecoverable),
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys(of {} nodes)", self.dealt.nodes)
    }
}
