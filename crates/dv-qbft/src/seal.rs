//! Messages in their signed form: what goes over the wire, and back.
//!
//! A signed message is kept as the bytes that were received: it goes along with others as their justification, and fields
//! of later versions, which its signature covers, must not get lost on the way.

use std::borrow::Cow;
use std::sync::Arc;

use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_types::Root;
use coxswain_dv_wire::canonical::{Fields, bytes_len, put_bytes};
use coxswain_dv_wire::message::{WireError, WireMessage, decode, encode};
use coxswain_dv_wire::qbft::{QbftConsensusMsg, QbftMsg};
use coxswain_dv_wire::unsigned::qbft_signing_root;
use coxswain_dv_wire::well_known::Any;
use coxswain_dv_wire::{priority, protocol};

use crate::message::{Draft, Kind, Message};
use crate::refusal::Refusal;
use crate::seals::Seals;
use crate::value::Value;

/// Bytes of a message with its signature: `core.corepb.v1.QBFTMsg`.
pub type Sealed = Arc<[u8]>;
/// A message with its signed form.
pub type SealedMessage = Message<Sealed>;

/// Numbers of fields of `core.corepb.v1.QBFTConsensusMsg`.
const MSG: u64 = 1;
const JUSTIFICATION: u64 = 2;
const VALUES: u64 = 3;

/// Numbers of fields of `google.protobuf.Any`.
const ANY_TYPE: u64 = 1;
const ANY_VALUE: u64 = 2;

/// Bytes of a signed message: four times what one has, so that there is room for fields of later versions. Of these many are
/// kept for each peer, and they count nowhere else.
pub(crate) const MAX_MESSAGE: usize = 1024;

/// A message and the values that it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The message.
    pub message: Arc<SealedMessage>,
    /// Values, each once.
    pub values: Vec<Arc<Value>>,
}

impl Envelope {
    /// The bytes that go over the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        put_bytes(&mut out, MSG, &self.message.sealed);
        for part in &self.message.justification {
            put_bytes(&mut out, JUSTIFICATION, &part.sealed);
        }
        for value in &self.values {
            put_bytes(&mut out, VALUES, &encode(value.any()));
        }
        out
    }

    /// How many bytes [`Envelope::encode`] gives.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let parts = self.message.justification.iter().map(|part| bytes_len(part.sealed.len()));
        let values = self.values.iter().map(|value| bytes_len(any_len(value.any())));
        let rest: usize = parts.chain(values).fold(0, usize::saturating_add);
        bytes_len(self.message.sealed.len()).saturating_add(rest)
    }
}

fn any_len(any: &Any) -> usize {
    let part = |length: usize| if length == 0 { 0 } else { bytes_len(length) };
    part(any.type_url.len()).saturating_add(part(any.value.len()))
}

/// Type and value of an `Any`, without a copy: a megabyte that is known already comes along with every message.
pub(crate) fn any_parts(bytes: &[u8]) -> Result<(&str, &[u8]), WireError> {
    let wrong = |why| WireError::Value { message: Any::NAME, why };
    let (mut type_url, mut value) = (&[][..], &[][..]);
    let mut fields = Fields::of(bytes);
    for field in fields.by_ref().filter(|field| field.is_bytes()) {
        match field.number {
            ANY_TYPE => type_url = field.payload,
            ANY_VALUE => value = field.payload,
            _ => {}
        }
    }
    if fields.is_broken() {
        return Err(wrong("its bytes end inside a field"));
    }
    let type_url = std::str::from_utf8(type_url).map_err(|_| wrong("its type is no text"))?;
    Ok((type_url, value))
}

/// Roots that a message and what justifies it mean, each once, in this order.
pub(crate) fn meant_roots(message: &SealedMessage) -> Vec<Root> {
    let mut roots = Vec::new();
    let own = [message.value, message.prepared_value];
    let others = message.justification.iter().flat_map(|part| [part.value, part.prepared_value]);
    for root in own.into_iter().chain(others).flatten() {
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    roots
}

/// Signs a draft of node `me`.
pub(crate) fn seal(draft: Draft<Sealed>, duty: Duty, me: usize, seals: &dyn Seals) -> SealedMessage {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let mut message = QbftMsg {
        r#type: draft.kind.number(),
        duty: Some(priority::Duty { slot: duty.slot, r#type: duty.kind.number() }),
        peer_idx: i64::try_from(me).unwrap_or(i64::MAX),
        round: number(draft.round),
        prepared_round: number(draft.prepared_round),
        signature: Vec::new(),
        value_hash: draft.value.unwrap_or_default().to_vec(),
        prepared_value_hash: draft.prepared_value.unwrap_or_default().to_vec(),
    };
    message.signature = seals.sign(&message.signing_root()).to_vec();
    draft.seal(me, encode(&message).into())
}

/// A consensus message in its parts, none of them checked.
pub(crate) struct Parts<'a> {
    /// Bytes of the message. One in pieces is what its pieces are one after another.
    pub(crate) message: Cow<'a, [u8]>,
    /// Bytes of the first messages that justify it, one more than may be.
    pub(crate) justification: Vec<&'a [u8]>,
    /// How many there are.
    pub(crate) justifications: usize,
    /// Bytes of the first values, one more than may be.
    pub(crate) values: Vec<&'a [u8]>,
    /// How many there are.
    pub(crate) values_count: usize,
}

/// Takes a consensus message apart. Of what there may be at most so many, it keeps one more.
pub(crate) fn split(bytes: &[u8], most_justifications: usize) -> Result<Parts<'_>, WireError> {
    let name = QbftConsensusMsg::NAME;
    if bytes.len() > protocol::QBFT.max_bytes {
        let limit = protocol::QBFT.max_bytes;
        return Err(WireError::TooLong { message: name, length: bytes.len(), limit });
    }
    let mut message: Option<Cow<'_, [u8]>> = None;
    let (mut justification, mut values) = (Vec::new(), Vec::new());
    let (mut justifications, mut values_count) = (0_usize, 0_usize);
    let mut fields = Fields::of(bytes);
    for field in fields.by_ref().filter(|field| field.is_bytes()) {
        match field.number {
            MSG => {
                let so_far = message.as_ref().map_or(0, |message| message.len());
                check_length(so_far.saturating_add(field.payload.len()))?;
                match &mut message {
                    Some(piece) => piece.to_mut().extend_from_slice(field.payload),
                    None => message = Some(Cow::Borrowed(field.payload)),
                }
            }
            JUSTIFICATION => {
                check_length(field.payload.len())?;
                justifications = justifications.saturating_add(1);
                if justification.len() <= most_justifications {
                    justification.push(field.payload);
                }
            }
            VALUES => {
                values_count = values_count.saturating_add(1);
                if values.len() <= most_values(most_justifications) {
                    values.push(field.payload);
                }
            }
            _ => {}
        }
    }
    if fields.is_broken() {
        return Err(WireError::Value { message: name, why: "its bytes end inside a field" });
    }
    let message = message.ok_or(WireError::Missing { message: name, field: "msg".to_owned() })?;
    Ok(Parts { message, justification, justifications, values, values_count })
}

fn check_length(length: usize) -> Result<(), WireError> {
    match length > MAX_MESSAGE {
        true => Err(WireError::TooLong { message: QbftMsg::NAME, length, limit: MAX_MESSAGE }),
        false => Ok(()),
    }
}

/// How many values may come along with so many justifications: two for each message.
pub(crate) fn most_values(justifications: usize) -> usize {
    justifications.saturating_add(1).saturating_mul(2)
}

/// Reads the bytes of a message; its fields may be anything.
pub(crate) fn read(bytes: &[u8]) -> Result<QbftMsg, WireError> {
    decode(bytes, bytes.len())
}

/// Checks the fields of a message: it, its duty and its source.
pub(crate) fn check(message: &QbftMsg, nodes: usize) -> Result<(Duty, SealedMessage), Refusal> {
    let number = message.r#type;
    let kind = Kind::of(number).ok_or(Refusal::Kind { number })?;
    let duty = message.duty.unwrap_or_default();
    let number = duty.r#type;
    let duty_type = DutyType::of(number).ok_or(Refusal::DutyType { number })?;
    let round = u64::try_from(message.round).ok().filter(|round| *round > 0);
    let round = round.ok_or(Refusal::Round { number: message.round })?;
    let prepared_round = u64::try_from(message.prepared_round)
        .map_err(|_| Refusal::Round { number: message.prepared_round })?;
    let source = usize::try_from(message.peer_idx).ok().filter(|source| *source < nodes);
    let source = source.ok_or(Refusal::Source { number: message.peer_idx })?;
    let checked = Message {
        kind,
        source,
        round,
        value: root(&message.value_hash),
        prepared_round,
        prepared_value: root(&message.prepared_value_hash),
        justification: Vec::new(),
        sealed: Arc::from([]),
    };
    Ok((Duty::new(duty.slot, duty_type), checked))
}

/// A root on the wire: another length, like zeros, is none.
fn root(bytes: &[u8]) -> Option<Root> {
    Root::try_from(bytes).ok().filter(|root| *root != Root::default())
}

/// Checks the signature of a message: its source's.
pub(crate) fn verify(
    bytes: &[u8],
    signature: &[u8],
    source: usize,
    seals: &dyn Seals,
) -> Result<(), Refusal> {
    let root = qbft_signing_root(bytes)?;
    seals.check(source, &root, signature).map_err(|source| Refusal::Signature { source })
}
