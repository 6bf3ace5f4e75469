//! One run: a key for one validator.
//!
//! Bundles are only collected as they come, and looked at when their phase ends: then what a node makes of them does
//! not depend on the order in which they came. Two different bundles of one author and kind are both thrown away.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use coxswain_dv_crypto::bls::{Commitments, Polynomial, SecretKey};
use rand_core::CryptoRng;

use super::bundle::{Bundle, Deals, Justification, Justifications, Responses, SessionId, Signed, Verdict};
use super::{Node, ecies, share_index};

/// The part of a run that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Waiting for deals.
    Deals,
    /// Waiting for responses.
    Responses,
    /// Waiting for justifications.
    Justifications,
    /// It ended.
    Over,
}

/// What is to be done.
#[derive(Debug)]
pub enum RunEffect {
    /// Send to all others.
    SendResponses(Signed<Responses>),
    /// Send to all others.
    SendJustifications(Signed<Justifications>),
    /// It ended well.
    Done(Dealt),
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dealt {
    /// Our share.
    pub secret: SecretKey,
    /// Commitments to the sum of all polynomials; the first is the key.
    pub commitments: Commitments,
    /// Whose polynomials are in it.
    pub dealers: Vec<u32>,
}

/// Why a run gives no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Others do not count on us any more.
    #[error("this node was shut out: {by} nodes say that it dealt badly, or it was silent")]
    Evicted {
        /// How many complained about us.
        by: usize,
    },
    /// Too few nodes dealt so that all others are content.
    #[error("only {good} nodes dealt well, and {threshold} are needed; shut out: {}", places(evicted))]
    TooFew {
        /// How many did.
        good: usize,
        /// How many have to.
        threshold: usize,
        /// Who did not, by place from 0.
        evicted: Vec<u32>,
    },
    /// What came out is no key: by chance, as good as never; by a computer that errs.
    #[error("the sum of all shares is no key")]
    NoKey,
}

fn places(nodes: &[u32]) -> String {
    if nodes.is_empty() {
        return "nobody".to_owned();
    }
    nodes.iter().map(|node| format!("node {node}")).collect::<Vec<_>>().join(", ")
}

/// Bundles of one kind by their authors.
#[derive(Debug)]
struct Collected<B> {
    bundles: BTreeMap<u32, B>,
    /// Who said two different things.
    contradicted: BTreeSet<u32>,
}

impl<B: Bundle> Collected<B> {
    fn new() -> Self {
        Self { bundles: BTreeMap::new(), contradicted: BTreeSet::new() }
    }

    fn take(&mut self, bundle: B) {
        let author = bundle.author();
        if self.contradicted.contains(&author) {
            return;
        }
        match self.bundles.get(&author) {
            Some(before) if before.hash() == bundle.hash() => {}
            Some(_) => {
                self.bundles.remove(&author);
                self.contradicted.insert(author);
            }
            None => drop(self.bundles.insert(author, bundle)),
        }
    }
}

/// Who is in a run, and who we are.
#[derive(Clone, Debug)]
pub struct RunParameters {
    /// All nodes, by ascending places, ours among them.
    pub nodes: Vec<Node>,
    /// Our place.
    pub own: u32,
    /// Shares that sign.
    pub threshold: usize,
    /// The name of the run.
    pub session: SessionId,
}

/// One node's part of a run.
#[derive(Debug)]
pub struct Run {
    parameters: RunParameters,
    key: SecretKey,
    phase: Phase,
    /// The shares of our own polynomial, by place.
    own_shares: BTreeMap<u32, SecretKey>,
    deals: Collected<Deals>,
    responses: Collected<Responses>,
    justifications: Collected<Justifications>,
    /// Commitments of dealers whose bundle was in order.
    commitments: BTreeMap<u32, Commitments>,
    /// Good shares that we got, by dealer.
    shares: BTreeMap<u32, SecretKey>,
    /// By dealer and holder: who is content with whom.
    content: BTreeSet<(u32, u32)>,
    /// Dealers that broke a rule.
    bad_dealers: BTreeSet<u32>,
    /// Nodes that broke a rule as holders of shares, or were silent.
    bad_holders: BTreeSet<u32>,
}

impl Run {
    /// Deals: the machine, and the bundle to send to all others.
    ///
    /// # Errors
    /// The threshold is no threshold, or a share would be zero, as good as never.
    pub fn new(
        parameters: RunParameters,
        key: &SecretKey,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Signed<Deals>), RunError> {
        let secret = SecretKey::generate(rng);
        let threshold = u64::try_from(parameters.threshold).unwrap_or(u64::MAX);
        let polynomial = Polynomial::random(&secret, threshold, rng).map_err(|_| RunError::NoKey)?;
        let mut own_shares = BTreeMap::new();
        let mut deals = Vec::new();
        for node in &parameters.nodes {
            let share = polynomial.share(node.share_index()).map_err(|_| RunError::NoKey)?;
            if node.index != parameters.own {
                deals.push((node.index, ecies::seal(&node.key, &share, rng).to_vec()));
            }
            own_shares.insert(node.index, share);
        }
        let commitments = polynomial.commitments().points().iter().map(|point| point.to_bytes()).collect();
        let bundle = Deals { dealer: parameters.own, commitments, deals, session: parameters.session };
        let signed = Signed::new(bundle, key);
        Ok((Self::with(parameters, key.clone(), own_shares, signed.bundle.clone()), signed))
    }

    /// The machine that dealt this.
    pub(super) fn with(
        parameters: RunParameters,
        key: SecretKey,
        own_shares: BTreeMap<u32, SecretKey>,
        own: Deals,
    ) -> Self {
        let mut deals = Collected::new();
        deals.take(own);
        Self {
            parameters,
            key,
            phase: Phase::Deals,
            own_shares,
            deals,
            responses: Collected::new(),
            justifications: Collected::new(),
            commitments: BTreeMap::new(),
            shares: BTreeMap::new(),
            content: BTreeSet::new(),
            bad_dealers: BTreeSet::new(),
            bad_holders: BTreeSet::new(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The places of nodes whose bundle of the present phase is not here.
    #[must_use]
    pub fn missing(&self) -> Vec<u32> {
        let is_here = |index: &u32| match self.phase {
            Phase::Deals => self.deals.bundles.contains_key(index),
            Phase::Responses => self.responses.bundles.contains_key(index),
            Phase::Justifications => self.justifications.bundles.contains_key(index),
            Phase::Over => true,
        };
        self.indices().filter(|index| !is_here(index)).collect()
    }

    fn indices(&self) -> impl Iterator<Item = u32> + '_ {
        self.parameters.nodes.iter().map(|node| node.index)
    }

    fn node(&self, index: u32) -> Option<&Node> {
        self.parameters.nodes.iter().find(|node| node.index == index)
    }

    /// Whether a bundle is by another node of this run; what is not by whom it says is as if it had not come.
    fn is_genuine<B: Bundle>(&self, signed: &Signed<B>) -> bool {
        let author = signed.bundle.author();
        author != self.parameters.own && self.node(author).is_some_and(|node| signed.is_by(&node.key))
    }

    /// Takes deals of another.
    ///
    /// # Errors
    /// The run gives no key.
    pub fn take_deals(&mut self, signed: Signed<Deals>) -> Result<Vec<RunEffect>, RunError> {
        if self.is_genuine(&signed) {
            self.deals.take(signed.bundle);
        }
        self.advance()
    }

    /// Takes responses of another.
    ///
    /// # Errors
    /// The run gives no key.
    pub fn take_responses(&mut self, signed: Signed<Responses>) -> Result<Vec<RunEffect>, RunError> {
        if self.is_genuine(&signed) {
            self.responses.take(signed.bundle);
        }
        self.advance()
    }

    /// Takes justifications of another.
    ///
    /// # Errors
    /// The run gives no key.
    pub fn take_justifications(
        &mut self,
        signed: Signed<Justifications>,
    ) -> Result<Vec<RunEffect>, RunError> {
        if self.is_genuine(&signed) {
            self.justifications.take(signed.bundle);
        }
        self.advance()
    }

    /// The time of a phase is over; nothing if it ended before.
    ///
    /// # Errors
    /// The run gives no key.
    pub fn phase_over(&mut self, phase: Phase) -> Result<Vec<RunEffect>, RunError> {
        if phase != self.phase || phase == Phase::Over {
            return Ok(Vec::new());
        }
        let mut effects = self.end_phase()?;
        effects.append(&mut self.advance()?);
        Ok(effects)
    }

    /// Ends phases as long as everything is there.
    fn advance(&mut self) -> Result<Vec<RunEffect>, RunError> {
        let mut effects = Vec::new();
        while self.phase != Phase::Over && self.missing().is_empty() {
            effects.append(&mut self.end_phase()?);
        }
        Ok(effects)
    }

    fn end_phase(&mut self) -> Result<Vec<RunEffect>, RunError> {
        let result = match self.phase {
            Phase::Deals => Ok(self.end_deals()),
            Phase::Responses => self.end_responses(),
            Phase::Justifications => self.end_justifications(),
            Phase::Over => Ok(Vec::new()),
        };
        if result.is_err() {
            self.phase = Phase::Over;
        }
        result
    }

    // ------------------------------------------------------------------------------------------------------- deals

    fn end_deals(&mut self) -> Vec<RunEffect> {
        for (dealer, bundle) in mem::take(&mut self.deals.bundles) {
            match self.read_deals(&bundle) {
                None => drop(self.bad_dealers.insert(dealer)),
                Some((commitments, share)) => {
                    self.commitments.insert(dealer, commitments);
                    if let Some(share) = share {
                        self.shares.insert(dealer, share);
                        self.content.insert((dealer, self.parameters.own));
                    }
                }
            }
        }
        // What a node dealt to itself is its own affair.
        let indices: Vec<u32> = self.indices().collect();
        self.content.extend(indices.iter().map(|index| (*index, *index)));
        let verdict = |dealer: u32| match self.content.contains(&(dealer, self.parameters.own)) {
            true => (dealer, Verdict::Good),
            false => (dealer, Verdict::Complaint),
        };
        // Who is shut out answers to nobody.
        let responses = indices.iter().copied().filter(|dealer| !self.bad_dealers.contains(dealer));
        let bundle = Responses {
            holder: self.parameters.own,
            responses: responses.map(verdict).collect(),
            session: self.parameters.session,
        };
        let signed = Signed::new(bundle, &self.key);
        self.responses.take(signed.bundle.clone());
        self.phase = Phase::Responses;
        vec![RunEffect::SendResponses(signed)]
    }

    /// What a dealer committed to, and our share if it is good; none where the bundle breaks a rule.
    fn read_deals(&self, bundle: &Deals) -> Option<(Commitments, Option<SecretKey>)> {
        let is_in_order = bundle.session == self.parameters.session
            && bundle.commitments.len() == self.parameters.threshold
            && bundle.deals.iter().all(|(holder, _)| self.node(*holder).is_some());
        if !is_in_order {
            return None;
        }
        let commitments = Commitments::from_bytes(&bundle.commitments).ok()?;
        let own = self.parameters.own;
        let share = if bundle.dealer == own {
            self.own_shares.get(&own).cloned()
        } else {
            // Of several shares for us, the first that is good: as if the others had not been there.
            let ours = bundle.deals.iter().filter(|(holder, _)| *holder == own);
            ours.filter_map(|(_, sealed)| ecies::open(&self.key, sealed))
                .find(|share| commitments.has_share(share_index(own), share))
        };
        Some((commitments, share))
    }

    // --------------------------------------------------------------------------------------------------- responses

    fn end_responses(&mut self) -> Result<Vec<RunEffect>, RunError> {
        let mut heard = BTreeSet::from([self.parameters.own]);
        for (holder, bundle) in mem::take(&mut self.responses.bundles) {
            if holder == self.parameters.own {
                continue;
            }
            if bundle.session != self.parameters.session {
                self.bad_holders.insert(holder);
                continue;
            }
            for (dealer, verdict) in bundle.responses {
                // Who speaks of a dealer that is none is shut out, and what it says of others still counts: all nodes
                // must reckon alike, whoever made them.
                if self.node(dealer).is_none() {
                    self.bad_holders.insert(holder);
                    continue;
                }
                heard.insert(holder);
                match verdict {
                    Verdict::Good => drop(self.content.insert((dealer, holder))),
                    Verdict::Complaint => drop(self.content.remove(&(dealer, holder))),
                }
            }
        }
        let silent: Vec<u32> = self.indices().filter(|index| !heard.contains(index)).collect();
        self.bad_holders.extend(silent);
        if self.indices().all(|dealer| self.unhappy(dealer).is_empty()) {
            return self.finish();
        }
        let indices: Vec<u32> = self.indices().collect();
        for dealer in indices {
            if self.unhappy(dealer).len() >= self.parameters.threshold {
                self.bad_dealers.insert(dealer);
            }
        }
        self.check_ourselves()?;
        self.phase = Phase::Justifications;
        Ok(self.justify())
    }

    /// Who has no good share of this dealer, as far as we know.
    fn unhappy(&self, dealer: u32) -> Vec<u32> {
        self.indices().filter(|holder| !self.content.contains(&(dealer, *holder))).collect()
    }

    fn check_ourselves(&self) -> Result<(), RunError> {
        let own = self.parameters.own;
        if self.bad_dealers.contains(&own) || self.bad_holders.contains(&own) {
            return Err(RunError::Evicted { by: self.unhappy(own).len() });
        }
        Ok(())
    }

    /// Our shares of those who complained about us, for all to see.
    fn justify(&mut self) -> Vec<RunEffect> {
        let own = self.parameters.own;
        let unhappy = self.unhappy(own);
        if unhappy.is_empty() {
            return Vec::new();
        }
        let share = |holder: &u32| {
            let share = self.own_shares.get(holder)?.to_bytes();
            Some(Justification { holder: *holder, share })
        };
        let justifications = unhappy.iter().filter_map(share).collect();
        self.content.extend(unhappy.iter().map(|holder| (own, *holder)));
        let bundle = Justifications { dealer: own, justifications, session: self.parameters.session };
        let signed = Signed::new(bundle, &self.key);
        self.justifications.take(signed.bundle.clone());
        vec![RunEffect::SendJustifications(signed)]
    }

    // ---------------------------------------------------------------------------------------------- justifications

    fn end_justifications(&mut self) -> Result<Vec<RunEffect>, RunError> {
        let own = self.parameters.own;
        for (dealer, bundle) in mem::take(&mut self.justifications.bundles) {
            if dealer == own || self.bad_dealers.contains(&dealer) {
                continue;
            }
            if !self.read_justifications(&bundle) {
                self.bad_dealers.insert(dealer);
            }
        }
        self.check_ourselves()?;
        self.finish()
    }

    /// Takes the shares that a dealer opened; false where one breaks a rule.
    fn read_justifications(&mut self, bundle: &Justifications) -> bool {
        let dealer = bundle.dealer;
        let Some(commitments) = self.commitments.get(&dealer) else { return false };
        let mut good = Vec::new();
        for entry in &bundle.justifications {
            let share = SecretKey::from_bytes(entry.share.as_slice()).ok();
            let is_known = self.node(entry.holder).is_some();
            match share.filter(|share| is_known && commitments.has_share(share_index(entry.holder), share)) {
                Some(share) => good.push((entry.holder, share)),
                None => return false,
            }
        }
        if bundle.session != self.parameters.session {
            return false;
        }
        for (holder, share) in good {
            self.content.insert((dealer, holder));
            if holder == self.parameters.own {
                self.shares.insert(dealer, share);
            }
        }
        true
    }

    // --------------------------------------------------------------------------------------------------------- end

    /// The sum over all who dealt well and were not silent.
    fn finish(&mut self) -> Result<Vec<RunEffect>, RunError> {
        self.phase = Phase::Over;
        let threshold = self.parameters.threshold;
        let is_good = |dealer: &u32| !self.bad_dealers.contains(dealer) && self.unhappy(*dealer).is_empty();
        let good: Vec<u32> = self.indices().filter(is_good).collect();
        let dealers: Vec<u32> =
            good.iter().copied().filter(|dealer| !self.bad_holders.contains(dealer)).collect();
        // A key of fewer than the threshold could be known to those who fail together.
        if dealers.len() < threshold {
            let evicted = self.indices().filter(|index| !dealers.contains(index)).collect();
            return Err(RunError::TooFew { good: dealers.len(), threshold, evicted });
        }
        let shares: Option<Vec<&SecretKey>> = dealers.iter().map(|dealer| self.shares.get(dealer)).collect();
        let all: Option<Vec<Commitments>> =
            dealers.iter().map(|dealer| self.commitments.get(dealer).cloned()).collect();
        let (Some(shares), Some(all)) = (shares, all) else { return Err(RunError::NoKey) };
        let secret = SecretKey::sum(shares).map_err(|_| RunError::NoKey)?;
        let commitments = Commitments::sum(&all).map_err(|_| RunError::NoKey)?;
        if !commitments.has_share(share_index(self.parameters.own), &secret) {
            return Err(RunError::NoKey);
        }
        Ok(vec![RunEffect::Done(Dealt { secret, commitments, dealers })])
    }
}
