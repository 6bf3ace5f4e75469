//! Ids of traces and of spans.

use coxswain_dv_eth::duty::Duty;
use rand::Rng as _;
use rand::rngs::SmallRng;

/// Of FNV-1a with 128 bits (draft-eastlake-fnv).
const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// Makes ids.
#[derive(Debug)]
pub(super) struct Ids {
    lock_hash: Vec<u8>,
    /// Ids need to differ, and keep no secret.
    random: SmallRng,
}

/// The id of a span; never 0, which means none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SpanId(pub(super) u64);

impl Ids {
    pub(super) fn new(lock_hash: Vec<u8>, random: SmallRng) -> Ids {
        Ids { lock_hash, random }
    }

    /// The trace of a duty: the same on every node of the cluster, and charon's.
    pub(super) fn trace(&self, duty: Duty) -> u128 {
        let text = duty.to_string();
        let step = |hash: u128, byte: &u8| (hash ^ u128::from(*byte)).wrapping_mul(PRIME);
        self.lock_hash.iter().chain(text.as_bytes()).fold(OFFSET, step)
    }

    pub(super) fn span(&mut self) -> SpanId {
        SpanId(self.random.next_u64().max(1))
    }
}

#[cfg(test)]
mod tests {
    use coxswain_dv_eth::duty::DutyType;
    use rand::SeedableRng as _;

    use super::*;

    #[track_caller]
    fn check(slot: u64, kind: DutyType, expected: &str) {
        let ids = Ids::new((0..32).collect(), SmallRng::seed_from_u64(0));
        assert_eq!(format!("{:032x}", ids.trace(Duty::new(slot, kind))), expected);
    }

    #[test]
    fn traces_have_the_ids_that_the_cluster_expects() {
        check(1, DutyType::Attester, "5eab39b79644d9b9570ebcec0b959a2f");
        check(123, DutyType::Proposer, "597ad2050b3470127289a4bf87cc53c4");
        check(9_000_000, DutyType::SyncContribution, "f6e301275f2fbcbdd331ab28ff06e639");
    }
}
