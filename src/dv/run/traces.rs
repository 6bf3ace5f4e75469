//! Traces of a node that runs.

use coxswain_dv_eth::time::Clock;
use coxswain_dv_node::Watch;
use coxswain_dv_node::monitor::Monitor;
use coxswain_dv_node::trace::{self, About, Collector, Exporting};

use super::{Run, RunError, node_name};

/// Traces as an operator wants them.
pub struct Traces {
    /// Where they go.
    pub collector: Collector,
    /// What the service is called there.
    pub service: String,
}

/// Who watches the machine: the monitor, and traces where they are wanted.
pub(super) fn watched(
    run: &Run,
    me: usize,
    clock: Clock,
    monitor: &Monitor,
) -> Result<(Box<dyn Watch>, Option<Exporting>), RunError> {
    let monitor = Box::new(monitor.clone());
    let Some(Traces { collector, service }) = &run.traces else { return Ok((monitor, None)) };
    let about = About {
        lock_hash: run.lock.lock_hash.to_vec(),
        service: service.clone(),
        version: run.version.to_string(),
        node: node_name(me),
        nickname: run.nickname.clone(),
        threshold: usize::try_from(run.lock.definition.threshold).unwrap_or(usize::MAX),
        clock,
    };
    let (tracer, exporting) = trace::start(collector, &about, monitor)?;
    Ok((Box::new(tracer), Some(exporting)))
}
