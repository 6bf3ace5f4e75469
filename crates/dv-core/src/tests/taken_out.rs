//! What a peer has sent before it is caught: taken out to be checked, and put back where it is good.

use coxswain_dv_eth::api::SyncCommitteeSelection;
use coxswain_dv_eth::bytes::{Bytes48, Bytes96};
use coxswain_dv_eth::client::Request;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::signed::{ParSigned, SignedData};

use super::FIRST_INDEX;
use super::serving::{Driven, calls};
use crate::event::{Channel, Effect, Event, Note, Step};
use crate::exchange;

const SLOT: u64 = 8;
/// The peer that is caught, and its share.
const PEER: usize = 3;
const SHARE: u32 = 4;

fn sent(node: &mut Driven, validator: usize, duty: Duty, peer: usize, data: SignedData) -> Vec<Effect> {
    let share_index = u32::try_from(peer + 1).expect("few");
    let key = node.keys.validators[validator].key;
    let bytes = exchange::write(duty, &[(key, ParSigned { data, share_index })]).remove(0);
    node.step(Event::Received { from: peer, channel: Channel::Parsigex, bytes })
}

fn vote(node: &mut Driven, validator: usize, peer: usize, signer: usize) -> Vec<Effect> {
    let data = SignedData::SyncMessage(node.keys.vote(validator, signer, SLOT));
    sent(node, validator, Duty::new(SLOT, DutyType::SyncMessage), peer, data)
}

/// A selection of a subcommittee in the peer's name.
fn selection(node: &mut Driven, subcommittee_index: u64, signer: usize) -> Vec<Effect> {
    let (validator_index, selection_proof) = (FIRST_INDEX, Bytes96::default());
    let unsigned =
        SyncCommitteeSelection { validator_index, slot: SLOT, subcommittee_index, selection_proof };
    let data = node.keys.signed(0, signer, SignedData::PrepareSyncContribution(unsigned));
    sent(node, 0, Duty::new(SLOT, DutyType::PrepareSyncContribution), PEER, data)
}

/// The peer signs what nobody asked for, and not with its share: that is looked at at once.
fn catch(node: &mut Driven) -> Vec<Effect> {
    let effects = vote(node, 1, PEER, 2);
    let caught = |effect: &Effect| matches!(effect, Effect::Note(Note::Distrusted { from: PEER, .. }));
    assert!(effects.iter().any(caught), "{effects:?}");
    effects
}

/// How often it is told that the peer's share came for a validator.
fn told(effects: &[Effect], of: Bytes48) -> usize {
    let is_told = |effect: &&Effect| {
        matches!(effect, Effect::Note(Note::Duty { step: Step::ParSigDbExternal, key, share, error: None, .. })
            if *key == Some(of) && *share == Some(SHARE))
    };
    effects.iter().filter(is_told).count()
}

fn withdrawn(effects: &[Effect]) -> Vec<(Duty, Bytes48)> {
    let of = |effect: &Effect| match effect {
        Effect::Note(Note::Withdrawn { duty, key, share: SHARE }) => Some((*duty, *key)),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

#[test]
fn a_good_share_goes_back_and_came_once() {
    let mut node = Driven::new(1);
    let key = node.keys.validators[0].key;
    assert_eq!(told(&vote(&mut node, 0, PEER, PEER), key), 1);
    let effects = catch(&mut node);
    assert_eq!(told(&effects, key), 0, "{effects:?}");
    let of_messages = |effect: &&Effect| matches!(effect, Effect::Note(Note::Verified { .. }));
    assert_eq!(effects.iter().filter(of_messages).count(), 1, "what was taken out is no message");
    let own = vec![node.keys.vote(0, 1, SLOT)];
    node.ask(1, Request::SubmitSyncMessages(own));
    assert_eq!(calls(&vote(&mut node, 0, 0, 0)).len(), 1, "it counts");
}

/// A share counts as seen for a duty as long as one of its signatures is good, whichever is looked at first.
#[test]
fn a_share_is_withdrawn_with_its_last_signature() {
    let duty = Duty::new(SLOT, DutyType::PrepareSyncContribution);
    for (signers, is_withdrawn) in
        [([PEER, PEER], false), ([PEER, 2], false), ([2, PEER], false), ([2, 2], true)]
    {
        let mut node = Driven::new(1);
        let key = node.keys.validators[0].key;
        for (subcommittee, signer) in (0..).zip(signers) {
            assert_eq!(told(&selection(&mut node, subcommittee, signer), key), 1);
        }
        let effects = catch(&mut node);
        assert_eq!(withdrawn(&effects).contains(&(duty, key)), is_withdrawn, "{signers:?}: {effects:?}");
        assert_eq!(told(&effects, key), 0, "{signers:?}: {effects:?}");
    }
}
