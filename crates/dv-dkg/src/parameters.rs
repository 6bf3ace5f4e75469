//! What a ceremony is about.

use coxswain_dv_crypto::bls::MAX_SHARES;

/// Why there can be no such ceremony.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// Fewer than two make no threshold, and nodes are numbered with a byte.
    #[error(
        "{nodes} nodes with threshold {threshold}: the threshold is from 2 to the number of nodes, and that at most 255"
    )]
    Threshold {
        /// Number of nodes.
        nodes: u64,
        /// Shares that sign.
        threshold: u64,
    },
    /// We are none of them.
    #[error("share index {share_index} is none of 1 to {nodes}")]
    ShareIndex {
        /// Number of nodes.
        nodes: u64,
        /// Ours.
        share_index: u64,
    },
    /// None, or too many.
    #[error("a ceremony makes from 1 to {MAX_VALIDATORS} validators, not {validators}")]
    Validators {
        /// How many were asked for.
        validators: usize,
    },
}

/// Most validators of one ceremony: those that a definition may hold.
pub const MAX_VALIDATORS: usize = 65_536;

/// What all nodes agreed on, and who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    pub(crate) nodes: u8,
    pub(crate) threshold: u8,
    pub(crate) share_index: u8,
    pub(crate) validators: usize,
}

impl Parameters {
    /// Checks that such a ceremony can be.
    ///
    /// # Errors
    /// The threshold is not from 2 to the number of nodes, the index not from 1 to it, or there are no validators or
    /// more than [`MAX_VALIDATORS`].
    pub fn new(
        nodes: u64,
        threshold: u64,
        share_index: u64,
        validators: usize,
    ) -> Result<Self, ParameterError> {
        let small = |number: u64| u8::try_from(number).ok();
        let threshold_is_good = (2..=nodes).contains(&threshold) && nodes <= MAX_SHARES;
        let (Some(nodes_small), Some(threshold_small), true) =
            (small(nodes), small(threshold), threshold_is_good)
        else {
            return Err(ParameterError::Threshold { nodes, threshold });
        };
        if !(1..=nodes).contains(&share_index) {
            return Err(ParameterError::ShareIndex { nodes, share_index });
        }
        if !(1..=MAX_VALIDATORS).contains(&validators) {
            return Err(ParameterError::Validators { validators });
        }
        let share_index = small(share_index).unwrap_or(nodes_small);
        Ok(Self { nodes: nodes_small, threshold: threshold_small, share_index, validators })
    }

    /// Our own share index.
    #[must_use]
    pub fn share_index(&self) -> u64 {
        self.share_index.into()
    }

    /// The share indices of all others, ascending.
    pub fn peers(&self) -> impl Iterator<Item = u64> + use<> {
        let own = self.share_index;
        (1..=self.nodes).filter(move |index| *index != own).map(u64::from)
    }
}
