//! Who aggregates: validators whose selection proof draws a winning number, and which subcommittees they are in.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::bytes::Bytes96;
use crate::sync::{COMMITTEE_SIZE, SUBCOMMITTEES};

/// `TARGET_AGGREGATORS_PER_COMMITTEE` of the consensus specifications.
pub const TARGET_AGGREGATORS: u64 = 16;
/// `TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE` of the consensus specifications.
pub const TARGET_SYNC_AGGREGATORS: u64 = 16;
/// Members of a subcommittee.
const SUBCOMMITTEE_SIZE: u64 = COMMITTEE_SIZE / SUBCOMMITTEES;

/// Whether a member of a committee of this length aggregates its attestations (`is_aggregator` of the consensus
/// specifications). The proof is the group's, not a share's.
#[must_use]
pub fn is_aggregator(committee_length: u64, proof: &Bytes96) -> bool {
    wins(proof, committee_length / TARGET_AGGREGATORS)
}

/// Whether a member of a subcommittee aggregates its votes (`is_sync_committee_aggregator` of the consensus
/// specifications). The proof is the group's, not a share's.
#[must_use]
pub fn is_sync_aggregator(proof: &Bytes96) -> bool {
    wins(proof, SUBCOMMITTEE_SIZE / TARGET_SYNC_AGGREGATORS)
}

/// One in `modulo` proofs wins, and every one where there is no choice.
fn wins(proof: &Bytes96, modulo: u64) -> bool {
    let digest: [u8; 32] = Sha256::digest(proof.0).into();
    let number = digest.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    number.is_multiple_of(modulo.max(1))
}

/// The subcommittees of places in the sync committee, ascending, each once. Places that no committee has are left out.
#[must_use]
pub fn subcommittees(positions: &[u64]) -> BTreeSet<u64> {
    positions.iter().filter(|at| **at < COMMITTEE_SIZE).map(|at| at / SUBCOMMITTEE_SIZE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_in_four_subcommittees() {
        let found = |positions: &[u64]| subcommittees(positions).into_iter().collect::<Vec<_>>();
        assert_eq!(found(&[511, 0, 127, 128, 1]), [0, 1, 3]);
        assert_eq!(found(&[256, 255]), [1, 2]);
        assert!(found(&[]).is_empty());
        assert!(found(&[512, u64::MAX]).is_empty());
    }

    #[test]
    fn small_committees_have_no_losers() {
        for length in 0..32 {
            assert!((0..=255).all(|byte| is_aggregator(length, &crate::Bytes([byte; 96]))), "{length}");
        }
        let winners = (0..=255).filter(|byte| is_aggregator(64, &crate::Bytes([*byte; 96]))).count();
        assert!((32..96).contains(&winners), "one in four: {winners}");
    }
}
