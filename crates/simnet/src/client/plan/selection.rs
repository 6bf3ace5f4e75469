//! Who aggregates: a lottery that proofs decide.

use coxswain_dv_eth::bytes::Bytes96;
use coxswain_dv_eth::sync::{COMMITTEE_SIZE, SUBCOMMITTEES};
use sha2::{Digest as _, Sha256};

/// `TARGET_AGGREGATORS_PER_COMMITTEE` of the consensus specifications.
const TARGET_AGGREGATORS: u64 = 16;
/// `TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE` of the consensus specifications.
const TARGET_SYNC_AGGREGATORS: u64 = 16;

fn wins(proof: &Bytes96, one_of: u64) -> bool {
    let digest = Sha256::digest(proof.0);
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first).is_multiple_of(one_of.max(1))
}

/// `is_aggregator` of the consensus specifications.
#[must_use]
pub fn is_aggregator(committee_length: u64, proof: &Bytes96) -> bool {
    wins(proof, committee_length / TARGET_AGGREGATORS)
}

/// `is_sync_committee_aggregator` of the consensus specifications.
#[must_use]
pub fn is_sync_aggregator(proof: &Bytes96) -> bool {
    wins(proof, COMMITTEE_SIZE / SUBCOMMITTEES / TARGET_SYNC_AGGREGATORS)
}

/// The subcommittees of places in the committee; ascending, each once. Places beyond the committee are in none.
#[must_use]
pub fn subcommittees(places: &[u64]) -> Vec<u64> {
    let mut found: Vec<u64> = places
        .iter()
        .filter(|place| **place < COMMITTEE_SIZE)
        .map(|place| place / (COMMITTEE_SIZE / SUBCOMMITTEES))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_committees_aggregate_always() {
        for length in 0..32 {
            assert!(is_aggregator(length, &[7; 96].into()), "{length}");
        }
    }

    /// One of eight of a subcommittee, and one of 100 in a committee of 1,600.
    #[test]
    fn large_committees_draw_lots() {
        let proofs = (0..4000_u32).map(|n| {
            let mut proof = [0; 96];
            proof[..4].copy_from_slice(&n.to_le_bytes());
            Bytes96::from(proof)
        });
        let sync = proofs.clone().filter(is_sync_aggregator).count();
        let committee = proofs.filter(|proof| is_aggregator(1600, proof)).count();
        assert!((400..600).contains(&sync), "{sync}");
        assert!((20..65).contains(&committee), "{committee}");
    }

    #[test]
    fn places_are_in_subcommittees() {
        assert_eq!(subcommittees(&[511, 0, 127, 128, 256, 600]), [0, 1, 2, 3]);
        assert_eq!(subcommittees(&[]), [0; 0]);
    }
}
