//! What nodes tell each other of themselves: who is late, who lies, and who waits.

use coxswain_dv_crypto::k1::IdentityPublic;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_wire::message;
use coxswain_dv_wire::priority_result::Preferences;
use coxswain_dv_wire::version::SUPPORTED;

use super::serving::Driven;
use super::{NODES, THRESHOLD, chain, identity};
use crate::event::{Effect, Event, Note, Ticket};
use crate::priority::{Priority, PriorityError};

/// The last slot of an epoch.
const SLOT: u64 = 11;
const DUTY: Duty = Duty { slot: SLOT, kind: DutyType::InfoSync };

fn preferences() -> Preferences {
    Preferences::of_node(SUPPORTED[0], &[])
}

/// Of the first node.
fn priority() -> Priority {
    let peers: Vec<IdentityPublic> = (0..NODES).map(|node| identity(node).public()).collect();
    Priority::new((0, THRESHOLD), identity(0), peers, preferences())
}

/// What a node tells.
fn told(node: usize, slot: u64) -> Vec<u8> {
    message::encode(&preferences().message(slot, &identity(node)))
}

fn near(_: Duty) -> bool {
    true
}

#[test]
fn all_messages_are_whole_at_once_and_only_once() {
    let mut priority = priority();
    let (own, waiting) = priority.begin(DUTY);
    assert_eq!((own.as_slice(), waiting), (told(0, SLOT).as_slice(), Vec::new()));
    for (node, is_last) in [(1, false), (2, false), (3, true)] {
        let taken = priority.take(node, &told(node, SLOT), None, near).expect("good");
        assert_eq!(taken.complete, is_last.then_some(DUTY), "{node}");
        assert_eq!(taken.answer.as_deref(), Some(&told(0, SLOT)));
    }
    assert!(matches!(priority.result(DUTY), Some(Ok(_))));
    assert!(priority.result(DUTY).is_none(), "proposed once");
    let again = priority.take(3, &told(3, SLOT), None, near).expect("good");
    assert_eq!(again.complete, None, "it is over");
}

/// A peer that is late changes nothing, and is answered all the same.
#[test]
fn who_is_late_is_not_waited_for() {
    let mut priority = priority();
    priority.begin(DUTY);
    for node in [1, 2] {
        priority.take(node, &told(node, SLOT), None, near).expect("good");
    }
    assert!(matches!(priority.result(DUTY), Some(Ok(_))));
    let late = priority.take(3, &told(3, SLOT), Some(Ticket(1)), near).expect("good");
    assert_eq!(late.complete, None);
    assert_eq!(late.answer.as_deref(), Some(&told(0, SLOT)));
    assert!(priority.end(DUTY).is_empty(), "nobody waits");
    let after = priority.take(3, &told(3, SLOT), None, near);
    assert_eq!(after, Err(PriorityError::Far(DUTY)), "an answer begins nothing");
    assert!(priority.result(DUTY).is_none());
    assert_eq!(priority.held(), 0);
}

#[test]
fn nobody_speaks_for_another() {
    let mut priority = priority();
    priority.begin(DUTY);
    let of_another = priority.take(2, &told(1, SLOT), None, near);
    assert!(matches!(of_another, Err(PriorityError::Message(_))), "{of_another:?}");
    let mut signed = preferences().message(SLOT, &identity(1));
    signed.signature = preferences().message(SLOT + 4, &identity(1)).signature;
    let badly_signed = priority.take(1, &message::encode(&signed), None, near);
    assert!(matches!(badly_signed, Err(PriorityError::Message(_))), "{badly_signed:?}");
    assert_eq!(priority.take(NODES, &told(1, SLOT), None, near), Err(PriorityError::Node));
    assert!(matches!(priority.take(1, &[0xff; 9], None, near), Err(PriorityError::Wire(_))));
    let good = priority.take(1, &told(1, SLOT), None, near).expect("good");
    assert_eq!(good.complete, None, "only two have spoken");
}

#[test]
fn those_who_wait_are_limited() {
    let mut priority = priority();
    let ask = |priority: &mut Priority, node, ticket| {
        priority.take(node, &told(node, SLOT), Some(Ticket(ticket)), near)
    };
    for ticket in [1, 2] {
        assert_eq!(ask(&mut priority, 1, ticket).expect("good").answer, None);
    }
    assert_eq!(ask(&mut priority, 1, 3), Err(PriorityError::Waiting));
    assert_eq!(ask(&mut priority, 2, 4).expect("good").answer, None, "each has its own places");
    let (_, waiting) = priority.begin(DUTY);
    assert_eq!(waiting, [Ticket(1), Ticket(2), Ticket(4)]);
    // Duties that have not begun are limited, too, and near.
    for number in 1..=4 {
        let slot = SLOT + 4 * number;
        priority.take(1, &told(1, slot), Some(Ticket(slot)), near).expect("good");
    }
    let fifth = Duty::new(SLOT + 20, DutyType::InfoSync);
    let one_more = priority.take(1, &told(1, fifth.slot), Some(Ticket(9)), near);
    assert_eq!(one_more, Err(PriorityError::Far(fifth)));
    priority.end(Duty::new(SLOT + 4, DutyType::InfoSync));
    let far = priority.take(1, &told(1, fifth.slot), Some(Ticket(9)), |_| false);
    assert_eq!(far, Err(PriorityError::Far(fifth)));
    assert_eq!(priority.end(Duty::new(SLOT + 8, DutyType::InfoSync)), [Ticket(SLOT + 8)]);
}

fn responses(effects: &[Effect]) -> Vec<(u64, bool)> {
    let of = |effect: &Effect| match effect {
        Effect::Respond { ticket, bytes } => Some((ticket.0, bytes.is_some())),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

/// A peer that names slots without an exchange takes no places from those that wait for one, and nothing stays.
#[test]
fn only_the_last_slot_of_an_epoch_is_waited_for() {
    let mut node = Driven::new(0);
    let ask = |ticket: u64, from: usize, slot: u64| Event::Requested {
        ticket: Ticket(ticket),
        from,
        bytes: told(from, slot),
    };
    for (ticket, slot) in (1..).zip([9, 10, 12, 13, 14, 16]) {
        assert_eq!(responses(&node.step(ask(ticket, 1, slot))), [(ticket, false)], "{slot}");
    }
    let refused = node.step(ask(20, 1, 8));
    assert!(refused.iter().any(|effect| matches!(
        effect,
        Effect::Note(Note::RefusedPreferences { from: 1, why }) if why.contains("not near")
    )));
    let answer = node.step(Event::Responded { from: 2, bytes: told(3, SLOT) });
    let is_refused =
        |effect: &Effect| matches!(effect, Effect::Note(Note::RefusedPreferences { from: 2, .. }));
    assert!(answer.iter().any(is_refused), "it is signed by another node: {answer:?}");
    assert_eq!(responses(&node.step(ask(30, 2, SLOT))), []);
    // It is answered when this node begins.
    node.now = chain().clock.start_of(SLOT);
    assert_eq!(responses(&node.step(Event::Wake)), [(30, true)]);
    // One that this node sleeps through ends as well.
    assert_eq!(responses(&node.step(ask(31, 2, SLOT + 4))), []);
    node.now = chain().clock.start_of(SLOT + 6);
    assert_eq!(responses(&node.step(Event::Wake)), [(31, false)]);
}
