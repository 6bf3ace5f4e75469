//! Several nodes are asked at once, and one answer is taken.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use coxswain_dv_eth::beacon::Failure;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::node::{Node, NodeError};

/// Whether an answer ends the race.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It does.
    Take,
    /// Another node may have a better one, which is waited for for a while.
    ForAWhile,
    /// The same, until all have answered.
    UntilAllAnswered,
}

/// How nodes are asked.
pub(crate) struct Plan<T> {
    /// Of each exchange.
    pub(crate) timeout: Duration,
    /// How long a while is.
    pub(crate) patience: Duration,
    pub(crate) keep: fn(&T) -> Keep,
    /// Whether the other exchanges go on when there is an answer.
    pub(crate) is_detached: bool,
    /// Whether fallback nodes are asked at once.
    pub(crate) is_for_all: bool,
}

/// The answer that was taken.
#[derive(Debug)]
pub(crate) struct Won<T> {
    pub(crate) answer: T,
    pub(crate) is_fallback: bool,
}

/// Asks the primaries, and the fallbacks where a primary is at fault.
pub(crate) async fn run<T, F, R>(
    primaries: &[Arc<Node>],
    fallbacks: &[Arc<Node>],
    plan: &Plan<T>,
    run: R,
) -> Result<Won<T>, NodeError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, NodeError>> + Send + 'static,
    R: Fn(Arc<Node>) -> F,
{
    if primaries.is_empty() && fallbacks.is_empty() {
        return Err(NodeError::nobody());
    }
    if plan.is_for_all {
        let all = primaries.iter().chain(fallbacks);
        let answer = first(all, plan, &run).await.map_err(NodeError::of)?;
        return Ok(Won { answer, is_fallback: false });
    }
    let mut errors = match first(primaries.iter(), plan, &run).await {
        Ok(answer) => return Ok(Won { answer, is_fallback: false }),
        Err(errors) => errors,
    };
    let are_at_fault = primaries.is_empty() || errors.iter().any(|error| error.is_node_at_fault);
    if fallbacks.is_empty() || !are_at_fault {
        return Err(NodeError::of(errors));
    }
    match first(fallbacks.iter(), plan, &run).await {
        Ok(answer) => Ok(Won { answer, is_fallback: true }),
        Err(more) => {
            errors.extend(more);
            Err(NodeError::of(errors))
        }
    }
}

async fn first<'n, T, F, R>(
    nodes: impl Iterator<Item = &'n Arc<Node>>,
    plan: &Plan<T>,
    run: &R,
) -> Result<T, Vec<NodeError>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, NodeError>> + Send + 'static,
    R: Fn(Arc<Node>) -> F,
{
    let mut running: FuturesUnordered<BoxFuture<'static, Result<T, NodeError>>> = nodes
        .map(|node| {
            let (limit, asked) = (plan.timeout, run(Arc::clone(node)));
            let node = Arc::clone(node);
            let is_for_all = plan.is_for_all;
            let asked = async move {
                let answer = timeout(limit, asked).await.unwrap_or_else(|_| Err(node.too_slow(limit)));
                if let Err(error) = &answer {
                    // Another node may answer, and then nobody hears of this one.
                    if is_for_all {
                        tracing::warn!(error = error.text, "a beacon node has not taken a block");
                    } else {
                        tracing::debug!(error = error.text, "a beacon node gave no answer");
                    }
                }
                answer
            };
            if plan.is_detached { detached(asked) } else { Box::pin(asked) as BoxFuture<'static, _> }
        })
        .collect();
    let mut errors = Vec::new();
    let mut kept = None;
    let mut until: Option<Instant> = None;
    loop {
        let next = match until {
            Some(until) => timeout_at(until, running.next()).await.unwrap_or(None),
            None => running.next().await,
        };
        match next {
            None => return kept.ok_or(errors),
            Some(Err(error)) => errors.push(error),
            Some(Ok(answer)) => match (plan.keep)(&answer) {
                Keep::Take => return Ok(answer),
                Keep::ForAWhile => {
                    until.get_or_insert_with(|| Instant::now() + plan.patience);
                    kept.get_or_insert(answer);
                }
                Keep::UntilAllAnswered => {
                    kept.get_or_insert(answer);
                }
            },
        }
    }
}

/// On a task of its own, which goes on when nobody waits for it.
fn detached<T: Send + 'static>(
    asked: impl Future<Output = Result<T, NodeError>> + Send + 'static,
) -> BoxFuture<'static, Result<T, NodeError>> {
    let task = tokio::spawn(asked);
    Box::pin(async move {
        task.await.unwrap_or_else(|_| {
            Err(NodeError {
                failure: Failure::Network,
                is_node_at_fault: true,
                text: "the call was broken off".to_owned(),
            })
        })
    })
}

impl NodeError {
    /// What several nodes said, as one: the kind of the one that said most, and all texts.
    pub(crate) fn of(errors: Vec<NodeError>) -> NodeError {
        let weight = |failure| match failure {
            // Trying again may help, whatever the others say.
            Failure::NotYet => 3,
            Failure::Refused => 2,
            Failure::Malformed => 1,
            Failure::Network => 0,
        };
        let failure = errors.iter().map(|error| error.failure).max_by_key(|failure| weight(*failure));
        NodeError {
            failure: failure.unwrap_or(Failure::Network),
            is_node_at_fault: errors.iter().any(|error| error.is_node_at_fault),
            text: errors.iter().map(|error| error.text.as_str()).collect::<Vec<_>>().join("; "),
        }
    }
}
