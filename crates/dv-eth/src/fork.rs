//! Forks: their names, and when a chain takes which version.

use std::fmt;

use crate::bytes::Bytes4;

/// A fork. Its number is what the wire and JSON of duties have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u64)]
pub enum Fork {
    /// The first.
    Phase0 = 0,
    /// Sync committees.
    Altair = 1,
    /// Execution payloads.
    Bellatrix = 2,
    /// Withdrawals.
    Capella = 3,
    /// Blobs.
    Deneb = 4,
    /// Attestations of several committees.
    Electra = 5,
    /// Cells of blobs.
    Fulu = 6,
}

/// By number.
const NAMES: [(Fork, &str); 7] = [
    (Fork::Phase0, "phase0"),
    (Fork::Altair, "altair"),
    (Fork::Bellatrix, "bellatrix"),
    (Fork::Capella, "capella"),
    (Fork::Deneb, "deneb"),
    (Fork::Electra, "electra"),
    (Fork::Fulu, "fulu"),
];

impl Fork {
    /// All of them, the first one first.
    pub fn all() -> impl DoubleEndedIterator<Item = Fork> {
        NAMES.iter().map(|(fork, _)| *fork)
    }

    /// The fork of a number.
    #[must_use]
    pub fn of(number: u64) -> Option<Fork> {
        Fork::all().find(|fork| *fork as u64 == number)
    }

    /// The fork of a name, as `Eth-Consensus-Version` has it.
    #[must_use]
    pub fn named(name: &str) -> Option<Fork> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(fork, _)| *fork)
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u64 {
        self as u64
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// Whether attestations are those of Electra.
    #[must_use]
    pub fn has_electra_attestations(self) -> bool {
        self >= Fork::Electra
    }
}

impl fmt::Display for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An epoch that never comes.
pub const FAR_FUTURE: u64 = u64::MAX;

/// When a chain takes which fork, as its configuration has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forks {
    rows: [(u64, Bytes4); 7],
    /// What exits are bound to, where it is known from elsewhere.
    exits: Option<Bytes4>,
}

impl Forks {
    /// By the number of the fork: from which epoch on, and its version. [`FAR_FUTURE`] for one that is not planned.
    #[must_use]
    pub fn new(rows: [(u64, Bytes4); 7]) -> Forks {
        Forks { rows, exits: None }
    }

    /// The same, where the version that exits are bound to (EIP-7044) is known from elsewhere.
    #[must_use]
    pub fn with_exits_of(self, capella: Bytes4) -> Forks {
        Forks { exits: Some(capella), ..self }
    }

    /// The version that exits are bound to: Capella's. None where nobody knows it: a chain without Capella has zeros in
    /// its place.
    #[must_use]
    pub fn of_exits(&self) -> Option<Bytes4> {
        let planned = Some(self.version(Fork::Capella)).filter(|version| *version != Bytes4::default());
        self.exits.or(planned)
    }

    /// The fork of an epoch: the latest one that has begun.
    #[must_use]
    pub fn at(&self, epoch: u64) -> Fork {
        Fork::all().rev().find(|fork| self.rows[*fork as usize].0 <= epoch).unwrap_or(Fork::Phase0)
    }

    /// The version of a fork.
    #[must_use]
    pub fn version(&self, fork: Fork) -> Bytes4 {
        self.rows[fork as usize].1
    }

    /// The first epoch of a fork.
    #[must_use]
    pub fn first_epoch(&self, fork: Fork) -> u64 {
        self.rows[fork as usize].0
    }

    /// The version at an epoch.
    #[must_use]
    pub fn version_at(&self, epoch: u64) -> Bytes4 {
        self.version(self.at(epoch))
    }
}
