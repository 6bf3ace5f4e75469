//! Moments at which a node has something to do.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use coxswain_dv_eth::time::Time;

/// What is due at some time, the earliest first; what is due together in the order in which it was asked for.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    next: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Time,
    number: u64,
    what: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Timers { heap: BinaryHeap::new(), next: 0 }
    }
}

impl<T> Timers<T> {
    /// Asks for something at a moment.
    pub(crate) fn at(&mut self, at: Time, what: T) {
        self.heap.push(Reverse(Entry { at, number: self.next, what }));
        self.next += 1;
    }

    /// The earliest moment.
    pub(crate) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// Something that is due.
    pub(crate) fn due(&mut self, now: Time) -> Option<T> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_ties_in_order() {
        let mut timers = Timers::default();
        timers.at(Time::from_secs(2), "b");
        timers.at(Time::from_secs(1), "a");
        timers.at(Time::from_secs(2), "c");
        assert_eq!(timers.due(Time::from_millis(999)), None);
        let due: Vec<_> = std::iter::from_fn(|| timers.due(Time::from_secs(2))).collect();
        assert_eq!(due, ["a", "b", "c"]);
        assert_eq!(timers.next(), None);
    }
}
