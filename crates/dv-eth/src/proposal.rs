//! Blocks of any fork, whole with what their blobs need, or blinded.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use ssz::Encode as _;
use ssz_derive::Encode;

use crate::Root;
use crate::block::{
    BlindedBellatrix, BlindedCapella, BlindedDeneb, BlindedElectra, BlockAltair, BlockBellatrix,
    BlockCapella, BlockDeneb, BlockElectra, BlockPhase0, ContentsFulu, ContentsOf, SignedContentsFulu,
    SignedContentsOf,
};
use crate::bytes::{Bytes20, Bytes32, Bytes96};
use crate::codec::{self, CodecError};
use crate::fork::Fork;
use crate::operations::Signed;

/// Whether a block has its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// It has.
    Full,
    /// It has the payload's header only: a builder keeps the payload.
    Blinded,
}

/// As a flag has it: `Eth-Execution-Payload-Blinded`.
impl From<bool> for Form {
    fn from(blinded: bool) -> Form {
        if blinded { Form::Blinded } else { Form::Full }
    }
}

/// A block to be signed.
///
/// As SSZ and JSON it is what it contains: neither says of which fork it is, nor whether it is blinded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Encode)]
#[serde(untagged)]
#[ssz(enum_behaviour = "transparent")]
pub enum Proposal {
    /// Of phase 0.
    Phase0(BlockPhase0),
    /// Of Altair.
    Altair(BlockAltair),
    /// Of Bellatrix.
    Bellatrix(BlockBellatrix),
    /// Of Bellatrix, blinded.
    BlindedBellatrix(BlindedBellatrix),
    /// Of Capella.
    Capella(BlockCapella),
    /// Of Capella, blinded.
    BlindedCapella(BlindedCapella),
    /// Of Deneb.
    Deneb(ContentsOf<BlockDeneb>),
    /// Of Deneb, blinded.
    BlindedDeneb(BlindedDeneb),
    /// Of Electra.
    Electra(ContentsOf<BlockElectra>),
    /// Of Electra, blinded.
    BlindedElectra(BlindedElectra),
    /// Of Fulu.
    Fulu(ContentsFulu<BlockElectra>),
    /// Of Fulu, blinded.
    BlindedFulu(BlindedElectra),
}

/// A signed block.
///
/// As SSZ and JSON it is what it contains: neither says of which fork it is, nor whether it is blinded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Encode)]
#[serde(untagged)]
#[ssz(enum_behaviour = "transparent")]
pub enum SignedProposal {
    /// Of phase 0.
    Phase0(Signed<BlockPhase0>),
    /// Of Altair.
    Altair(Signed<BlockAltair>),
    /// Of Bellatrix.
    Bellatrix(Signed<BlockBellatrix>),
    /// Of Bellatrix, blinded.
    BlindedBellatrix(Signed<BlindedBellatrix>),
    /// Of Capella.
    Capella(Signed<BlockCapella>),
    /// Of Capella, blinded.
    BlindedCapella(Signed<BlindedCapella>),
    /// Of Deneb.
    Deneb(SignedContentsOf<BlockDeneb>),
    /// Of Deneb, blinded.
    BlindedDeneb(Signed<BlindedDeneb>),
    /// Of Electra.
    Electra(SignedContentsOf<BlockElectra>),
    /// Of Electra, blinded.
    BlindedElectra(Signed<BlindedElectra>),
    /// Of Fulu.
    Fulu(SignedContentsFulu<BlockElectra>),
    /// Of Fulu, blinded.
    BlindedFulu(Signed<BlindedElectra>),
}

/// What is said of a block of any fork.
macro_rules! each {
    ($on:expr, $block:ident => $what:expr, $contents:ident => $inner:expr, $type:ident) => {
        match $on {
            $type::Phase0($block) => $what,
            $type::Altair($block) => $what,
            $type::Bellatrix($block) => $what,
            $type::BlindedBellatrix($block) => $what,
            $type::Capella($block) => $what,
            $type::BlindedCapella($block) => $what,
            $type::BlindedDeneb($block) => $what,
            $type::BlindedElectra($block) | $type::BlindedFulu($block) => $what,
            $type::Deneb($contents) => $inner,
            $type::Electra($contents) => $inner,
            $type::Fulu($contents) => $inner,
        }
    };
}

/// A block of a fork and form: `$read` reads whatever the variant contains, `$none` is for what does not exist.
macro_rules! by_fork {
    ($type:ident, $fork:expr, $form:expr, $read:expr, $none:expr) => {
        match ($fork, $form) {
            (Fork::Phase0, Form::Full) => $type::Phase0($read),
            (Fork::Altair, Form::Full) => $type::Altair($read),
            (Fork::Bellatrix, Form::Full) => $type::Bellatrix($read),
            (Fork::Capella, Form::Full) => $type::Capella($read),
            (Fork::Deneb, Form::Full) => $type::Deneb($read),
            (Fork::Electra, Form::Full) => $type::Electra($read),
            (Fork::Fulu, Form::Full) => $type::Fulu($read),
            (Fork::Phase0 | Fork::Altair, Form::Blinded) => return Err($none),
            (Fork::Bellatrix, Form::Blinded) => $type::BlindedBellatrix($read),
            (Fork::Capella, Form::Blinded) => $type::BlindedCapella($read),
            (Fork::Deneb, Form::Blinded) => $type::BlindedDeneb($read),
            (Fork::Electra, Form::Blinded) => $type::BlindedElectra($read),
            (Fork::Fulu, Form::Blinded) => $type::BlindedFulu($read),
        }
    };
}

/// How blocks of any fork are read and written.
macro_rules! codecs {
    ($type:ident, $what:literal) => {
        impl $type {
            /// Reads SSZ: a block, its contents from Deneb on, or a blinded block.
            ///
            /// # Errors
            /// It is none of this fork and form.
            pub fn from_ssz(fork: Fork, form: Form, bytes: &[u8]) -> Result<$type, CodecError> {
                let none = CodecError::NothingToBlind { what: $what, fork };
                Ok(by_fork!($type, fork, form, codec::read_ssz($what, bytes)?, none))
            }

            /// Writes SSZ.
            #[must_use]
            pub fn to_ssz(&self) -> Vec<u8> {
                self.as_ssz_bytes()
            }

            /// Reads the JSON of the Beacon API.
            ///
            /// # Errors
            /// It is none of this fork and form.
            pub fn from_json(fork: Fork, form: Form, text: &[u8]) -> Result<$type, CodecError> {
                let none = CodecError::NothingToBlind { what: $what, fork };
                Ok(by_fork!($type, fork, form, codec::read_json($what, text)?, none))
            }

            /// Writes the JSON of the Beacon API, without white space.
            #[must_use]
            pub fn to_json(&self) -> Vec<u8> {
                codec::write_json(self)
            }

            /// Reads it from inside another document.
            ///
            /// # Errors
            /// It is none of this fork and form.
            pub fn deserialize<'de, D>(fork: Fork, form: Form, from: D) -> Result<$type, D::Error>
            where
                D: Deserializer<'de>,
            {
                let none = D::Error::custom(CodecError::NothingToBlind { what: $what, fork });
                Ok(by_fork!($type, fork, form, Deserialize::deserialize(from)?, none))
            }

            /// Its form.
            #[must_use]
            pub fn form(&self) -> Form {
                Form::from(self.is_blinded())
            }

            /// What goes over the wire between nodes: fork and form, then SSZ.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                codec::with_header(self.fork(), [u8::from(self.is_blinded())], self)
            }

            /// Reads what [`encode`](Self::encode) writes, or the JSON of it.
            ///
            /// # Errors
            /// It is neither.
            pub fn decode(bytes: &[u8]) -> Result<$type, CodecError> {
                codec::ssz_or_json(
                    bytes,
                    |bytes| {
                        let headed = codec::read_header::<1>($what, bytes)?;
                        let form = match headed.extra {
                            [0] => Form::Full,
                            [1] => Form::Blinded,
                            [flag] => return Err(CodecError::Blinded { what: $what, flag }),
                        };
                        $type::from_ssz(headed.fork, form, headed.rest)
                    },
                    |text| {
                        let read: VersionedIn = codec::borrow_json($what, text)?;
                        let fork = codec::read_fork($what, read.version)?;
                        $type::from_json(fork, Form::from(read.blinded), read.block.get().as_bytes())
                    },
                )
            }

            /// The JSON of [`encode`](Self::encode), without white space.
            #[must_use]
            pub fn versioned_json(&self) -> Vec<u8> {
                let (version, blinded) = (self.fork().number(), self.is_blinded());
                codec::write_json(&VersionedOut { version, block: self, blinded })
            }
        }
    };
}

/// JSON between nodes.
#[derive(Serialize)]
struct VersionedOut<'b, B> {
    version: u64,
    block: &'b B,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    blinded: bool,
}

/// The same, before the block is read.
#[derive(Deserialize)]
struct VersionedIn<'t> {
    version: u64,
    #[serde(borrow)]
    block: &'t RawValue,
    #[serde(default)]
    blinded: bool,
}

codecs!(Proposal, "proposal");
codecs!(SignedProposal, "signed proposal");

impl Proposal {
    /// The slot.
    #[must_use]
    pub fn slot(&self) -> u64 {
        each!(self, block => block.slot, contents => contents.block.slot, Proposal)
    }

    /// Who proposes it.
    #[must_use]
    pub fn proposer_index(&self) -> u64 {
        each!(self, block => block.proposer_index, contents => contents.block.proposer_index, Proposal)
    }

    /// `hash_tree_root` of the block; that of a blinded one is the same.
    #[must_use]
    pub fn root(&self) -> Root {
        each!(self, block => block.root(), contents => contents.block.root(), Proposal)
    }

    /// Its randomness: in a cluster the group's, which no node knows alone.
    #[must_use]
    pub fn randao(&self) -> Bytes96 {
        each!(self, block => block.body.randao_reveal, contents => contents.block.body.randao_reveal, Proposal)
    }

    /// What the proposer says.
    #[must_use]
    pub fn graffiti(&self) -> Bytes32 {
        each!(self, block => block.body.graffiti, contents => contents.block.body.graffiti, Proposal)
    }

    /// Whom the payload pays; before Bellatrix there is none.
    #[must_use]
    pub fn fee_recipient(&self) -> Option<Bytes20> {
        match self {
            Proposal::Phase0(_) | Proposal::Altair(_) => None,
            Proposal::Bellatrix(block) => Some(block.body.execution_payload.fee_recipient),
            Proposal::BlindedBellatrix(block) => Some(block.body.execution_payload.fee_recipient),
            Proposal::Capella(block) => Some(block.body.execution_payload.fee_recipient),
            Proposal::BlindedCapella(block) => Some(block.body.execution_payload.fee_recipient),
            Proposal::Deneb(contents) => Some(contents.block.body.execution_payload.fee_recipient),
            Proposal::BlindedDeneb(block) => Some(block.body.execution_payload.fee_recipient),
            Proposal::Electra(contents) => Some(contents.block.body.execution_payload.fee_recipient),
            Proposal::Fulu(contents) => Some(contents.block.body.execution_payload.fee_recipient),
            Proposal::BlindedElectra(block) | Proposal::BlindedFulu(block) => {
                Some(block.body.execution_payload.fee_recipient)
            }
        }
    }

    /// With the proposer's signature.
    #[must_use]
    pub fn signed(self, signature: Bytes96) -> SignedProposal {
        use SignedProposal as S;
        match self {
            Proposal::Phase0(message) => S::Phase0(Signed { message, signature }),
            Proposal::Altair(message) => S::Altair(Signed { message, signature }),
            Proposal::Bellatrix(message) => S::Bellatrix(Signed { message, signature }),
            Proposal::BlindedBellatrix(message) => S::BlindedBellatrix(Signed { message, signature }),
            Proposal::Capella(message) => S::Capella(Signed { message, signature }),
            Proposal::BlindedCapella(message) => S::BlindedCapella(Signed { message, signature }),
            Proposal::Deneb(contents) => S::Deneb(contents.signed(signature)),
            Proposal::BlindedDeneb(message) => S::BlindedDeneb(Signed { message, signature }),
            Proposal::Electra(contents) => S::Electra(contents.signed(signature)),
            Proposal::BlindedElectra(message) => S::BlindedElectra(Signed { message, signature }),
            Proposal::Fulu(contents) => S::Fulu(contents.signed(signature)),
            Proposal::BlindedFulu(message) => S::BlindedFulu(Signed { message, signature }),
        }
    }

    /// Its fork.
    #[must_use]
    pub fn fork(&self) -> Fork {
        match self {
            Proposal::Phase0(_) => Fork::Phase0,
            Proposal::Altair(_) => Fork::Altair,
            Proposal::Bellatrix(_) | Proposal::BlindedBellatrix(_) => Fork::Bellatrix,
            Proposal::Capella(_) | Proposal::BlindedCapella(_) => Fork::Capella,
            Proposal::Deneb(_) | Proposal::BlindedDeneb(_) => Fork::Deneb,
            Proposal::Electra(_) | Proposal::BlindedElectra(_) => Fork::Electra,
            Proposal::Fulu(_) | Proposal::BlindedFulu(_) => Fork::Fulu,
        }
    }

    /// Whether it has the payload's header only.
    #[must_use]
    pub fn is_blinded(&self) -> bool {
        match self {
            Proposal::BlindedBellatrix(_)
            | Proposal::BlindedCapella(_)
            | Proposal::BlindedDeneb(_)
            | Proposal::BlindedElectra(_)
            | Proposal::BlindedFulu(_) => true,
            Proposal::Phase0(_)
            | Proposal::Altair(_)
            | Proposal::Bellatrix(_)
            | Proposal::Capella(_)
            | Proposal::Deneb(_)
            | Proposal::Electra(_)
            | Proposal::Fulu(_) => false,
        }
    }
}

impl SignedProposal {
    /// The slot.
    #[must_use]
    pub fn slot(&self) -> u64 {
        each!(self, block => block.message.slot, contents => contents.block.message.slot, SignedProposal)
    }

    /// Who proposes it.
    #[must_use]
    pub fn proposer_index(&self) -> u64 {
        each!(self, block => block.message.proposer_index,
            contents => contents.block.message.proposer_index, SignedProposal)
    }

    /// `hash_tree_root` of the block.
    #[must_use]
    pub fn root(&self) -> Root {
        each!(self, block => block.message.root(), contents => contents.block.message.root(), SignedProposal)
    }

    /// What the proposer says.
    #[must_use]
    pub fn graffiti(&self) -> Bytes32 {
        each!(self, block => block.message.body.graffiti, contents => contents.block.message.body.graffiti,
            SignedProposal)
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &Bytes96 {
        each!(self, block => &block.signature, contents => &contents.block.signature, SignedProposal)
    }

    /// With another signature.
    pub fn set_signature(&mut self, signature: Bytes96) {
        each!(self, block => block.signature = signature, contents => contents.block.signature = signature,
            SignedProposal);
    }

    /// Whether this block was signed: root, fork and form are the same. Blobs are not looked at: the root covers their
    /// commitments.
    #[must_use]
    pub fn is_of(&self, proposal: &Proposal) -> bool {
        self.fork() == proposal.fork() && self.form() == proposal.form() && self.root() == proposal.root()
    }

    /// What was signed, and the signature.
    #[must_use]
    pub fn into_parts(self) -> (Proposal, Bytes96) {
        use Proposal as P;
        match self {
            SignedProposal::Phase0(signed) => (P::Phase0(signed.message), signed.signature),
            SignedProposal::Altair(signed) => (P::Altair(signed.message), signed.signature),
            SignedProposal::Bellatrix(signed) => (P::Bellatrix(signed.message), signed.signature),
            SignedProposal::BlindedBellatrix(signed) => {
                (P::BlindedBellatrix(signed.message), signed.signature)
            }
            SignedProposal::Capella(signed) => (P::Capella(signed.message), signed.signature),
            SignedProposal::BlindedCapella(signed) => (P::BlindedCapella(signed.message), signed.signature),
            SignedProposal::BlindedDeneb(signed) => (P::BlindedDeneb(signed.message), signed.signature),
            SignedProposal::BlindedElectra(signed) => (P::BlindedElectra(signed.message), signed.signature),
            SignedProposal::BlindedFulu(signed) => (P::BlindedFulu(signed.message), signed.signature),
            SignedProposal::Deneb(signed) => {
                let (contents, signature) = signed.into_parts();
                (P::Deneb(contents), signature)
            }
            SignedProposal::Electra(signed) => {
                let (contents, signature) = signed.into_parts();
                (P::Electra(contents), signature)
            }
            SignedProposal::Fulu(signed) => {
                let (contents, signature) = signed.into_parts();
                (P::Fulu(contents), signature)
            }
        }
    }

    /// Its fork.
    #[must_use]
    pub fn fork(&self) -> Fork {
        match self {
            SignedProposal::Phase0(_) => Fork::Phase0,
            SignedProposal::Altair(_) => Fork::Altair,
            SignedProposal::Bellatrix(_) | SignedProposal::BlindedBellatrix(_) => Fork::Bellatrix,
            SignedProposal::Capella(_) | SignedProposal::BlindedCapella(_) => Fork::Capella,
            SignedProposal::Deneb(_) | SignedProposal::BlindedDeneb(_) => Fork::Deneb,
            SignedProposal::Electra(_) | SignedProposal::BlindedElectra(_) => Fork::Electra,
            SignedProposal::Fulu(_) | SignedProposal::BlindedFulu(_) => Fork::Fulu,
        }
    }

    /// Whether it has the payload's header only.
    #[must_use]
    pub fn is_blinded(&self) -> bool {
        match self {
            SignedProposal::BlindedBellatrix(_)
            | SignedProposal::BlindedCapella(_)
            | SignedProposal::BlindedDeneb(_)
            | SignedProposal::BlindedElectra(_)
            | SignedProposal::BlindedFulu(_) => true,
            SignedProposal::Phase0(_)
            | SignedProposal::Altair(_)
            | SignedProposal::Bellatrix(_)
            | SignedProposal::Capella(_)
            | SignedProposal::Deneb(_)
            | SignedProposal::Electra(_)
            | SignedProposal::Fulu(_) => false,
        }
    }
}
