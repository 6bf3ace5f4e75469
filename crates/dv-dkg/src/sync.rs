//! Barriers: who is there, and how far everybody has come.
//!
//! Every node reports its step to every other one, many times a second, and answers the reports of the others. A report
//! that cannot be true is the end of the ceremony for all: somebody began anew, and shares of two ceremonies must never
//! be mixed.
//!
//! ```text
//! report of a peer ─take_report→ what is answered      step k of all ≥ k ─has_passed(k)→ on with the ceremony
//! ```

use coxswain_dv_crypto::k1::IdentityPublic;
use coxswain_dv_wire::sync::{self, MsgSync};
use coxswain_dv_wire::version::{Minor, Version};

/// How far a peer may be ahead of its last report, and of a barrier that we wait at.
const STRIDE: i64 = 2;
/// Longest text of a peer that is shown.
const SHOWN: usize = 200;

/// Why the ceremony cannot go on. Places count from 0, in the order of operators.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// It is another version.
    #[error("node {place} runs {found}, and this node {ours}: all nodes of a ceremony need the same version")]
    Version {
        /// Which node.
        place: usize,
        /// What it says.
        found: String,
        /// Ours.
        ours: Minor,
    },
    /// It signed another ceremony.
    #[error(
        "node {place} is in another ceremony, or has another definition file: its signature is not of this one"
    )]
    Definition {
        /// Which node.
        place: usize,
    },
    /// It was farther before, or is too far.
    #[error(
        "node {place} reports step {found} after step {last}: it was started anew; all nodes must begin again"
    )]
    Step {
        /// Which node.
        place: usize,
        /// What it says.
        found: i64,
        /// What it said before.
        last: i64,
    },
    /// It went on without us.
    #[error("node {place} is at step {found}, while this node waits at step {ours} for all")]
    Ahead {
        /// Which node.
        place: usize,
        /// What it says.
        found: i64,
        /// Where we wait.
        ours: i64,
    },
    /// It refuses our reports.
    #[error("node {place} refuses this node: {text}")]
    Refused {
        /// Which node.
        place: usize,
        /// Its reason.
        text: String,
    },
}

/// What is known of a peer.
#[derive(Debug, Clone)]
struct Peer {
    public: IdentityPublic,
    /// It has taken a report of ours on the stream that is open.
    has_heard_us: bool,
    /// It has reported on the stream that is open.
    is_heard: bool,
    step: Option<i64>,
    has_left: bool,
    knows_we_leave: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Sync {
    me: usize,
    ceremony: Vec<u8>,
    version: Minor,
    peers: Vec<Peer>,
    step: i64,
}

impl Sync {
    /// The node at place `me` among all nodes of a ceremony.
    #[must_use]
    pub fn new(me: usize, ceremony: &[u8], version: Minor, nodes: &[IdentityPublic]) -> Self {
        let peer = |public: &IdentityPublic| Peer {
            public: *public,
            has_heard_us: false,
            is_heard: false,
            step: None,
            has_left: false,
            knows_we_leave: false,
        };
        let peers = nodes.iter().map(peer).collect();
        Self { me, ceremony: ceremony.to_vec(), version, peers, step: 0 }
    }

    /// How far this node is.
    #[must_use]
    pub fn step(&self) -> i64 {
        self.step
    }

    /// This node has come to a barrier.
    pub fn go_to(&mut self, step: i64) {
        self.step = step;
    }

    /// Takes a report.
    ///
    /// # Errors
    /// The ceremony is over; the peer is told the error's text.
    pub fn take_report(&mut self, from: usize, report: &MsgSync) -> Result<(), SyncError> {
        let (ours, ceremony) = (self.version, self.ceremony.as_slice());
        let Some(peer) = self.peers.get_mut(from) else { return Ok(()) };
        let is_ours = Version::parse(&report.version).is_ok_and(|version| version.minor() == ours);
        if !is_ours {
            return Err(SyncError::Version { place: from, found: shown(&report.version), ours });
        }
        if sync::verify(&peer.public, ceremony, &report.hash_signature).is_err() {
            return Err(SyncError::Definition { place: from });
        }
        let is_possible = match peer.step {
            None => (0..STRIDE).contains(&report.step),
            Some(last) => (last..=last.saturating_add(STRIDE)).contains(&report.step),
        };
        if !is_possible {
            return Err(SyncError::Step { place: from, found: report.step, last: peer.step.unwrap_or(0) });
        }
        peer.step = Some(report.step);
        peer.is_heard = true;
        peer.has_left |= report.shutdown;
        Ok(())
    }

    /// Takes what a peer answered to a report of ours.
    ///
    /// # Errors
    /// The peer refuses us, and with that the ceremony.
    pub fn take_answer(&mut self, from: usize, error: &str) -> Result<(), SyncError> {
        let Some(peer) = self.peers.get_mut(from) else { return Ok(()) };
        if !error.is_empty() {
            return Err(SyncError::Refused { place: from, text: shown(error) });
        }
        peer.has_heard_us = true;
        Ok(())
    }

    /// A peer has taken our last report, which said that we leave.
    pub fn knows_we_leave(&mut self, place: usize) {
        if let Some(peer) = self.peers.get_mut(place) {
            peer.knows_we_leave = true;
        }
    }

    /// The stream on which we report has ended.
    pub fn lost_reports(&mut self, to: usize) {
        if let Some(peer) = self.peers.get_mut(to) {
            peer.has_heard_us = false;
        }
    }

    /// The stream on which a peer reports has ended. Its step stays.
    pub fn lost_peer(&mut self, from: usize) {
        if let Some(peer) = self.peers.get_mut(from) {
            peer.is_heard = false;
        }
    }

    fn others(&self) -> impl Iterator<Item = (usize, &Peer)> {
        self.peers.iter().enumerate().filter(|(place, _)| *place != self.me)
    }

    /// The nodes that are not connected both ways.
    #[must_use]
    pub fn not_connected(&self) -> Vec<usize> {
        self.others()
            .filter(|(_, peer)| !(peer.has_heard_us && peer.is_heard))
            .map(|(place, _)| place)
            .collect()
    }

    /// The nodes that have not come to a barrier.
    #[must_use]
    pub fn not_at(&self, step: i64) -> Vec<usize> {
        self.others()
            .filter(|(_, peer)| peer.step.is_none_or(|at| at < step))
            .map(|(place, _)| place)
            .collect()
    }

    /// Whether every node has come to a barrier.
    ///
    /// # Errors
    /// One has passed the next one, which it cannot without us.
    pub fn has_passed(&self, step: i64) -> Result<bool, SyncError> {
        for (place, peer) in self.others() {
            if let Some(found) = peer.step.filter(|at| *at >= step.saturating_add(STRIDE)) {
                return Err(SyncError::Ahead { place, found, ours: step });
            }
        }
        Ok(self.not_at(step).is_empty())
    }

    /// The nodes that have not said that they leave, or do not know that we do.
    #[must_use]
    pub fn not_parted(&self) -> Vec<usize> {
        self.others()
            .filter(|(_, peer)| !(peer.has_left && peer.knows_we_leave))
            .map(|(place, _)| place)
            .collect()
    }
}

/// A foreign text as it is shown: cut short, without what moves the cursor.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use coxswain_dv_crypto::k1::IdentityKey;

    use super::*;

    const V: Minor = Minor { major: 1, minor: 11 };
    const CEREMONY: &[u8] = &[7; 32];

    fn keys() -> Vec<IdentityKey> {
        (1..=3u8).map(|byte| IdentityKey::from_bytes(&[byte; 32]).expect("a key")).collect()
    }

    fn node() -> Sync {
        let nodes: Vec<IdentityPublic> = keys().iter().map(IdentityKey::public).collect();
        Sync::new(0, CEREMONY, V, &nodes)
    }

    fn report(place: usize, step: i64) -> MsgSync {
        MsgSync {
            hash_signature: sync::sign(&keys()[place], CEREMONY),
            version: "v1.11".into(),
            step,
            ..MsgSync::default()
        }
    }

    /// Steps that node 1 reports, one after the other; whether each is taken.
    #[track_caller]
    fn check_steps(steps: &[(i64, bool)]) {
        let mut sync = node();
        for (step, is_taken) in steps {
            assert_eq!(sync.take_report(1, &report(1, *step)).is_ok(), *is_taken, "{step} of {steps:?}");
        }
    }

    #[test]
    fn steps_go_forward_by_two_at_most() {
        check_steps(&[(0, true), (0, true), (1, true), (3, true), (3, true), (2, false)]);
        check_steps(&[(1, true), (4, false)]);
        check_steps(&[(2, false)]);
        check_steps(&[(-1, false)]);
        check_steps(&[(i64::MAX, false)]);
    }

    #[test]
    fn another_version_or_ceremony_is_the_end() {
        let mut wrong = report(1, 0);
        wrong.version = "v1.10".into();
        let error = node().take_report(1, &wrong).expect_err("another version");
        assert_eq!(error, SyncError::Version { place: 1, found: "v1.10".into(), ours: V });
        for version in ["", "1.11", "v1.11\u{1b}[2J"] {
            wrong.version = version.into();
            let error = node().take_report(1, &wrong).expect_err("no version").to_string();
            assert!(!error.contains('\u{1b}'), "{error}");
        }
        assert_eq!(node().take_report(2, &report(1, 0)), Err(SyncError::Definition { place: 2 }));
    }

    #[test]
    fn a_barrier_is_passed_when_all_are_there() {
        let mut sync = node();
        assert_eq!(sync.not_connected(), [1, 2]);
        for place in [1, 2] {
            sync.take_report(place, &report(place, 1)).expect("taken");
            assert!(sync.not_connected().contains(&place), "it has not heard us");
            sync.take_answer(place, "").expect("taken");
        }
        assert!(sync.not_connected().is_empty());
        sync.go_to(1);
        assert_eq!(sync.has_passed(1), Ok(true));
        sync.take_report(1, &report(1, 2)).expect("taken");
        assert_eq!((sync.has_passed(2), sync.not_at(2)), (Ok(false), vec![2]));
        sync.take_report(1, &report(1, 3)).expect("taken");
        assert_eq!(sync.has_passed(1), Err(SyncError::Ahead { place: 1, found: 3, ours: 1 }));
        sync.lost_peer(1);
        sync.lost_reports(2);
        assert_eq!(sync.not_connected(), [1, 2]);
        assert_eq!(sync.not_at(2), [2], "steps stay");
    }

    #[test]
    fn everybody_leaves_together() {
        let mut sync = node();
        let mut last = report(1, 1);
        last.shutdown = true;
        sync.take_report(1, &last).expect("taken");
        assert_eq!(sync.not_parted(), [1, 2]);
        sync.knows_we_leave(1);
        assert_eq!(sync.not_parted(), [2]);
        let refused = sync.take_answer(2, "no \u{7}thanks").expect_err("refused");
        assert_eq!(refused, SyncError::Refused { place: 2, text: "no thanks".into() });
    }
}
