//! Signed messages in tests.

use coxswain_dv_eth::duty::Duty;
use coxswain_dv_qbft::message::Kind;
use coxswain_dv_wire::message::encode;
use coxswain_dv_wire::priority;
use coxswain_dv_wire::qbft::{QbftConsensusMsg, QbftMsg};
use coxswain_dv_wire::unsigned::value_root;
use coxswain_dv_wire::well_known::Any;

use crate::node::key;

/// A message of a node without its signature.
pub(crate) fn plain(kind: Kind, duty: Duty, source: usize, round: i64, value: Option<&Any>) -> QbftMsg {
    let root = value.map_or([0; 32], |value| value_root(value).expect("a root"));
    QbftMsg {
        r#type: kind.number(),
        duty: Some(priority::Duty { slot: duty.slot, r#type: duty.kind.number() }),
        peer_idx: i64::try_from(source).expect("small"),
        round,
        prepared_round: 0,
        signature: Vec::new(),
        value_hash: root.to_vec(),
        prepared_value_hash: vec![0; 32],
    }
}

/// The same with the signature of the node that it names, or of node 0.
pub(crate) fn signed(mut message: QbftMsg) -> QbftMsg {
    let source = usize::try_from(message.peer_idx).unwrap_or(0);
    message.signature = key(source).sign(&message.signing_root()).to_vec();
    message
}

/// All of it.
pub(crate) fn whole(message: QbftMsg, justification: Vec<QbftMsg>, values: Vec<Any>) -> Vec<u8> {
    encode(&QbftConsensusMsg { msg: Some(message), justification, values })
}
