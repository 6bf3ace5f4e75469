//! The validator API before there is a machine: what beacon nodes answer is passed on, and the rest is told to wait.

use std::sync::OnceLock;

use coxswain_dv_beacon::server;
use coxswain_dv_eth::client::{Answer, Problem, Request};
use coxswain_dv_node::Handle;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};

/// What clients are told, with status 503.
const WAIT: &str = "this node waits for a beacon node that has read the chain: nothing is signed yet";

/// A machine that there will be.
#[derive(Default)]
pub(super) struct Soon(OnceLock<Handle>);

impl Soon {
    /// Here it is.
    pub(super) fn begin(&self, handle: Handle) {
        let _ = self.0.set(handle);
    }
}

impl server::Node for Soon {
    fn serve(&self, request: Request) -> BoxFuture<'_, Result<Answer, Problem>> {
        match self.0.get() {
            Some(handle) => handle.serve(request).boxed(),
            None => ready(Err(Problem::new(503, WAIT))).boxed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use coxswain_dv_beacon::server::Node as _;

    use super::*;

    #[tokio::test]
    async fn nothing_is_done_before_there_is_a_machine() {
        let answer = Soon::default().serve(Request::AttesterDuties { epoch: 1, validators: vec![1] }).await;
        assert_eq!(answer.map_err(|problem| (problem.status, problem.message)), Err((503, WAIT.to_owned())));
    }
}
