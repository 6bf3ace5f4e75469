//! Which of the nodes are asked: those of one chain. Whoever has several nodes may name one of another chain, whose answers are
//! as good as any to those who look only at one of them.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use coxswain_dv_eth::beacon::{CallError, Failure};
use coxswain_dv_eth::spec::Genesis;

use super::Backends;
use super::node::{Node, NodeError};

impl Backends {
    /// What each node says of the genesis of its chain, in the order of [`Backends::addresses`]; also those that are not asked
    /// anything else.
    pub async fn geneses(&self) -> Vec<Result<Genesis, CallError>> {
        let read = |node: Arc<Node>| async move { self.read_from(&node, "/eth/v1/beacon/genesis").await };
        self.each("genesis", read).await
    }

    /// From now on only these are asked, and heard, by their places in [`Backends::addresses`]. At first all are.
    pub fn ask_only(&self, places: BTreeSet<usize>) {
        *self.inner.chosen.lock().unwrap_or_else(PoisonError::into_inner) = Some(places);
    }

    /// Without what others say of themselves: nobody who looks at the cluster's chain wants it.
    pub(super) fn of_asked<T>(
        &self,
        endpoint: &'static str,
        all: Vec<Result<T, CallError>>,
    ) -> Vec<Result<T, CallError>> {
        let of_another = || {
            let NodeError { failure, text, .. } = NodeError::nobody();
            Err(CallError { endpoint, failure, message: text })
        };
        let all = all.into_iter().enumerate();
        all.map(|(place, said)| if self.is_asked(place) { said } else { of_another() }).collect()
    }

    pub(super) fn is_asked(&self, place: usize) -> bool {
        let chosen = self.inner.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        chosen.as_ref().is_none_or(|chosen| chosen.contains(&place))
    }

    /// Primaries and fallbacks that are asked.
    pub(super) fn asked(&self) -> [Vec<Arc<Node>>; 2] {
        let primaries = self.inner.primaries.len();
        let asked = self.nodes().enumerate().filter(|(place, _)| self.is_asked(*place));
        let (primaries, fallbacks): (Vec<_>, Vec<_>) = asked.partition(|(place, _)| *place < primaries);
        [primaries, fallbacks].map(|nodes| nodes.into_iter().map(|(_, node)| Arc::clone(node)).collect())
    }
}

impl NodeError {
    /// There is nobody to ask.
    pub(super) fn nobody() -> NodeError {
        NodeError {
            failure: Failure::Network,
            is_node_at_fault: true,
            text: "no beacon node has told yet that it is of the cluster's chain".to_owned(),
        }
    }
}
