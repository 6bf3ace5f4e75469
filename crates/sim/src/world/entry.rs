//! What will happen, the earliest first.

use std::cmp::Ordering;

use coxswain_dv_eth::time::Time;

use super::Todo;

/// Something that happens at a moment; of two at one moment the one that was asked for first.
pub(super) struct Entry {
    pub(super) at: Time,
    pub(super) number: u64,
    pub(super) todo: Todo,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The earliest is the greatest: heaps give the greatest first.
impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}
