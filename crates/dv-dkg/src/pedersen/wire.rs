//! Messages of the wire to plain values and back. What has no value of this shape is as if it had not come: that is
//! what others make of it, whose readers fail on it.

use coxswain_dv_crypto::bls::{BlsError, Object, PUBLIC_LEN, Signature};
use coxswain_dv_wire::pedersen::{
    NodePubKeyMessage, PedersenDeal, PedersenDealBundle, PedersenJustification, PedersenJustificationBundle,
    PedersenResponse, PedersenResponseBundle, ValidatorPubKeyShareMessage,
};
use zeroize::Zeroizing;

use super::bundle::{Deals, Justification, Justifications, Responses, Signed, Verdict};
use super::{AnyBundle, Event, NodeKey, PedersenError, ShareKey};

fn exact<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

impl Event {
    /// The key of a node for this ceremony; none where the message is of no ceremony.
    ///
    /// # Errors
    /// The key has another length than it must have.
    pub fn node_key(from: u32, message: &NodePubKeyMessage) -> Result<Option<Self>, PedersenError> {
        let Some(session) = exact(&message.session_id) else { return Ok(None) };
        let length = message.public_key.len();
        let why = BlsError::Length { object: Object::PublicKey, expected: PUBLIC_LEN, length };
        let key = exact(&message.public_key).ok_or(PedersenError::NodeKey { from, why })?;
        Ok(Some(Self::NodeKey { from, message: NodeKey { session, key } }))
    }

    /// The public share of a node after a run; none where the message is of no ceremony.
    #[must_use]
    pub fn share_key(from: u32, message: &ValidatorPubKeyShareMessage) -> Option<Self> {
        let session = exact(&message.session_id)?;
        // One of another length is none, and that is an error where one must be.
        Some(Self::ShareKey {
            from,
            message: ShareKey { session, public_share: exact(&message.public_key_share) },
        })
    }

    /// The deals of a node.
    #[must_use]
    pub fn deals(from: u32, message: &PedersenDealBundle) -> Option<Self> {
        // A ciphertext of another length is of no use to its reader alone.
        let deal = |deal: &PedersenDeal| (deal.share_index, deal.encrypted_share.clone());
        let bundle = Deals {
            dealer: message.dealer_index,
            commitments: message.public.iter().map(|point| exact(point)).collect::<Option<_>>()?,
            deals: message.deals.iter().map(deal).collect(),
            session: exact(&message.session_id)?,
        };
        let signature = Signature::from_bytes(&message.signature).ok()?;
        Some(Self::Bundle { from, bundle: AnyBundle::Deals(Signed { bundle, signature }) })
    }

    /// The responses of a node.
    #[must_use]
    pub fn responses(from: u32, message: &PedersenResponseBundle) -> Option<Self> {
        let response = |response: &PedersenResponse| {
            let verdict = if response.status { Verdict::Good } else { Verdict::Complaint };
            (response.dealer_index, verdict)
        };
        let bundle = Responses {
            holder: message.share_index,
            responses: message.responses.iter().map(response).collect(),
            session: exact(&message.session_id)?,
        };
        let signature = Signature::from_bytes(&message.signature).ok()?;
        Some(Self::Bundle { from, bundle: AnyBundle::Responses(Signed { bundle, signature }) })
    }

    /// The justifications of a node.
    #[must_use]
    pub fn justifications(from: u32, message: &PedersenJustificationBundle) -> Option<Self> {
        let justification = |entry: &PedersenJustification| {
            let share = Zeroizing::new(exact(&entry.share)?);
            Some(Justification { holder: entry.share_index, share })
        };
        let bundle = Justifications {
            dealer: message.dealer_index,
            justifications: message.justifications.iter().map(justification).collect::<Option<_>>()?,
            session: exact(&message.session_id)?,
        };
        let signature = Signature::from_bytes(&message.signature).ok()?;
        Some(Self::Bundle { from, bundle: AnyBundle::Justifications(Signed { bundle, signature }) })
    }
}

impl From<&NodeKey> for NodePubKeyMessage {
    fn from(key: &NodeKey) -> Self {
        Self { session_id: key.session.to_vec(), public_key: key.key.to_vec(), shares: None }
    }
}

impl From<&ShareKey> for ValidatorPubKeyShareMessage {
    fn from(key: &ShareKey) -> Self {
        let public_key_share = key.public_share.map(Vec::from).unwrap_or_default();
        Self { session_id: key.session.to_vec(), public_key_share }
    }
}

impl From<&Signed<Deals>> for PedersenDealBundle {
    fn from(signed: &Signed<Deals>) -> Self {
        let deal = |(holder, sealed): &(u32, Vec<u8>)| PedersenDeal {
            share_index: *holder,
            encrypted_share: sealed.clone(),
        };
        Self {
            dealer_index: signed.bundle.dealer,
            deals: signed.bundle.deals.iter().map(deal).collect(),
            public: signed.bundle.commitments.iter().map(|point| point.to_vec()).collect(),
            session_id: signed.bundle.session.to_vec(),
            signature: signed.signature.to_bytes().to_vec(),
        }
    }
}

impl From<&Signed<Responses>> for PedersenResponseBundle {
    fn from(signed: &Signed<Responses>) -> Self {
        let response = |(dealer, verdict): &(u32, Verdict)| PedersenResponse {
            dealer_index: *dealer,
            status: *verdict == Verdict::Good,
        };
        Self {
            share_index: signed.bundle.holder,
            responses: signed.bundle.responses.iter().map(response).collect(),
            session_id: signed.bundle.session.to_vec(),
            signature: signed.signature.to_bytes().to_vec(),
        }
    }
}

impl From<&Signed<Justifications>> for PedersenJustificationBundle {
    fn from(signed: &Signed<Justifications>) -> Self {
        let justification = |entry: &Justification| PedersenJustification {
            share_index: entry.holder,
            share: entry.share.to_vec(),
        };
        Self {
            dealer_index: signed.bundle.dealer,
            justifications: signed.bundle.justifications.iter().map(justification).collect(),
            session_id: signed.bundle.session.to_vec(),
            signature: signed.signature.to_bytes().to_vec(),
        }
    }
}
