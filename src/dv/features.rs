//! Features that operators turn on and off, by charon's names: which there are, and what each does here.

use std::collections::BTreeSet;

use coxswain_dv_core::{Committees, Early, Features, OnSplit, Switch, Synthetic};
use coxswain_dv_qbft::consensus::Participation;
use coxswain_dv_qbft::timer::TimerFlags;

/// How far a feature is: it is on where a set takes as much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    Alpha,
    Beta,
    Stable,
}

/// What turning a feature on or off does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// What it says.
    Real,
    /// Nothing: what it does is always done.
    AlwaysOn,
    /// Nothing: there is nothing of this kind.
    None,
}

/// By name; all that charon has.
const FEATURES: [(&str, Status, Effect); 16] = [
    ("aggsigdb_v2", Status::Alpha, Effect::None),
    ("attestation_inclusion", Status::Alpha, Effect::AlwaysOn),
    ("chain_split_halt", Status::Alpha, Effect::Real),
    ("consensus_participate", Status::Stable, Effect::Real),
    ("disable_duties_cache", Status::Alpha, Effect::AlwaysOn),
    ("eager_double_linear", Status::Stable, Effect::Real),
    ("fetch_att_on_block", Status::Alpha, Effect::Real),
    ("fetch_att_on_block_with_delay", Status::Alpha, Effect::Real),
    ("fetch_only_commidx_0", Status::Stable, Effect::Real),
    (GNOSIS, Status::Alpha, Effect::None),
    ("json_requests", Status::Alpha, Effect::Real),
    ("linear", Status::Alpha, Effect::Real),
    ("mock_alpha", Status::Alpha, Effect::Real),
    ("proposal_timeout", Status::Stable, Effect::Real),
    ("quic", Status::Alpha, if cfg!(feature = "quic") { Effect::Real } else { Effect::None }),
    ("sse_reorg_duties", Status::Alpha, Effect::AlwaysOn),
];

/// The feature that is on by itself on Gnosis and its test network.
const GNOSIS: &str = "gnosis_block_hotfix";

/// A set that there is none of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no set of features; there are alpha, beta and stable")]
pub struct UnknownSet {
    /// As it was given.
    name: String,
}

/// What is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureSet {
    on: BTreeSet<&'static str>,
    /// Turned off by name.
    off: BTreeSet<&'static str>,
    /// Turned on by name, in the order of names.
    pub named: Vec<String>,
    /// Turned on or off by name, and nothing comes of it.
    pub idle: Vec<&'static str>,
    /// Names of no feature, as they were given.
    pub unknown: Vec<String>,
}

impl FeatureSet {
    /// What a set and lists of names come to. Upper and lower case are the same; a name in both lists is off.
    ///
    /// # Errors
    /// There is no such set.
    pub fn new(set: &str, enable: &[String], disable: &[String]) -> Result<FeatureSet, UnknownSet> {
        let sets = [("alpha", Status::Alpha), ("beta", Status::Beta), ("stable", Status::Stable)];
        let lowest = sets.iter().find(|(name, _)| name.eq_ignore_ascii_case(set));
        let (_, lowest) = lowest.ok_or_else(|| UnknownSet { name: set.to_owned() })?;
        let is_in = |list: &[String], name: &str| list.iter().any(|one| one.eq_ignore_ascii_case(name));
        let mut found = FeatureSet {
            on: BTreeSet::new(),
            off: BTreeSet::new(),
            named: Vec::new(),
            idle: Vec::new(),
            unknown: Vec::new(),
        };
        for (name, status, effect) in FEATURES {
            let (enabled, disabled) = (is_in(enable, name), is_in(disable, name));
            let is_on = (enabled || status >= *lowest) && !disabled;
            if is_on {
                found.on.insert(name);
            }
            if disabled {
                found.off.insert(name);
            }
            if enabled && !disabled {
                found.named.push(name.to_owned());
            }
            let is_idle = match effect {
                Effect::Real => false,
                Effect::AlwaysOn => disabled,
                Effect::None => enabled || disabled,
            };
            if is_idle {
                found.idle.push(name);
            }
        }
        let is_known = |name: &String| FEATURES.iter().any(|(known, ..)| known.eq_ignore_ascii_case(name));
        let given = enable.iter().chain(disable).filter(|name| !name.is_empty());
        found.unknown = given.filter(|name| !is_known(name)).cloned().collect();
        Ok(found)
    }

    /// The same on a network: where blocks are of other sizes, charon counts a feature for it as turned on by name, unless it
    /// is turned off. Here there is nothing to it, and dashboards compare nodes by it.
    #[must_use]
    pub fn on_network(mut self, name: &str) -> FeatureSet {
        let is_named = self.named.iter().any(|one| one == GNOSIS);
        if ["gnosis", "chiado"].contains(&name) && !self.off.contains(GNOSIS) && !is_named {
            self.on.insert(GNOSIS);
            self.named.push(GNOSIS.to_owned());
            self.named.sort_unstable();
        }
        self
    }

    /// Whether a feature is on.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.on.contains(name)
    }

    /// What of it the machine does.
    #[must_use]
    pub fn of_machine(&self, synthetic: Synthetic) -> Features {
        let switch = |name| if self.has(name) { Switch::On } else { Switch::Off };
        Features {
            timers: TimerFlags {
                eager_double_linear: self.has("eager_double_linear"),
                linear: self.has("linear"),
                proposal_timeout: self.has("proposal_timeout"),
            },
            participation: if self.has("consensus_participate") {
                Participation::Early
            } else {
                Participation::WithValue
            },
            committees: if self.has("fetch_only_commidx_0") { Committees::First } else { Committees::Each },
            synthetic,
            early: Early {
                on_head: switch("fetch_att_on_block"),
                delay: switch("fetch_att_on_block_with_delay"),
            },
            on_split: if self.has("chain_split_halt") { OnSplit::Halt } else { OnSplit::Follow },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(set: &str, enable: &[&str], disable: &[&str]) -> FeatureSet {
        let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        FeatureSet::new(set, &owned(enable), &owned(disable)).expect("a set")
    }

    #[test]
    fn without_flags_it_is_as_everywhere() {
        let found = set("stable", &[], &[]);
        assert_eq!(found.of_machine(Synthetic::Off), Features::STANDARD);
        assert_eq!((found.named, found.idle, found.unknown), (vec![], vec![], vec![]));
    }

    #[test]
    fn names_count_more_than_the_set() {
        let found = set("stable", &["Linear", "mock_alpha"], &["PROPOSAL_TIMEOUT"]);
        let timers = found.of_machine(Synthetic::Off).timers;
        assert!(timers.linear && timers.eager_double_linear && !timers.proposal_timeout);
        assert_eq!(found.named, ["linear", "mock_alpha"]);
        // In both lists: off.
        let found = set("alpha", &["linear"], &["linear"]);
        assert!(!found.has("linear") && found.has("mock_alpha") && found.named.is_empty());
        assert!(!set("beta", &[], &[]).has("mock_alpha"));
    }

    #[test]
    fn on_gnosis_its_feature_is_named_unless_it_is_off() {
        for network in ["gnosis", "chiado"] {
            let found = set("stable", &["mock_alpha", "aggsigdb_v2"], &[]).on_network(network);
            assert_eq!(found.named, ["aggsigdb_v2", "gnosis_block_hotfix", "mock_alpha"], "{network}");
            assert!(found.has("gnosis_block_hotfix"), "{network}");
            assert_eq!(found.idle, ["aggsigdb_v2"], "nobody has given it");
            assert_eq!(found.of_machine(Synthetic::Off), Features::STANDARD);
            let found = set("stable", &["GNOSIS_block_hotfix"], &[]).on_network(network);
            assert_eq!(found.named, ["gnosis_block_hotfix"], "once");
            for enabled in [&[][..], &["gnosis_block_hotfix"]] {
                let found = set("stable", enabled, &["Gnosis_Block_Hotfix"]).on_network(network);
                assert!(found.named.is_empty() && !found.has("gnosis_block_hotfix"), "{network}");
            }
        }
        for network in ["mainnet", "hoodi", ""] {
            assert!(set("stable", &[], &[]).on_network(network).named.is_empty(), "{network}");
        }
    }

    #[test]
    fn what_changes_nothing_is_named() {
        let found = set(
            "stable",
            &["aggsigdb_v2", "sse_reorg_duties", "no_such", ""],
            &["attestation_inclusion", "linear"],
        );
        assert_eq!(found.idle, ["aggsigdb_v2", "attestation_inclusion"]);
        assert_eq!(found.unknown, ["no_such"]);
        assert_eq!(found.named, ["aggsigdb_v2", "sse_reorg_duties"]);
    }

    #[test]
    fn every_switch_of_the_machine_has_its_name() {
        let changed = |enable: &[&str], disable: &[&str]| {
            let found = set("stable", enable, disable).of_machine(Synthetic::Off);
            assert_ne!(found, Features::STANDARD, "{enable:?} {disable:?}");
        };
        for name in ["linear", "chain_split_halt", "fetch_att_on_block", "fetch_att_on_block_with_delay"] {
            changed(&[name], &[]);
        }
        for name in
            ["eager_double_linear", "proposal_timeout", "consensus_participate", "fetch_only_commidx_0"]
        {
            changed(&[], &[name]);
        }
    }

    #[test]
    fn a_set_that_there_is_none_of_is_refused() {
        let error = FeatureSet::new("gamma", &[], &[]).expect_err("no set").to_string();
        assert_eq!(error, "`gamma` is no set of features; there are alpha, beta and stable");
    }

    #[test]
    fn features_are_in_the_order_of_names() {
        assert!(FEATURES.is_sorted_by_key(|(name, ..)| *name));
    }
}
