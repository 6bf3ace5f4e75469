//! Partial signatures from and to peers, as messages.

use std::collections::BTreeMap;

use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::domain::Chain;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::signed::{ParSigned, SignedData};
use coxswain_dv_eth::sync::SUBCOMMITTEES;
use coxswain_dv_eth::time::Time;
use coxswain_dv_wire::message;
use coxswain_dv_wire::parsigex::{ParSigExMsg, ParSignedData};
use coxswain_dv_wire::protocol::PARSIGEX;

use crate::cluster::Cluster;
use crate::combine::Check;

/// Most signatures of one message. Others check them one by one, at up to 9 ms each, and drop what takes them 5 s.
const PER_MESSAGE: usize = 64;

/// A partial signature, whose, and what shows that it is good.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) duty: Duty,
    pub(crate) key: Bytes48,
    pub(crate) partial: ParSigned,
    pub(crate) checks: Vec<Check>,
}

/// Why a peer's message is dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Wire(#[from] message::WireError),
    #[error("{number} is no type of a duty")]
    Kind { number: i32 },
    #[error("the duty {duty} is too far ahead of the clock")]
    Ahead { duty: Duty },
    #[error("it has no signatures")]
    Nothing,
    #[error("it has {found} signatures, and the cluster has {most} validators")]
    TooMany { found: usize, most: usize },
    #[error("{text:?} is no key of the cluster")]
    Key { text: String },
    #[error("{key}: there is no share {index}")]
    Share { key: Bytes48, index: i32 },
    #[error("{key}: {why}")]
    Payload { key: Bytes48, why: String },
    #[error("{key}: what is signed is not of the duty {duty}")]
    Bound { key: Bytes48, duty: Duty },
    #[error("{key}: signatures of the duty {duty} cannot be checked")]
    Unsignable { key: Bytes48, duty: Duty },
}

/// Whether something signed is of a duty, and of a subcommittee that there is: each is a place of its own.
pub(crate) fn fits(signed: &SignedData, duty: Duty, chain: &Chain) -> bool {
    signed.fits(&duty, &chain.clock) && signed.subcommittee() < SUBCOMMITTEES
}

/// What shows that a share has signed this.
pub(crate) fn check(cluster: &Cluster, chain: &Chain, key: &Bytes48, partial: &ParSigned) -> Option<Check> {
    let share = cluster.share_of(key, partial.share_index)?;
    let signable = partial.data.signable(&chain.clock)?;
    Some(Check { key: *share, root: chain.signing_root(&signable), signature: partial.data.signature() })
}

/// Reads a message of a peer. Shares of this node are left out: only its own client signs with them.
pub(crate) fn read(
    bytes: &[u8],
    cluster: &Cluster,
    chain: &Chain,
    now: Time,
) -> Result<(Duty, Vec<Item>), Refusal> {
    let message: ParSigExMsg = message::decode(bytes, PARSIGEX.max_bytes)?;
    let wire = message.duty.unwrap_or_default();
    let kind = DutyType::of(wire.r#type).ok_or(Refusal::Kind { number: wire.r#type })?;
    let duty = Duty::new(wire.slot, kind);
    if !duty.is_near(&chain.clock, now) {
        return Err(Refusal::Ahead { duty });
    }
    let set: BTreeMap<String, ParSignedData> = message.data_set.unwrap_or_default().into();
    let (found, most) = (set.len(), cluster.validators().len());
    if found == 0 {
        return Err(Refusal::Nothing);
    }
    if found > most {
        return Err(Refusal::TooMany { found, most });
    }
    let mut items = Vec::with_capacity(found);
    for (text, data) in set {
        if let Some(item) = read_one(&text, data, duty, (cluster, chain))? {
            items.push(item);
        }
    }
    Ok((duty, items))
}

fn read_one(
    text: &str,
    data: ParSignedData,
    duty: Duty,
    (cluster, chain): (&Cluster, &Chain),
) -> Result<Option<Item>, Refusal> {
    let key: Option<Bytes48> = text.parse().ok();
    let key = key.filter(|key| key.to_string() == text && cluster.by_key(key).is_some());
    let key = key.ok_or_else(|| Refusal::Key { text: text.chars().take(100).collect() })?;
    let index = data.share_idx;
    let share_index = u32::try_from(index).map_err(|_| Refusal::Share { key, index })?;
    if cluster.share_of(&key, share_index).is_none() {
        return Err(Refusal::Share { key, index });
    }
    let signed = SignedData::decode(duty.kind, &data.data)
        .map_err(|error| Refusal::Payload { key, why: error.to_string() })?;
    if !fits(&signed, duty, chain) {
        return Err(Refusal::Bound { key, duty });
    }
    if share_index == cluster.my_share() {
        return Ok(None);
    }
    let partial = ParSigned { data: signed, share_index };
    let check = check(cluster, chain, &key, &partial).ok_or(Refusal::Unsignable { key, duty })?;
    Ok(Some(Item { duty, key, partial, checks: vec![check] }))
}

/// Messages of one duty's signatures: a message has one signature of a validator, and not more than others can check.
pub(crate) fn write(duty: Duty, items: &[(Bytes48, ParSigned)]) -> Vec<Vec<u8>> {
    let mut subcommittees: BTreeMap<u64, Vec<&(Bytes48, ParSigned)>> = BTreeMap::new();
    for item in items {
        subcommittees.entry(item.1.data.subcommittee()).or_default().push(item);
    }
    let pieces = subcommittees.values().flat_map(|items| items.chunks(PER_MESSAGE));
    pieces.map(|piece| write_piece(duty, piece)).collect()
}

fn write_piece(duty: Duty, piece: &[&(Bytes48, ParSigned)]) -> Vec<u8> {
    let entry = |(key, partial): &&(Bytes48, ParSigned)| {
        let data = ParSignedData {
            data: partial.data.encode(),
            signature: partial.data.signature().0.to_vec(),
            share_idx: i32::try_from(partial.share_index).unwrap_or(0),
        };
        (key.to_string(), data)
    };
    let set: BTreeMap<String, ParSignedData> = piece.iter().map(entry).collect();
    let wire = coxswain_dv_wire::priority::Duty { slot: duty.slot, r#type: duty.kind.number() };
    message::encode(&ParSigExMsg { duty: Some(wire), data_set: Some(set.into()) })
}
