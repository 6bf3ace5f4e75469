//! The nodes of a definition.

use std::collections::BTreeMap;

use coxswain_dv_crypto::k1::IdentityPublic;

use super::{Creator, Definition, Operator, Refused};
use crate::enr::{self, Enr, EnrError};
use crate::hash::HashError;
use crate::registration::OLD_GAS_LIMIT;

impl Definition {
    /// The records of its nodes, in the order of share indexes: those of all operators, each node once.
    ///
    /// # Errors
    /// When one cannot be read, is missing, or is there twice.
    pub fn nodes(&self) -> Result<Vec<Enr>, Refused> {
        if let Some(position) = self.operators.iter().position(|operator| operator.enr.is_empty()) {
            return Err(Refused::Enr { position, why: EnrError::NoRecord });
        }
        self.present_nodes()
    }

    /// The share index of the node with this key, from 1.
    pub fn share_index(&self, node: &IdentityPublic) -> Option<u64> {
        let is_it =
            |operator: &Operator| enr::parse(&operator.enr).is_ok_and(|record| record.public() == node);
        (1..).zip(&self.operators).find(|(_, operator)| is_it(operator)).map(|(index, _)| index)
    }

    /// Node records that are there can be read, and each node is there once.
    pub(super) fn check_nodes(&self) -> Result<(), Refused> {
        self.present_nodes().map(drop)
    }

    fn present_nodes(&self) -> Result<Vec<Enr>, Refused> {
        let mut seen = BTreeMap::new();
        let mut records = Vec::with_capacity(self.operators.len());
        for (position, operator) in self.operators.iter().enumerate().filter(|(_, o)| !o.enr.is_empty()) {
            let record = enr::parse(&operator.enr).map_err(|why| Refused::Enr { position, why })?;
            if let Some(first) = seen.insert(*record.public(), position) {
                return Err(Refused::SameNode { first, second: position });
            }
            records.push(record);
        }
        Ok(records)
    }

    /// The same with nodes in the places of its operators, and hashes computed anew: the config hash, and so the
    /// creator's signature, stays.
    ///
    /// # Errors
    /// When there are fewer or more nodes, two are the same, or an operator has an address.
    pub fn with_nodes(mut self, records: Vec<String>) -> Result<Definition, Refused> {
        if records.len() != self.operators.len() {
            return Err(Refused::Operators { operators: records.len() });
        }
        for (position, operator) in self.operators.iter().enumerate() {
            if !operator.address.is_empty() {
                return Err(Refused::OperatorAddress { position, address: operator.address.clone() });
            }
        }
        self.operators = records.into_iter().map(|enr| Operator { enr, ..Operator::default() }).collect();
        self.nodes()?;
        Ok(self.with_hashes()?)
    }

    /// The same signed by nobody, nodes staying, and hashes computed anew: so a ceremony leaves it that changes
    /// operators, shares or validators.
    ///
    /// # Errors
    /// When something in it cannot be hashed.
    pub fn without_signers(mut self) -> Result<Definition, HashError> {
        self.creator = Creator::default();
        for operator in &mut self.operators {
            *operator = Operator { enr: std::mem::take(&mut operator.enr), ..Operator::default() };
        }
        self.with_hashes()
    }

    /// The gas limit that registrations with builders have.
    pub fn gas_limit(&self) -> u64 {
        if self.target_gas_limit == 0 { OLD_GAS_LIMIT } else { self.target_gas_limit }
    }
}
