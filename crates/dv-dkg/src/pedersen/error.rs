//! Why a ceremony cannot go on. Nodes are named by their places, which count from 0.

use std::fmt;

use coxswain_dv_crypto::bls::BlsError;

use super::run::{Phase, RunError};

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// The keys of all nodes.
    NodeKeys,
    /// A phase of a run.
    Run {
        /// The validator, from 0.
        run: u32,
        /// Which of its phases.
        phase: Phase,
    },
    /// The public shares of all nodes after a run.
    ShareKeys {
        /// The validator, from 0.
        run: u32,
    },
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeKeys => f.write_str("the keys"),
            Self::ShareKeys { run } => write!(f, "the public shares of validator {run}"),
            Self::Run { run, phase } => {
                let what = match phase {
                    Phase::Deals => "deals",
                    Phase::Responses => "responses",
                    Phase::Justifications => "justifications",
                    Phase::Over => "end",
                };
                write!(f, "the {what} of validator {run}")
            }
        }
    }
}

/// Why a ceremony cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PedersenError {
    /// The key of a node is no point.
    #[error("node {from}: its key for this ceremony: {why}")]
    NodeKey {
        /// Whose.
        from: u32,
        /// What is wrong.
        why: BlsError,
    },
    /// What a node says of its share is not what the commitments say: it lies, or it saw other bundles than we.
    #[error(
        "node {from}: its public share of validator {run} does not fit the commitments that came here; it is wrong, or \
         a dealer told it other things than us"
    )]
    ShareKey {
        /// Whose.
        from: u32,
        /// The validator, from 0.
        run: u32,
    },
    /// The driver brought a message of someone who has no part in this.
    #[error("node {from} is no other node of this ceremony")]
    Stranger {
        /// Who it was.
        from: u32,
    },
    /// Time is over, and these nodes have not said what they had to.
    #[error("no longer waiting for {wait} of {}", list(missing))]
    Late {
        /// What was waited for.
        wait: Wait,
        /// Of whom.
        missing: Vec<u32>,
    },
    /// A run gives no key.
    #[error("validator {run}: {source}")]
    Run {
        /// The validator, from 0.
        run: u32,
        /// Why not.
        source: RunError,
    },
    /// A public share would be infinity: by chance, as good as never.
    #[error("validator {run}: {why}")]
    Share {
        /// The validator, from 0.
        run: u32,
        /// What is wrong.
        why: BlsError,
    },
}

impl PedersenError {
    /// The place of whose fault it is, where that is certain: a public share that does not fit may be that of a node
    /// that was lied to.
    #[must_use]
    pub fn culprit(&self) -> Option<u32> {
        match self {
            Self::NodeKey { from, .. } => Some(*from),
            Self::ShareKey { .. }
            | Self::Stranger { .. }
            | Self::Late { .. }
            | Self::Run { .. }
            | Self::Share { .. } => None,
        }
    }
}

fn list(nodes: &[u32]) -> String {
    nodes.iter().map(|node| format!("node {node}")).collect::<Vec<_>>().join(", ")
}
