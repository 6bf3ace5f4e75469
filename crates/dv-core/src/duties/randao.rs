//! Randomness of blocks: it goes into the block, not to the chain.

use coxswain_dv_eth::duty::DutyType;

use super::Kind;

pub(crate) struct Randao;

impl Kind for Randao {
    fn duty_type(&self) -> DutyType {
        DutyType::Randao
    }
}
