//! What peers have sent and nobody has looked at yet: a queue for each peer and protocol, taken from in turn.
//!
//! A stream is never held up by it: a full queue lets go of its oldest message. So a peer that floods this node pushes out
//! its own messages of that kind, and no others.

use std::collections::{BTreeMap, VecDeque};

use libp2p::PeerId;

/// Messages of one peer and protocol that wait. A set of 1,000 validators comes in 16 pieces, and a peer has some 10 duties
/// at a time.
pub const MAX_MESSAGES: usize = 512;
/// Their bytes: two messages of the largest size.
pub const MAX_BYTES: usize = 64 << 20;

/// Who says something, and in which protocol.
pub(crate) type Source = (PeerId, &'static str);

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// It waits.
    Waits,
    /// The same waits already.
    Twice,
    /// It waits, and so many of the oldest do no longer.
    Displaced(usize),
}

/// A message as the queue sees it.
pub(crate) trait Message {
    /// Its bytes.
    fn bytes(&self) -> &[u8];
    /// Whether it may be left out where the same waits: not where an answer is expected.
    fn is_droppable_copy(&self) -> bool;
}

#[derive(Debug)]
struct Queue<M> {
    messages: VecDeque<M>,
    bytes: usize,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Queues<M> {
    queues: BTreeMap<Source, Queue<M>>,
    /// Sources with messages, in the order in which they are served.
    turns: VecDeque<Source>,
}

impl<M: Message> Queues<M> {
    pub(crate) fn new() -> Self {
        Self { queues: BTreeMap::new(), turns: VecDeque::new() }
    }

    /// Takes a message. Sources must be few: peers of a cluster and their protocols.
    pub(crate) fn put(&mut self, source: Source, message: M) -> Put {
        let queue = self.queues.entry(source).or_insert(Queue { messages: VecDeque::new(), bytes: 0 });
        let is_same = |waiting: &M| waiting.bytes() == message.bytes();
        if message.is_droppable_copy() && queue.messages.iter().any(is_same) {
            return Put::Twice;
        }
        if queue.messages.is_empty() {
            self.turns.push_back(source);
        }
        queue.bytes += message.bytes().len();
        queue.messages.push_back(message);
        let mut displaced = 0;
        while queue.messages.len() > 1 && (queue.messages.len() > MAX_MESSAGES || queue.bytes > MAX_BYTES) {
            if let Some(oldest) = queue.messages.pop_front() {
                queue.bytes -= oldest.bytes().len();
                displaced += 1;
            }
        }
        if displaced > 0 { Put::Displaced(displaced) } else { Put::Waits }
    }

    /// The oldest message of the source whose turn it is.
    pub(crate) fn take(&mut self) -> Option<M> {
        let source = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&source)?;
        let message = queue.messages.pop_front()?;
        queue.bytes -= message.bytes().len();
        if !queue.messages.is_empty() {
            self.turns.push_back(source);
        }
        Some(message)
    }

    /// Messages that wait.
    pub(crate) fn len(&self) -> usize {
        self.queues.values().map(|queue| queue.messages.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Clone)]
    struct Said(Vec<u8>, bool);

    impl Message for Said {
        fn bytes(&self) -> &[u8] {
            &self.0
        }
        fn is_droppable_copy(&self) -> bool {
            self.1
        }
    }

    fn said(number: usize) -> Said {
        Said(number.to_le_bytes().to_vec(), true)
    }

    const A: &str = "/a";
    const B: &str = "/b";

    #[test]
    fn sources_take_turns() {
        let (one, two) = (PeerId::random(), PeerId::random());
        let mut queues = Queues::new();
        for number in 0..3 {
            queues.put((one, A), said(number));
        }
        queues.put((two, A), said(10));
        queues.put((one, B), said(20));
        let order: Vec<Said> = std::iter::from_fn(|| queues.take()).collect();
        assert_eq!(order, [0, 10, 20, 1, 2].map(said));
        assert_eq!((queues.len(), queues.take()), (0, None));
    }

    #[test]
    fn a_flood_pushes_out_its_own_oldest_only() {
        let (one, two) = (PeerId::random(), PeerId::random());
        let mut queues = Queues::new();
        queues.put((two, A), said(7));
        for number in 0..MAX_MESSAGES {
            assert_eq!(queues.put((one, A), said(number)), Put::Waits);
        }
        assert_eq!(queues.put((one, A), said(9999)), Put::Displaced(1));
        assert_eq!(queues.len(), MAX_MESSAGES + 1);
        assert_eq!(queues.take(), Some(said(7)));
        assert_eq!(queues.take(), Some(said(1)));
        let large = Said(vec![1; MAX_BYTES], true);
        assert_eq!(queues.put((one, A), large.clone()), Put::Displaced(MAX_MESSAGES - 1));
        assert_eq!(queues.take(), Some(large));
        assert_eq!(queues.take(), None);
    }

    #[test]
    fn copies_are_dropped_unless_somebody_waits_for_an_answer() {
        let one = PeerId::random();
        let mut queues = Queues::new();
        assert_eq!(queues.put((one, A), said(1)), Put::Waits);
        assert_eq!(queues.put((one, A), said(1)), Put::Twice);
        assert_eq!(queues.put((one, B), said(1)), Put::Waits);
        let asked = Said(said(1).0, false);
        assert_eq!(queues.put((one, A), asked.clone()), Put::Waits);
        assert_eq!(queues.put((one, A), asked), Put::Waits);
        assert_eq!(queues.len(), 4);
        queues.take();
        queues.take();
        // The copy may come once the first was taken.
        queues.take();
        queues.take();
        assert_eq!(queues.put((one, A), said(1)), Put::Waits);
    }
}
