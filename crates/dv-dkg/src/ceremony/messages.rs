//! What comes in from peers, and what goes out to them.

use coxswain_dv_wire::broadcast::{
    BCastMessage, BCastSigRequest, BCastSigResponse, FROST_ROUND1, FROST_ROUND2, PEDERSEN_KEYS,
};
use coxswain_dv_wire::frost::{FrostRound1Casts, FrostRound1P2P, FrostRound2Casts};
use coxswain_dv_wire::message::{self, WireMessage};
use coxswain_dv_wire::node_sig::MsgNodeSig;
use coxswain_dv_wire::parsigex::ParSigExMsg;
use coxswain_dv_wire::pedersen::{
    NodePubKeyMessage, PedersenDealBundle, PedersenJustificationBundle, PedersenResponseBundle,
    ValidatorPubKeyShareMessage,
};
use coxswain_dv_wire::protocol::{self, Protocol};
use coxswain_dv_wire::sync::MsgSyncResponse;
use coxswain_dv_wire::well_known::Any;
use zeroize::Zeroizing;

use super::flow::{PREPARED, STORED};
use super::waiting::Source;
use super::{Ceremony, Effect, Event, Failure, Stage, Tag, Token};
use crate::broadcast::Outgoing;
use crate::frost;
use crate::frost_messages as messages;
use crate::pedersen;

/// What Pedersen says directly.
static PEDERSEN_PROTOCOLS: [Protocol; 4] = [
    protocol::PEDERSEN_DEALS,
    protocol::PEDERSEN_RESPONSES,
    protocol::PEDERSEN_JUSTIFICATIONS,
    protocol::PEDERSEN_SHARES,
];

fn share_index(place: usize) -> u64 {
    place as u64 + 1
}

impl Ceremony {
    pub(super) fn take(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Report { from, report, token } => {
                let taken = match &self.failure {
                    Some(failure) => Err(failure.clone()),
                    None => Ok(self.sync.take_report(from, &report)),
                };
                let error = match &taken {
                    Ok(Ok(())) => String::new(),
                    Ok(Err(error)) => error.to_string(),
                    Err(failure) => failure.clone(),
                };
                let answer = MsgSyncResponse { sync_timestamp: report.timestamp, error };
                self.effects.push(Effect::AnswerReport { token, answer });
                Ok(taken.unwrap_or(Ok(()))?)
            }
            Event::ReportAnswered { from, leaving, error } => {
                self.sync.take_answer(from, &error)?;
                if leaving {
                    self.sync.knows_we_leave(from);
                }
                Ok(())
            }
            // Who gives up after us is known all the same.
            _ if self.stage == Stage::Over => Ok(()),
            Event::LostReports(to) => {
                self.sync.lost_reports(to);
                Ok(())
            }
            Event::LostPeer(from) => {
                self.sync.lost_peer(from);
                Ok(())
            }
            Event::Message { from, protocol, bytes, token } => {
                self.take_message(from, protocol, &bytes, token)
            }
            Event::Delivered { to, tag, answer } => self.delivered(to, tag, &answer),
            Event::NotDelivered { to, tag, why } => {
                let what = match tag {
                    Tag::Ask(id) | Tag::Tell(id) => format!("the broadcast {id}"),
                    Tag::Shares => "its shares".to_owned(),
                    Tag::Partials(kind) => format!("signatures of {kind}"),
                    Tag::Pedersen(_) => "what is dealt".to_owned(),
                };
                Err(Failure::NotDelivered { place: to, what, why })
            }
            Event::Computed(output) => self.computed(output),
            Event::Prepared(Ok(())) => {
                // Nobody must go on because of a node that will fail.
                if self.doubt.is_none() {
                    self.reach(PREPARED);
                }
                Ok(())
            }
            Event::Stored(Ok(())) => {
                self.reach(STORED);
                self.parting.take().map_or(Ok(()), Err)
            }
            Event::Prepared(Err(why)) => Err(Failure::Write(why)),
            Event::Stored(Err(why)) => Err(Failure::Store(why)),
            Event::Tick => {
                self.waits_over();
                Ok(())
            }
        }
    }

    fn take_message(
        &mut self,
        from: usize,
        protocol: &'static str,
        bytes: &[u8],
        token: Token,
    ) -> Result<(), Failure> {
        let version = self.broadcasts.version();
        if protocol == version.signing().id {
            let request: BCastSigRequest = read(from, version.signing(), bytes)?;
            let answer = self.broadcasts.sign(from, &request)?;
            self.effects.push(Effect::Answer { token, bytes: message::encode(&answer) });
            return Ok(());
        }
        if protocol == version.sending().id {
            let message: BCastMessage = read(from, version.sending(), bytes)?;
            let (id, content) = self.broadcasts.take(from, message)?;
            self.effects.push(Effect::Answer { token, bytes: Vec::new() });
            return self.take_broadcast(Source { from, bytes: bytes.len() }, id, &content);
        }
        if protocol == protocol::FROST_SHARES.id {
            let message: FrostRound1P2P = read(from, &protocol::FROST_SHARES, bytes)?;
            let shares =
                messages::read_shares(&message).map_err(|source| Failure::Length { place: from, source })?;
            let source = Source { from, bytes: bytes.len() };
            return self.frost_event(Some(source), frost::Event::Shares { from: share_index(from), shares });
        }
        if let Some(known) = PEDERSEN_PROTOCOLS.iter().find(|known| known.id == protocol) {
            // Whatever comes of it, it was taken.
            self.effects.push(Effect::Answer { token, bytes: Vec::new() });
            return self.take_pedersen(from, known, bytes);
        }
        if protocol == protocol::PARSIGEX.id {
            let message: ParSigExMsg = read(from, &protocol::PARSIGEX, bytes)?;
            self.exchange.take(from, message)?;
        }
        Ok(())
    }

    fn take_pedersen(
        &mut self,
        from: usize,
        protocol: &'static Protocol,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        let place = u32::try_from(from).unwrap_or(u32::MAX);
        let event = if protocol.id == protocol::PEDERSEN_DEALS.id {
            pedersen::Event::deals(place, &read::<PedersenDealBundle>(from, protocol, bytes)?)
        } else if protocol.id == protocol::PEDERSEN_RESPONSES.id {
            pedersen::Event::responses(place, &read::<PedersenResponseBundle>(from, protocol, bytes)?)
        } else if protocol.id == protocol::PEDERSEN_JUSTIFICATIONS.id {
            pedersen::Event::justifications(
                place,
                &read::<PedersenJustificationBundle>(from, protocol, bytes)?,
            )
        } else {
            pedersen::Event::share_key(place, &read::<ValidatorPubKeyShareMessage>(from, protocol, bytes)?)
        };
        if let Some(event) = event {
            self.pedersen_event(Some(Source { from, bytes: bytes.len() }), event);
        }
        Ok(())
    }

    fn take_broadcast(&mut self, source: Source, id: &'static str, content: &Any) -> Result<(), Failure> {
        let from = source.from;
        let length = |source| Failure::Length { place: from, source };
        let index = share_index(from);
        if id == FROST_ROUND1 {
            let message: FrostRound1Casts = unpack(from, id, content)?;
            let casts = messages::read_casts(message).map_err(length)?;
            return self.frost_event(Some(source), frost::Event::Casts { from: index, casts });
        }
        if id == FROST_ROUND2 {
            let message: FrostRound2Casts = unpack(from, id, content)?;
            let casts = messages::read_round2(&message).map_err(length)?;
            return self.frost_event(Some(source), frost::Event::Round2 { from: index, casts });
        }
        if id == PEDERSEN_KEYS {
            let message: NodePubKeyMessage = unpack(from, id, content)?;
            let place = u32::try_from(from).unwrap_or(u32::MAX);
            if let Some(event) = pedersen::Event::node_key(place, &message)? {
                self.pedersen_event(Some(source), event);
            }
            return Ok(());
        }
        let message: MsgNodeSig = unpack(from, id, content)?;
        let wrong = Failure::NodeSignature { place: from };
        let signature = message.signature.as_slice().try_into();
        match signature {
            Ok(signature) if message.peer_index as usize == from => {
                self.node_signatures.entry(from).or_insert(signature);
                Ok(())
            }
            _ => Err(wrong),
        }
    }

    pub(super) fn send(&mut self, to: usize, protocol: &'static Protocol, bytes: Vec<u8>, tag: Tag) {
        self.on_the_way.insert((to, tag));
        self.effects.push(Effect::Send { to, protocol, bytes: Zeroizing::new(bytes), tag });
    }

    fn send_out(&mut self, outgoing: Vec<(usize, Outgoing)>, id: &'static str) {
        let version = self.broadcasts.version();
        for (to, outgoing) in outgoing {
            match outgoing {
                Outgoing::Ask(request) => {
                    self.send(to, version.signing(), message::encode(&request), Tag::Ask(id))
                }
                Outgoing::Tell(message) => {
                    self.send(to, version.sending(), message::encode(&message), Tag::Tell(id))
                }
            }
        }
    }

    pub(super) fn broadcast(&mut self, id: &'static str, content: Any) {
        let outgoing = self.broadcasts.begin(id, content);
        self.send_out(outgoing, id);
    }

    fn delivered(&mut self, to: usize, tag: Tag, answer: &[u8]) -> Result<(), Failure> {
        self.on_the_way.remove(&(to, tag));
        match tag {
            Tag::Ask(id) => {
                let answer: BCastSigResponse = read(to, self.broadcasts.version().signing(), answer)?;
                let outgoing = self.broadcasts.take_signature(to, id, &answer)?;
                self.send_out(outgoing, id);
            }
            Tag::Tell(id) => {
                self.broadcasts.taken(to, id);
            }
            Tag::Shares | Tag::Partials(_) | Tag::Pedersen(_) => {}
        }
        Ok(())
    }
}

fn read<M: WireMessage>(from: usize, protocol: &'static Protocol, bytes: &[u8]) -> Result<M, Failure> {
    message::decode(bytes, protocol.max_bytes).map_err(|source| Failure::Message {
        place: from,
        protocol: protocol.id,
        source,
    })
}

fn unpack<M: WireMessage>(from: usize, id: &'static str, content: &Any) -> Result<M, Failure> {
    content.unpack(content.value.len()).map_err(|source| Failure::Message {
        place: from,
        protocol: id,
        source,
    })
}
