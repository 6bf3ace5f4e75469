//! Keys of a cluster, and what they sign; what was computed once is not computed again.

use std::collections::BTreeMap;

use coxswain_dv_core::{Aggregation, Check, Cluster, Job, Majority, Output, Validator};
use coxswain_dv_crypto::bls::{self, SecretKey};
use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_eth::Root;
use coxswain_dv_eth::bytes::{Bytes48, Bytes96};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// A group, a root, and shares that are put together.
type Together = (Bytes48, Root, Vec<(u64, Bytes96)>);

/// All keys of a cluster.
pub(crate) struct Keys {
    pub(crate) nodes: usize,
    pub(crate) threshold: usize,
    pub(crate) identities: Vec<IdentityKey>,
    pub(crate) validators: Vec<Validator>,
    /// By validator and node.
    shares: Vec<Vec<SecretKey>>,
    groups: Vec<SecretKey>,
    rng: StdRng,
    signed: BTreeMap<(usize, usize, Root), Bytes96>,
    good: BTreeMap<(Bytes48, Root, Bytes96), bool>,
    whole: BTreeMap<Together, Option<Bytes96>>,
}

impl Keys {
    /// The same for the same numbers.
    pub(crate) fn new(nodes: usize, validators: usize) -> Keys {
        let mut rng = StdRng::seed_from_u64(nodes as u64);
        let threshold = (nodes * 2).div_ceil(3);
        let identities = (0..nodes).map(|_| IdentityKey::generate(&mut rng)).collect();
        let groups: Vec<SecretKey> = (0..validators).map(|_| SecretKey::generate(&mut rng)).collect();
        let split = |group: &SecretKey| {
            let dealt = bls::split(group, nodes as u64, threshold as u64, &mut rng).expect("numbers fit");
            dealt.into_iter().map(|(_, share)| share).collect::<Vec<_>>()
        };
        let shares: Vec<Vec<SecretKey>> = groups.iter().map(split).collect();
        let public = |secret: &SecretKey| (Bytes48::from(secret.public().to_bytes()), secret.public());
        let validator = |(group, shares): (&SecretKey, &Vec<SecretKey>)| Validator {
            key: public(group).0,
            group: group.public(),
            shares: shares.iter().map(public).collect(),
        };
        let validators = groups.iter().zip(&shares).map(validator).collect();
        let (signed, good, whole) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Keys { nodes, threshold, identities, validators, shares, groups, rng, signed, good, whole }
    }

    pub(crate) fn cluster(&self, me: usize) -> Cluster {
        let validators = self.validators.clone();
        Cluster::new(self.nodes, self.threshold, me, validators, Majority::Required).expect("it is one")
    }

    /// A share's signature.
    pub(crate) fn sign(&mut self, validator: usize, node: usize, root: Root) -> Bytes96 {
        let share = &self.shares[validator][node];
        *self.signed.entry((validator, node, root)).or_insert_with(|| share.sign(&root).to_bytes().into())
    }

    /// Whether a group has signed.
    pub(crate) fn is_of_group(&mut self, validator: usize, root: Root, signature: Bytes96) -> bool {
        let key = self.groups[validator].public();
        self.verify(&[Check { key, root, signature }]) == [true]
    }

    /// Does a job.
    pub(crate) fn run(&mut self, job: &Job) -> Output {
        match job {
            Job::Verify(checks) => Output::Verified(self.verify(checks)),
            Job::Aggregate(all) => Output::Aggregated(all.iter().map(|one| self.aggregate(one)).collect()),
        }
    }

    fn verify(&mut self, checks: &[Check]) -> Vec<bool> {
        let name = |check: &Check| (check.key.to_bytes().into(), check.root, check.signature);
        let fresh: Vec<Check> =
            checks.iter().filter(|check| !self.good.contains_key(&name(check))).cloned().collect();
        let job = Job::Verify(fresh.clone());
        let Output::Verified(results) = job.run(&mut self.rng) else { panic!("another output") };
        assert_eq!(results.len(), fresh.len());
        self.good.extend(fresh.iter().map(name).zip(results));
        checks.iter().map(|check| self.good[&name(check)]).collect()
    }

    fn aggregate(&mut self, one: &Aggregation) -> Option<Bytes96> {
        let name = (one.group.to_bytes().into(), one.root, one.partials.clone());
        if let Some(known) = self.whole.get(&name) {
            return *known;
        }
        let job = Job::Aggregate(vec![one.clone()]);
        let Output::Aggregated(whole) = job.run(&mut self.rng) else { panic!("another output") };
        assert_eq!(whole.len(), 1);
        self.whole.insert(name, whole[0]);
        whole[0]
    }
}
