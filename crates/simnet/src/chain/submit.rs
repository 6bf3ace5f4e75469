//! What validators hand in: first the signatures, then the rules.
//!
//! ```text
//! Chain::examine   who says so, and which signatures must hold         needs the chain
//! Job::verify      whether they hold, all at once                      needs nothing, takes long
//! Chain::settle    what is slashable, then the rules, then it is in    needs the chain
//! ```

mod block;
mod sync;
mod vote;

use coxswain_dv_crypto::bls::{self, PublicKey, Signature};
use coxswain_dv_eth::Root;
use coxswain_dv_eth::attestation::{AttestationPhase0, SingleAttestation};
use coxswain_dv_eth::bytes::Bytes96;
use coxswain_dv_eth::domain::{BUILDER, EXIT, Signable};
use coxswain_dv_eth::operations::{Signed, VoluntaryExit};
use coxswain_dv_eth::proposal::SignedProposal;
use coxswain_dv_eth::selection::TARGET_AGGREGATORS;
use coxswain_dv_eth::signed::{SignedAggregate, SignedRegistration};
use coxswain_dv_eth::sync::{SignedContributionAndProof, SyncCommitteeMessage};
use sha2::{Digest as _, Sha256};
use tree_hash::TreeHash as _;

use super::ledger::Duty;
use super::report::{Finding, Kind, Severity};
use super::seed::Stream;
use super::{Asked, Chain};

/// Epochs until an exit takes effect (`MAX_SEED_LOOKAHEAD`, and the epoch itself).
const EXIT_DELAY: u64 = 5;
/// Exits that wait for a block; a block takes as many (`MAX_VOLUNTARY_EXITS`).
const MAX_EXITS_WAITING: usize = 16;

/// An attestation of one validator, in either form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vote {
    /// From Electra on.
    Single(SingleAttestation),
    /// Before Electra: one bit is set.
    Phase0(AttestationPhase0),
}

/// What is handed in.
#[derive(Debug, Clone, PartialEq)]
pub enum Submission {
    /// Attestations.
    Attestations(Vec<Vote>),
    /// A block.
    Proposal(Box<SignedProposal>),
    /// Aggregates.
    Aggregates(Vec<SignedAggregate>),
    /// Votes of sync committees.
    SyncMessages(Vec<SyncCommitteeMessage>),
    /// Contributions.
    Contributions(Vec<SignedContributionAndProof>),
    /// An exit.
    Exit(Signed<VoluntaryExit>),
    /// Registrations with builders.
    Registrations(Vec<SignedRegistration>),
}

impl Submission {
    /// How many things it is.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Submission::Attestations(list) => list.len(),
            Submission::Aggregates(list) => list.len(),
            Submission::SyncMessages(list) => list.len(),
            Submission::Contributions(list) => list.len(),
            Submission::Registrations(list) => list.len(),
            Submission::Proposal(_) | Submission::Exit(_) => 1,
        }
    }

    /// Whether it is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A signature that must hold.
#[derive(Debug, Clone)]
struct Claim {
    /// Like `the selection proof`.
    what: &'static str,
    /// One key, or those whose sum it is.
    keys: Vec<PublicKey>,
    message: Root,
    signature: Bytes96,
}

/// One thing of a submission.
#[derive(Debug, Clone)]
struct Item<T> {
    kind: Kind,
    slot: u64,
    /// Whose it is, where that is known.
    validator: Option<u64>,
    outcome: Result<T, String>,
}

/// Signatures that are to be verified.
#[derive(Debug, Clone)]
pub struct Job {
    submission: Submission,
    items: Vec<Item<Vec<Claim>>>,
    stream: Stream,
}

/// A submission whose signatures have been verified, or found wrong.
#[derive(Debug, Clone)]
pub struct Verified {
    submission: Submission,
    items: Vec<Item<()>>,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipt {
    /// Which of its things were refused, from 0, and why.
    pub refused: Vec<(usize, String)>,
}

impl Job {
    /// Verifies all signatures, in one batch. Takes about a millisecond for each message.
    #[must_use]
    pub fn verify(self) -> Verified {
        let Job { submission, items, mut stream } = self;
        let mut signed = Vec::new();
        let mut places = Vec::new();
        let mut results: Vec<Item<()>> = Vec::with_capacity(items.len());
        for (place, item) in items.into_iter().enumerate() {
            let outcome = item.outcome.and_then(|claims| {
                for claim in claims {
                    let key = PublicKey::sum(&claim.keys).map_err(|e| format!("{}: {e}", claim.what))?;
                    let signature = Signature::from_bytes(&claim.signature.0)
                        .map_err(|e| format!("{} is none: {e}", claim.what))?;
                    signed.push((key, claim.message, signature));
                    places.push((place, claim.what));
                }
                Ok(())
            });
            results.push(Item { kind: item.kind, slot: item.slot, validator: item.validator, outcome });
        }
        for bad in bls::find_invalid(&signed, &mut stream) {
            let Some((place, what)) = places.get(bad) else { continue };
            if let Some(item) = results.get_mut(*place) {
                item.outcome = Err(format!("{what} does not verify"));
            }
        }
        Verified { submission, items: results }
    }
}

impl Chain {
    /// Who says what, and which signatures must hold for it.
    #[must_use]
    pub fn examine(&self, submission: Submission) -> Job {
        let items = match &submission {
            Submission::Attestations(votes) => votes.iter().map(|vote| self.examine_vote(vote)).collect(),
            Submission::Proposal(block) => vec![self.examine_block(block)],
            Submission::Aggregates(list) => list.iter().map(|one| self.examine_aggregate(one)).collect(),
            Submission::SyncMessages(list) => list.iter().map(|one| self.examine_sync(one)).collect(),
            Submission::Contributions(list) => {
                list.iter().map(|one| self.examine_contribution(one)).collect()
            }
            Submission::Exit(exit) => vec![self.examine_exit(exit)],
            Submission::Registrations(list) => {
                list.iter().map(|one| self.examine_registration(one)).collect()
            }
        };
        // The coefficients of a batch must not be known before its signatures are.
        let mut hasher = Sha256::new();
        for item in items.iter().filter_map(|item: &Item<Vec<Claim>>| item.outcome.as_ref().ok()) {
            item.iter().for_each(|claim| hasher.update(claim.signature.0));
        }
        let digest: Root = hasher.finalize().into();
        let purpose = hex::encode(digest);
        Job { submission, items, stream: self.seed().stream(&purpose, &[]) }
    }

    /// Takes in what holds.
    pub fn settle(&mut self, asked: Asked, verified: Verified) -> Receipt {
        let Verified { submission, items } = verified;
        let mut receipt = Receipt::default();
        let mut place = 0;
        let mut items = items.into_iter();
        self.each(submission, &mut |chain, what| {
            let Some(item) = items.next() else { return };
            let outcome = item.outcome.and_then(|()| chain.settle_one(asked, what));
            if let Err(why) = outcome {
                let who = item.validator.map(|validator| (item.slot, item.kind, validator));
                chain.refuse(asked, who, format!("{} of slot {}: {why}", name(item.kind), item.slot));
                receipt.refused.push((place, why));
            }
            place += 1;
        });
        receipt
    }

    /// All three steps at once.
    pub fn submit(&mut self, asked: Asked, submission: Submission) -> Receipt {
        let job = self.examine(submission);
        self.settle(asked, job.verify())
    }

    fn each(&mut self, submission: Submission, then: &mut dyn FnMut(&mut Chain, One)) {
        match submission {
            Submission::Attestations(list) => list.into_iter().for_each(|one| then(self, One::Vote(one))),
            Submission::Proposal(block) => then(self, One::Block(block)),
            Submission::Aggregates(list) => {
                list.into_iter().for_each(|one| then(self, One::Aggregate(Box::new(one))))
            }
            Submission::SyncMessages(list) => list.into_iter().for_each(|one| then(self, One::Sync(one))),
            Submission::Contributions(list) => {
                list.into_iter().for_each(|one| then(self, One::Contribution(one)));
            }
            Submission::Exit(exit) => then(self, One::Exit(exit)),
            Submission::Registrations(list) => {
                list.into_iter().for_each(|one| then(self, One::Registration(one)));
            }
        }
    }

    fn settle_one(&mut self, asked: Asked, one: One) -> Result<(), String> {
        match one {
            One::Vote(vote) => self.settle_vote(asked, &vote),
            One::Block(block) => self.settle_block(asked, *block),
            One::Aggregate(aggregate) => self.settle_aggregate(asked, &aggregate),
            One::Sync(message) => self.settle_sync(asked, &message),
            One::Contribution(contribution) => self.settle_contribution(asked, &contribution),
            One::Exit(exit) => self.settle_exit(asked, exit),
            One::Registration(registration) => self.settle_registration(asked, registration),
        }
    }

    /// Notes that something was refused.
    pub(super) fn refuse(&mut self, asked: Asked, who: Option<(u64, Kind, u64)>, what: String) {
        let now = self.slot_of(asked);
        if let Some((slot, kind, validator)) = who {
            // What is of no slot that is counted is counted now.
            let is_near = slot <= now.saturating_add(1) && slot.saturating_add(64) >= now;
            self.ledger.refused(Duty::new(if is_near { slot } else { now }, kind, validator));
        }
        self.ledger.found(Finding { severity: Severity::Refused, slot: now, node: asked.node, what });
    }

    /// Notes that somebody would be slashed; the same as an error.
    fn fatal(&mut self, asked: Asked, what: &super::Slashable) -> String {
        let slot = self.slot_of(asked);
        let what = what.to_string();
        let finding = Finding { severity: Severity::Fatal, slot, node: asked.node, what: what.clone() };
        self.ledger.found(finding);
        what
    }

    /// Notes that something came.
    pub(super) fn receive(&mut self, asked: Asked, duty: Duty) {
        let delay = asked.now.since(self.spec.clock.start_of(duty.slot));
        self.ledger.received(duty, delay, self.settings.slot);
    }

    pub(super) fn public_key(&self, validator: u64) -> Option<PublicKey> {
        self.keys.get(usize::try_from(validator).ok()?).copied()
    }

    fn claim(
        &self,
        what: &'static str,
        validator: u64,
        signable: &Signable,
        signature: &Bytes96,
    ) -> Result<Claim, String> {
        let key = self.public_key(validator).ok_or_else(|| format!("there is no validator {validator}"))?;
        Ok(Claim { what, keys: vec![key], message: self.spec.signing_root(signable), signature: *signature })
    }

    // ------------------------------------------------------------------------------- exits and registrations

    fn examine_exit(&self, exit: &Signed<VoluntaryExit>) -> Item<Vec<Claim>> {
        let VoluntaryExit { epoch, validator_index } = exit.message;
        let signable = Signable { root: exit.message.tree_hash_root().0, domain: EXIT, epoch };
        let outcome = self.claim("the signature", validator_index, &signable, &exit.signature);
        Item {
            kind: Kind::Exit,
            slot: self.slot.unwrap_or(0),
            validator: self.public_key(validator_index).map(|_| validator_index),
            outcome: outcome.map(|claim| vec![claim]),
        }
    }

    fn settle_exit(&mut self, asked: Asked, exit: Signed<VoluntaryExit>) -> Result<(), String> {
        let now = self.slot_of(asked);
        let current = self.spec.clock.epoch_of(now);
        let validator = exit.message.validator_index;
        if exit.message.epoch > current {
            return Err(format!("it is for epoch {}, and this is epoch {current}", exit.message.epoch));
        }
        if self.settings.epochs_before_exit > current {
            let least = self.settings.epochs_before_exit;
            return Err(format!(
                "validator {validator} may exit after {least} epochs, and this is epoch {current}"
            ));
        }
        self.receive(asked, Duty::new(now, Kind::Exit, validator));
        if self.exits.contains_key(&validator) {
            return Ok(());
        }
        self.exit(validator, current.saturating_add(EXIT_DELAY));
        if self.exits_to_include.len() < MAX_EXITS_WAITING {
            self.exits_to_include.push(exit);
        }
        Ok(())
    }

    fn examine_registration(&self, signed: &SignedRegistration) -> Item<Vec<Claim>> {
        let validator = self.index_of.get(&signed.message.pubkey.into()).copied();
        let signable = Signable { root: signed.message.root(), domain: BUILDER, epoch: 0 };
        let outcome =
            validator.ok_or_else(|| "no validator has its public key".to_owned()).and_then(|validator| {
                let known = self.registrations.get(&validator).is_some_and(|known| known == signed);
                let claim = self.claim("the signature", validator, &signable, &signed.signature.into())?;
                Ok(if known { Vec::new() } else { vec![claim] })
            });
        Item { kind: Kind::Registration, slot: self.slot.unwrap_or(0), validator, outcome }
    }

    fn settle_registration(&mut self, asked: Asked, signed: SignedRegistration) -> Result<(), String> {
        let validator = self.index_of.get(&signed.message.pubkey.into()).copied();
        let validator = validator.ok_or("no validator has its public key")?;
        let known = self.registrations.get(&validator);
        if known.is_some_and(|known| known.message.timestamp > signed.message.timestamp) {
            return Err("a later registration is known".to_owned());
        }
        self.registrations.insert(validator, signed);
        let now = self.slot_of(asked);
        self.receive(asked, Duty::new(now, Kind::Registration, validator));
        Ok(())
    }
}

/// One thing of a submission.
enum One {
    Vote(Vote),
    Block(Box<SignedProposal>),
    Aggregate(Box<SignedAggregate>),
    Sync(SyncCommitteeMessage),
    Contribution(SignedContributionAndProof),
    Exit(Signed<VoluntaryExit>),
    Registration(SignedRegistration),
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Proposer => "block",
        Kind::Randao => "randao reveal",
        Kind::Attester => "attestation",
        Kind::Aggregator => "aggregate",
        Kind::SyncMessage => "sync committee message",
        Kind::SyncContribution => "contribution",
        Kind::Exit => "exit",
        Kind::Registration => "registration",
    }
}

/// One in so many of a committee's members is selected.
pub(super) fn aggregators_modulo(committee_length: u64) -> u64 {
    (committee_length / TARGET_AGGREGATORS).max(1)
}
