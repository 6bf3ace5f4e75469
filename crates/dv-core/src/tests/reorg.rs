//! What a change of branch costs in questions.

use coxswain_dv_eth::beacon::{Call, ChainEvent};

use super::chain;
use super::serving::Driven;
use crate::event::{Effect, Event};

/// How often the duties of an epoch are asked for.
fn resolved(effects: &[Effect]) -> usize {
    let is_first = |effect: &&Effect| matches!(effect, Effect::Call { call: Call::Validators { .. }, .. });
    effects.iter().filter(is_first).count()
}

/// Three beacon nodes tell of a branch, one after the other: duties are asked for at once, and once more when those that
/// were late have followed.
#[test]
fn duties_are_asked_for_twice_however_many_beacon_nodes_tell_of_a_branch() {
    let mut node = Driven::new(1);
    let reorg = |slot, depth| Event::Chain(ChainEvent::Reorg { slot, depth });
    let begin = |node: &mut Driven, slot| {
        node.now = chain().clock.start_of(slot);
        resolved(&node.step(Event::Wake))
    };
    // It begins in the epoch before this one.
    let asked: Vec<usize> = (0..3).map(|_| resolved(&node.step(reorg(8, 2)))).collect();
    assert_eq!(asked, [1, 0, 0]);
    assert_eq!([begin(&mut node, 9), begin(&mut node, 10)], [1, 0]);
    let asked = [reorg(9, 3), reorg(10, 4), reorg(10, 4)].map(|event| resolved(&node.step(event)));
    assert_eq!(asked, [1, 1, 0], "others are others");
    // What changes nothing of this epoch is not asked for.
    let mut node = Driven::new(1);
    assert_eq!(resolved(&node.step(reorg(9, 1))), 0);
    assert_eq!(begin(&mut node, 9), 0);
}
