//! What a node would have its cluster do, and what the cluster's preferences come to.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_dv_types::Root;

use crate::message::{WireError, WireMessage as _, encode};
use crate::priority::{
    PriorityMsg, PriorityResult, PriorityScoredResult, PriorityTopicProposal, PriorityTopicResult,
};
use crate::protocol::{PARSIGEX, PEERINFO, PRIORITY, PRIORITY_LEGACY, QBFT};
use crate::root::bytes_root;
use crate::well_known::{Any, TextValue};

/// The topic of versions.
pub const VERSION: &str = "version";
/// The topic of protocols.
pub const PROTOCOL: &str = "protocol";
/// The topic of kinds of blocks.
pub const PROPOSAL: &str = "proposal";

/// Longest text of a topic or a priority.
const MAX_TEXT: usize = 1024;
/// Most priorities of a topic: each counts for one thousand less its place.
const MAX_PRIORITIES: usize = 1000;
/// What the first priority of a node counts.
const FIRST: i64 = 1000;

/// What a node would have its cluster do; what it likes most comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preferences {
    /// Minor versions that it works with, the newest first.
    pub versions: Vec<String>,
    /// Protocols that it speaks.
    pub protocols: Vec<String>,
    /// Kinds of blocks that it proposes.
    pub proposals: Vec<String>,
}

impl Preferences {
    /// Of a node that works with all versions up to v1.11; of kinds of blocks, whole ones come last.
    #[must_use]
    pub fn standard(proposals: &[&str]) -> Preferences {
        let protocols = [QBFT, PARSIGEX, PEERINFO, PRIORITY, PRIORITY_LEGACY];
        Preferences {
            versions: (0..=11).rev().map(|minor| format!("v1.{minor}")).collect(),
            protocols: protocols.iter().map(|protocol| protocol.id.to_owned()).collect(),
            proposals: proposals.iter().chain(&["full"]).map(|text| (*text).to_owned()).collect(),
        }
    }

    /// As they go over the wire.
    #[must_use]
    pub fn topics(&self) -> Vec<PriorityTopicProposal> {
        let topic = |name: &str, priorities: &[String]| PriorityTopicProposal {
            topic: Some(TextValue::pack(name)),
            priorities: priorities.iter().map(|text| TextValue::pack(text)).collect(),
        };
        vec![
            topic(VERSION, &self.versions),
            topic(PROTOCOL, &self.protocols),
            topic(PROPOSAL, &self.proposals),
        ]
    }
}

/// The root of a priority, the priority, and what it counts.
type Score = (Root, Any, i64);

/// What preferences come to: topics by their roots, and of each what at least `required` nodes named.
///
/// # Errors
/// A node is there twice, names a topic or a priority twice or too many of them, or speaks of another duty.
pub fn calculate(mut messages: Vec<PriorityMsg>, required: usize) -> Result<PriorityResult, WireError> {
    let wrong = |why| WireError::Value { message: PriorityMsg::NAME, why };
    let given = messages.clone();
    messages.sort_by(|a, b| a.peer_id.cmp(&b.peer_id));
    let is_twice = messages.array_windows().any(|[a, b]| a.peer_id == b.peer_id);
    if is_twice {
        return Err(wrong("a node is there twice"));
    }
    if messages.array_windows().any(|[a, b]| a.duty != b.duty) {
        return Err(wrong("nodes speak of different duties"));
    }
    let mut topics: BTreeMap<Root, (Any, Vec<Score>)> = BTreeMap::new();
    for message in &messages {
        let mut seen = BTreeSet::new();
        for proposal in &message.topics {
            let topic = proposal.topic.clone().unwrap_or_default();
            let root = bytes_root(&encode(&topic));
            if !seen.insert(root) {
                return Err(wrong("a topic is there twice"));
            }
            let (_, scores) = topics.entry(root).or_insert_with(|| (topic, Vec::new()));
            score(scores, &proposal.priorities).map_err(wrong)?;
        }
    }
    let least = i64::try_from(required).unwrap_or(i64::MAX).saturating_sub(1).saturating_mul(FIRST);
    let result = |(topic, mut scores): (Any, Vec<Score>)| {
        scores.sort_by_key(|(_, _, score)| std::cmp::Reverse(*score));
        let kept = scores.into_iter().filter(|(_, _, score)| *score > least);
        let priorities = kept
            .map(|(_, priority, score)| PriorityScoredResult { priority: Some(priority), score })
            .collect();
        PriorityTopicResult { topic: Some(topic), priorities }
    };
    Ok(PriorityResult { msgs: given, topics: topics.into_values().map(result).collect() })
}

fn score(scores: &mut Vec<Score>, priorities: &[Any]) -> Result<(), &'static str> {
    if priorities.len() >= MAX_PRIORITIES {
        return Err("a topic has too many priorities");
    }
    let mut seen = BTreeSet::new();
    for (value, priority) in (0..=FIRST).rev().zip(priorities) {
        let root = bytes_root(&encode(priority));
        if !seen.insert(root) {
            return Err("a priority is there twice");
        }
        match scores.iter_mut().find(|(known, _, _)| *known == root) {
            Some((_, _, score)) => *score += value,
            None => scores.push((root, priority.clone(), value)),
        }
    }
    Ok(())
}

/// What was agreed on: topics and their priorities, as texts.
///
/// # Errors
/// One is no text.
pub fn read(result: &PriorityResult) -> Result<Vec<(String, Vec<String>)>, WireError> {
    let text = |any: &Option<Any>| TextValue::unpack(&any.clone().unwrap_or_default(), MAX_TEXT);
    let topic = |topic: &PriorityTopicResult| {
        let priorities = topic.priorities.iter().map(|one| text(&one.priority)).collect::<Result<_, _>>()?;
        Ok((text(&topic.topic)?, priorities))
    };
    result.topics.iter().map(topic).collect()
}

/// Major and minor number of a version; none of what is no version.
#[must_use]
pub fn minor_of(version: &str) -> Option<(u64, u64)> {
    let mut numbers = version.strip_prefix('v')?.split(['.', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
