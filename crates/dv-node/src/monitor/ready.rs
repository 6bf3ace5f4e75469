//! Whether a node can do its duties, looked at once a slot.
//!
//! The first of these that is so is what is said: no beacon node answers, it is syncing, it has no peers, it is far behind,
//! the clock was set, too few nodes of the cluster are connected, no validator client asks.

use coxswain_dv_eth::beacon::Syncing;

/// Slots that a beacon node may be behind: ten epochs, after which it does not know what validators have to do.
const FAR_BEHIND: u64 = 320;
/// Looks in a row with too few peers before that is said: peers restart.
const PATIENCE: u32 = 6;

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody has looked yet.
    Uninitialised,
    /// All is well.
    Ready,
    /// No beacon node answers.
    BeaconDown,
    /// The beacon node is still reading the chain.
    BeaconSyncing,
    /// Too few nodes of the cluster are connected.
    PeersMissing,
    /// No validator client asked anything in the last epoch.
    ClientMissing,
    /// The beacon node has no peers.
    BeaconAlone,
    /// The beacon node is far behind.
    BeaconBehind,
    /// The clock was set less than an epoch ago.
    ClockSet,
}

impl State {
    /// Its number in metrics; dashboards know them.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            State::Uninitialised => 0,
            State::Ready => 1,
            State::BeaconDown => 2,
            State::BeaconSyncing => 3,
            State::PeersMissing => 4,
            State::ClientMissing => 5,
            State::BeaconAlone => 7,
            State::BeaconBehind => 8,
            // Not one of charon's: it has no such state.
            State::ClockSet => 9,
        }
    }

    /// What `/readyz` answers.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            State::Uninitialised => "ready check uninitialised",
            State::Ready => "ok",
            State::BeaconDown => "beacon node down",
            State::BeaconSyncing => "beacon node not synced",
            State::PeersMissing => "quorum peers not connected",
            State::ClientMissing => "vc not connected",
            State::BeaconAlone => "beacon node has zero peers",
            State::BeaconBehind => "beacon node far behind",
            State::ClockSet => {
                "clock was set, or what was signed is ahead of it: consensus is only watched for a while"
            }
        }
    }
}

/// What is seen at one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// How far the beacon nodes are; or why none answers.
    pub syncing: Result<Syncing, String>,
    /// Peers of the beacon node that has most; none where that is not known.
    pub beacon_peers: Option<u64>,
    /// Other nodes of the cluster that are connected.
    pub peers: usize,
    /// The epoch of the clock.
    pub epoch: u64,
    /// Requests of validator clients since the start.
    pub requests: u64,
    /// Whether the clock was set less than an epoch ago.
    pub is_clock_new: bool,
    /// Whether the machine has begun: until then nothing is signed, however well all else is.
    pub has_begun: bool,
}

/// What is remembered between looks.
#[derive(Debug, Clone)]
pub struct Readiness {
    needed: usize,
    looks_without_peers: u32,
    epoch: Option<Epoch>,
    /// Whether clients asked in the last epoch that was seen whole.
    was_asked: bool,
    state: State,
}

/// The epoch of the last look.
#[derive(Debug, Clone, Copy)]
struct Epoch {
    number: u64,
    /// Requests at its first look.
    requests_at_begin: u64,
    extent: Extent,
}

/// How much of an epoch this node sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// All of it.
    Whole,
    /// What was left of it at the first look: a client may not have had to ask yet.
    Rest,
}

/// Other nodes that are needed in a cluster of so many: two thirds of all, without this one. As charon counts, whatever the
/// threshold of the cluster is: consensus needs them.
#[must_use]
pub fn needed_peers(nodes: usize) -> usize {
    (2 * nodes).div_ceil(3).saturating_sub(1)
}

impl Readiness {
    /// Of a cluster of so many nodes. Peers count as missing until they have come.
    #[must_use]
    pub fn new(nodes: usize) -> Readiness {
        Readiness {
            needed: needed_peers(nodes),
            looks_without_peers: PATIENCE,
            epoch: None,
            was_asked: true,
            state: State::Uninitialised,
        }
    }

    /// How the node was at the last look.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The clock was set. That counts at once, not only at the next look.
    pub fn clock_set(&mut self) {
        self.state = State::ClockSet;
    }

    /// Looks.
    pub fn look(&mut self, facts: &Facts) -> State {
        if facts.peers >= self.needed {
            self.looks_without_peers = 0;
        } else {
            self.looks_without_peers = self.looks_without_peers.saturating_add(1);
        }
        let epoch = self.epoch_of(facts);
        let asks_now = facts.requests > epoch.requests_at_begin;
        self.state = match self.judge(facts) {
            State::Ready if !self.was_asked && !asks_now => State::ClientMissing,
            state => state,
        };
        self.state
    }

    /// The epoch of a look; where it is another one than before, the one before is over.
    fn epoch_of(&mut self, facts: &Facts) -> Epoch {
        let (before, number, requests_at_begin) = (self.epoch, facts.epoch, facts.requests);
        let epoch = match before {
            Some(epoch) if epoch.number == number => epoch,
            Some(over) => {
                if over.extent == Extent::Whole {
                    self.was_asked = facts.requests > over.requests_at_begin;
                }
                Epoch { number, requests_at_begin, extent: Extent::Whole }
            }
            None => Epoch { number, requests_at_begin, extent: Extent::Rest },
        };
        self.epoch = Some(epoch);
        epoch
    }

    /// What is not about clients.
    fn judge(&self, facts: &Facts) -> State {
        match &facts.syncing {
            Err(_) => State::BeaconDown,
            Ok(syncing) if syncing.is_syncing => State::BeaconSyncing,
            Ok(_) if facts.beacon_peers == Some(0) => State::BeaconAlone,
            Ok(syncing) if syncing.sync_distance > FAR_BEHIND => State::BeaconBehind,
            Ok(_) if !facts.has_begun => State::Uninitialised,
            Ok(_) if facts.is_clock_new => State::ClockSet,
            Ok(_) if self.looks_without_peers >= PATIENCE => State::PeersMissing,
            Ok(_) => State::Ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: Syncing = Syncing { head_slot: 1000, sync_distance: 0, is_syncing: false };
    const GOOD: Facts = Facts {
        syncing: Ok(FINE),
        beacon_peers: Some(50),
        peers: 3,
        epoch: 1,
        requests: 1,
        is_clock_new: false,
        has_begun: true,
    };

    #[test]
    fn the_first_that_is_so_is_said() {
        let syncing = Syncing { is_syncing: true, sync_distance: 1000, ..FINE };
        let behind = |distance| Ok(Syncing { sync_distance: distance, ..FINE });
        for (facts, expected) in [
            (GOOD, State::Ready),
            (
                Facts { syncing: Err("no answer".to_owned()), beacon_peers: Some(0), peers: 0, ..GOOD },
                State::BeaconDown,
            ),
            (Facts { syncing: Ok(syncing), beacon_peers: Some(0), ..GOOD }, State::BeaconSyncing),
            (Facts { syncing: behind(1000), beacon_peers: Some(0), ..GOOD }, State::BeaconAlone),
            (Facts { syncing: behind(321), peers: 0, ..GOOD }, State::BeaconBehind),
            (Facts { syncing: behind(320), ..GOOD }, State::Ready),
            (Facts { beacon_peers: None, ..GOOD }, State::Ready),
            (Facts { is_clock_new: true, peers: 0, ..GOOD }, State::ClockSet),
            (Facts { has_begun: false, is_clock_new: true, ..GOOD }, State::Uninitialised),
            (Facts { peers: 1, ..GOOD }, State::PeersMissing),
            (Facts { peers: 2, ..GOOD }, State::Ready),
        ] {
            let mut readiness = Readiness::new(4);
            assert_eq!(readiness.state(), State::Uninitialised);
            assert_eq!(readiness.look(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn peers_may_be_away_for_five_slots() {
        let mut readiness = Readiness::new(4);
        let mut look = |peers| readiness.look(&Facts { peers, ..GOOD });
        assert_eq!(look(0), State::PeersMissing, "they have not come yet");
        assert_eq!(look(2), State::Ready);
        let states: Vec<State> = (0..7).map(|_| look(1)).collect();
        assert_eq!(states[..5], [State::Ready; 5]);
        assert_eq!(states[5..], [State::PeersMissing; 2]);
        assert_eq!(look(3), State::Ready);
    }

    #[test]
    fn a_validator_client_asks_in_every_epoch() {
        let mut readiness = Readiness::new(4);
        let mut look = |epoch, requests| readiness.look(&Facts { epoch, requests, ..GOOD });
        let script = [
            (5, 0, State::Ready),
            (5, 0, State::Ready),
            // Of epoch 5 only a part was seen: after a start shortly before its end no client had to ask in it.
            (6, 0, State::Ready),
            (6, 0, State::Ready),
            (7, 0, State::ClientMissing),
            (7, 0, State::ClientMissing),
            // Whoever asks is there, and need not wait for the end of the epoch.
            (7, 1, State::Ready),
            (7, 1, State::Ready),
            (8, 1, State::Ready),
            // The only request since the last look, which was in epoch 8: it is of that epoch.
            (9, 2, State::Ready),
            (10, 2, State::ClientMissing),
        ];
        for (epoch, requests, expected) in script {
            assert_eq!(look(epoch, requests), expected, "epoch {epoch}, {requests} requests");
        }
    }

    #[test]
    fn two_thirds_of_all_without_this_one_are_needed() {
        let needed: Vec<usize> = [3, 4, 5, 6, 7, 10].into_iter().map(needed_peers).collect();
        assert_eq!(needed, [1, 2, 3, 3, 4, 6]);
    }
}
