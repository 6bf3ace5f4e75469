//! What kind of world it is: how large the cluster, how much goes wrong. All of it is drawn from the seed.
//!
//! Time goes by in acts. In the first epochs of an act anything may go wrong; then all is well again, for an epoch in
//! which nodes find back, and for epochs in which every duty is demanded.
//!
//! ```text
//! act  │ TROUBLE epochs: crashes, partitions, clocks, reorgs … │ QUIET epoch │ GOOD epochs: duties are demanded │
//! ```

use coxswain_dv_core::Builder;

use crate::dice::Dice;

/// Slots of an epoch: enough for duties of both halves of an epoch, few enough for many epochs.
pub(crate) const SLOTS_PER_EPOCH: u64 = 8;
/// Epochs of an act in which things go wrong.
pub(crate) const TROUBLE: u64 = 2;
/// Epochs after it in which nothing is demanded: a node whose clock was set watches for one.
pub(crate) const QUIET: u64 = 1;
/// Epochs after it in which duties are demanded.
pub(crate) const GOOD: u64 = 2;
/// Epochs of an act.
pub(crate) const ACT: u64 = TROUBLE + QUIET + GOOD;
/// The first epoch in which the cluster's validators are active: sources of votes are before it.
pub(crate) const FIRST_EPOCH: u64 = 5;

/// How signatures are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signatures {
    /// As real nodes make them.
    Real,
    /// Digests that only whoever has the key can name: about fifty times cheaper.
    Cheap,
}

/// Whose blocks are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builders {
    /// Nodes make their own.
    Off,
    /// Builders', where there are any.
    All,
    /// Nodes differ.
    Some,
}

impl Builders {
    pub(crate) fn of(self, node: usize) -> Builder {
        match self {
            Builders::Off => Builder::Off,
            Builders::All => Builder::On,
            Builders::Some if node.is_multiple_of(2) => Builder::On,
            Builders::Some => Builder::Off,
        }
    }
}

/// What a validator client does that signs what it has not seen decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// It signs what was decided, and then something that contradicts it.
    Truth,
    /// The other way about.
    Lie,
}

/// What the store of shares does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shares {
    /// What it should.
    Judged,
    /// It allows all, so that only the store of groups stands against two votes. For tests.
    Blind,
    /// Its disk loses what stands against anything that is asked for. For tests: that must not go unseen.
    Forgetful,
}

/// What goes wrong in the trouble of an act. Chances are of a hundred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Nodes that are killed and started again.
    pub crashes: u64,
    /// Times in which some nodes do not hear some others.
    pub partitions: u64,
    /// Clocks that are set wrong and right again.
    pub clocks_set: u64,
    /// Times that the chain takes another branch.
    pub reorgs: u64,
    /// Of messages, those that get lost.
    pub lost: u64,
    /// Of messages, those that come twice.
    pub doubled: u64,
    /// Of questions to beacon nodes, those without an answer.
    pub unanswered: u64,
    /// Of writes to the store, those that fail; half of them are on the disk all the same.
    pub unwritten: u64,
    /// Of jobs, writes and answers of beacon nodes, those that take seconds.
    pub slow: u64,
    /// Milliseconds that a message may take; later ones overtake earlier ones.
    pub delay_ms: u64,
    /// Of epochs, those in which some see an older justified checkpoint, whose votes surround earlier ones.
    pub disputed: u64,
    /// Of instances of consensus, those whose first round all but one node decide without: it alone hears the votes.
    pub starved: u64,
}

/// A world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Nodes of the cluster.
    pub nodes: usize,
    /// Nodes that lie, the last ones: each is two nodes with one key, and worse.
    pub liars: usize,
    /// How often trouble comes.
    pub acts: u64,
    /// How signatures are made.
    pub signatures: Signatures,
    /// The first epoch of Electra and Fulu, counted from the first epoch with duties; Bellatrix before.
    pub electra: u64,
    /// Whose blocks are taken.
    pub builders: Builders,
    /// Milliseconds by which clocks are wrong, at most, either way.
    pub skew_ms: u64,
    /// Parts in a million by which clocks go wrong, at most, either way.
    pub drift_ppm: u64,
    /// The node whose validator client signs anything.
    pub reckless: Option<(usize, First)>,
    /// Whether nodes are away while duties are demanded: as many as the cluster can do without.
    pub absent: bool,
    /// Whether one node is of an older version, so that the cluster agrees on what that one can do.
    pub old: bool,
    /// The epoch in which the last validator becomes active, counted from the first epoch with duties.
    pub joins: u64,
    /// The epoch from which on the last but one is none any more, counted likewise; none where it stays.
    pub leaves: Option<u64>,
    /// What goes wrong.
    pub trouble: Trouble,
    /// What the store of shares does.
    pub shares: Shares,
}

impl Trouble {
    /// None.
    pub const NONE: Trouble = Trouble {
        crashes: 0,
        partitions: 0,
        clocks_set: 0,
        reorgs: 0,
        lost: 0,
        doubled: 0,
        unanswered: 0,
        unwritten: 0,
        slow: 0,
        delay_ms: 50,
        disputed: 0,
        starved: 0,
    };

    fn draw(dice: &mut Dice) -> Trouble {
        let mut some = |of_hundred: u64, most: u64| match dice.happens(of_hundred) {
            true => 1 + dice.below(most),
            false => 0,
        };
        Trouble {
            crashes: some(70, 4),
            partitions: some(60, 3),
            clocks_set: some(40, 2),
            reorgs: some(60, 3),
            lost: some(70, 30),
            doubled: some(70, 20),
            unanswered: some(60, 30),
            unwritten: some(50, 25),
            slow: some(80, 25),
            delay_ms: 20 + some(90, 1_500),
            disputed: some(40, 80),
            starved: some(40, 60),
        }
    }
}

impl Setting {
    /// Nothing goes wrong.
    #[must_use]
    pub fn calm(nodes: usize) -> Setting {
        Setting {
            nodes,
            liars: 0,
            acts: 1,
            signatures: Signatures::Real,
            electra: 0,
            builders: Builders::Off,
            skew_ms: 0,
            drift_ppm: 0,
            reckless: None,
            absent: false,
            old: false,
            joins: 0,
            leaves: None,
            trouble: Trouble::NONE,
            shares: Shares::Judged,
        }
    }

    /// What a seed says, for so many acts.
    #[must_use]
    pub fn of(seed: u64, acts: u64) -> Setting {
        const NODES: [usize; 16] = [4, 3, 4, 5, 4, 6, 7, 4, 3, 10, 4, 5, 3, 4, 6, 4];
        let mut dice = Dice::of(seed, 1);
        let nodes = NODES[usize::try_from(seed % 16).unwrap_or(0)];
        let most_liars = (nodes as u64 - 1) / 3;
        let liars = if dice.happens(50) { dice.below(most_liars + 1) } else { 0 };
        let first = if dice.happens(50) { First::Truth } else { First::Lie };
        Setting {
            nodes,
            liars: usize::try_from(liars).unwrap_or(0),
            acts,
            // Real signatures are most of the time that a world takes: one in 256 shows that the cheap ones hide nothing.
            signatures: if seed % 256 == 2 { Signatures::Real } else { Signatures::Cheap },
            electra: if dice.happens(25) { dice.below(ACT * acts) } else { 0 },
            builders: [Builders::Off, Builders::All, Builders::Some][dice.index(3)],
            skew_ms: if dice.happens(70) { dice.below(501) } else { 0 },
            drift_ppm: if dice.happens(40) { dice.below(40) } else { 0 },
            reckless: dice.happens(30).then_some((0, first)),
            absent: dice.happens(40),
            old: dice.happens(10),
            joins: if dice.happens(30) { dice.below(ACT * acts) } else { 0 },
            leaves: if dice.happens(30) { Some(dice.below(ACT * acts)) } else { None },
            trouble: if dice.happens(5) { Trouble::NONE } else { Trouble::draw(&mut dice) },
            shares: Shares::Judged,
        }
    }

    /// Nodes that decide, and shares that sign.
    #[must_use]
    pub fn quorum(&self) -> usize {
        (self.nodes * 2).div_ceil(3)
    }

    /// How many more nodes the cluster can do without.
    pub(crate) fn spare(&self) -> usize {
        let gone = self.liars + usize::from(self.reckless.is_some());
        (self.nodes - self.quorum()).saturating_sub(gone)
    }

    /// Whether a quorum of honest nodes is there at all.
    pub(crate) fn has_quorum(&self) -> bool {
        self.liars + usize::from(self.reckless.is_some()) <= self.nodes - self.quorum()
    }
}
