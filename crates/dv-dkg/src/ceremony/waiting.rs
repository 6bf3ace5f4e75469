//! What peers have sent before this node can take it: how many bytes of each may wait.
//!
//! What must never happen: a peer that sends without end takes more memory than its budget, or that of another one.

use std::collections::BTreeMap;

/// A message as far as its room is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Source {
    /// Who sent it, from 0.
    pub(super) from: usize,
    /// How long it was.
    pub(super) bytes: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Waiting {
    /// For each peer.
    most: usize,
    bytes: BTreeMap<usize, usize>,
    refused: BTreeMap<usize, u64>,
}

impl Waiting {
    /// Room for so many bytes of each peer.
    pub(super) fn new(most: usize) -> Self {
        Self { most, bytes: BTreeMap::new(), refused: BTreeMap::new() }
    }

    /// Takes room for a message.
    ///
    /// # Errors
    /// There is none; how many messages of the peer were refused by now.
    pub(super) fn take(&mut self, source: Source) -> Result<(), u64> {
        let bytes = self.bytes.entry(source.from).or_default();
        match bytes.checked_add(source.bytes).filter(|sum| *sum <= self.most) {
            Some(sum) => {
                *bytes = sum;
                Ok(())
            }
            None => {
                let refused = self.refused.entry(source.from).or_default();
                *refused += 1;
                Err(*refused)
            }
        }
    }

    /// A message does not wait any more.
    pub(super) fn give_back(&mut self, source: Source) {
        if let Some(bytes) = self.bytes.get_mut(&source.from) {
            *bytes = bytes.saturating_sub(source.bytes);
        }
    }

    /// Nothing waits any more.
    pub(super) fn give_all_back(&mut self) {
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_has_its_own_room() {
        let mut waiting = Waiting::new(100);
        let of = |from, bytes| Source { from, bytes };
        assert_eq!(waiting.take(of(1, 100)), Ok(()));
        assert_eq!([waiting.take(of(1, 1)), waiting.take(of(1, usize::MAX))], [Err(1), Err(2)]);
        assert_eq!(waiting.take(of(2, 60)), Ok(()));
        assert_eq!(waiting.take(of(2, 41)), Err(1), "counted by peer");
        waiting.give_back(of(1, 30));
        assert_eq!(waiting.take(of(1, 30)), Ok(()));
        assert_eq!(waiting.take(of(1, 1)), Err(3));
        waiting.give_all_back();
        assert_eq!(waiting.take(of(1, 100)), Ok(()));
    }
}
