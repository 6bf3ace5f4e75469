//! Every figure that a node shows, by the names that dashboards and alerts of charon's users know.
//!
//! [`LEFT_OUT`] has the names that charon has and this node has not, each with its reason.

mod duties;

use coxswain_dv_beacon::measure::{CALL_BOUNDS, REQUEST_BOUNDS};
use coxswain_dv_net::PING_BUCKETS;
use coxswain_dv_net::run::SEND_BUCKETS;

use super::registry::{Kind, Metric};

pub(super) use duties::*;

/// Of the delay of heads, in seconds after the start of their slot.
const HEAD_BOUNDS: &[f64] = &[2.0, 4.0, 6.0, 8.0, 10.0, 12.0];
/// Of the delays of blocks.
const BLOCK_BOUNDS: &[f64] = &[0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 8.0, 10.0, 12.0];
/// Of the time from gossip to head.
const PROCESSING_BOUNDS: &[f64] = &[0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 2.0, 4.0];
const REORG_BOUNDS: &[f64] = &[1.0, 2.0, 4.0, 6.0, 8.0, 16.0];

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    bounds: &'static [f64],
    help: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Histogram(bounds), labels, help }
}

// The program and the cluster.
pub(super) const VERSION: Metric = gauge("app_version", &["version"], "1, with the version of this node");
pub(super) const GIT_COMMIT: Metric =
    gauge("app_git_commit", &["git_hash"], "1, with the sources of this node");
pub(super) const START_TIME: Metric =
    gauge("app_start_time_secs", &[], "When this node was started, in seconds after 1970");
pub(super) const PEER_NAME: Metric = gauge("app_peer_name", &["peer_name"], "1, with the name of this node");
pub(super) const FEATURE_FLAGS: Metric =
    gauge("app_feature_flags", &["feature_flags"], "1, with each feature that operators turned on by name");
pub(super) const NETWORK: Metric = gauge("cluster_network", &["network"], "1, with the network of the chain");
pub(super) const OPERATORS: Metric = gauge("cluster_operators", &[], "Nodes of the cluster");
pub(super) const THRESHOLD: Metric =
    gauge("cluster_threshold", &[], "Shares that make a signature of the group");
pub(super) const VALIDATORS: Metric = gauge("cluster_validators", &[], "Validators of the cluster");

// Beacon nodes.
pub(super) const BEACON_VERSION: Metric = gauge(
    "app_beacon_node_version",
    &["version", "beacon_id"],
    "1, with what a beacon node says it is, and its id among beacon nodes",
);
pub(super) const EXECUTION_VERSION: Metric = gauge(
    "app_execution_layer_version",
    &["version"],
    "1, with what the execution client of a beacon node is, where the beacon node tells it",
);
pub(super) const BEACON_PEERS: Metric =
    gauge("app_beacon_node_peers", &[], "Peers of the beacon node that has most of them");
pub(super) const HEAD_SLOT: Metric =
    gauge("app_beacon_node_sse_head_slot", &["addr"], "Slot of the last head that a beacon node told");
pub(super) const HEAD_DELAY: Metric = histogram(
    "app_beacon_node_sse_head_delay",
    &["addr"],
    HEAD_BOUNDS,
    "Seconds from the start of a slot to the news of its head",
);
pub(super) const BLOCK: Metric = histogram(
    "app_beacon_node_sse_block",
    &["addr"],
    BLOCK_BOUNDS,
    "Seconds from the start of a slot to the news that its block was imported",
);
pub(super) const BLOCK_GOSSIP: Metric = histogram(
    "app_beacon_node_sse_block_gossip",
    &["addr"],
    BLOCK_BOUNDS,
    "Seconds from the start of a slot to the news that its block came from the network",
);
pub(super) const BLOCK_PROCESSING: Metric = histogram(
    "app_beacon_node_sse_block_processing_time",
    &["addr"],
    PROCESSING_BOUNDS,
    "Seconds from the gossip of a block to the news that it is the head",
);
pub(super) const REORG_DEPTH: Metric = histogram(
    "app_beacon_node_sse_chain_reorg_depth",
    &["addr"],
    REORG_BOUNDS,
    "Slots that the chain gave up for another branch",
);
pub(super) const ETH2_REQUESTS: Metric =
    counter("app_eth2_requests_total", &["endpoint"], "Calls to beacon nodes");
pub(super) const ETH2_ERRORS: Metric =
    counter("app_eth2_errors_total", &["endpoint"], "Calls to beacon nodes that came to nothing");
pub(super) const ETH2_LATENCY: Metric = histogram(
    "app_eth2_latency_seconds",
    &["endpoint"],
    CALL_BOUNDS,
    "How long calls to beacon nodes take, in seconds",
);
pub(super) const USING_FALLBACK: Metric =
    gauge("app_eth2_using_fallback", &[], "1 where the last answer came from a fallback beacon node");
pub(super) const REGISTRATIONS: Metric =
    counter("core_scheduler_submit_registration_total", &[], "Submissions of registrations with builders");
pub(super) const REGISTRATION_ERRORS: Metric = counter(
    "core_scheduler_submit_registration_errors_total",
    &[],
    "Submissions of registrations with builders that failed",
);

// How the node is.
pub(super) const HEALTH: Metric = gauge(
    "app_health_checks",
    &["severity", "name", "description"],
    "1 where a check of this node's health fails, else 0",
);
pub(super) const HEALTH_FAILED: Metric = counter(
    "app_health_checks_failed_total",
    &["severity", "name", "description"],
    "How often a check of this node's health failed",
);
pub(super) const HIGH_CARDINALITY: Metric = gauge(
    "app_health_metrics_high_cardinality",
    &["name"],
    "Series of a name that has more of them than it should",
);
pub(super) const LOG_ERRORS: Metric = counter("app_log_error_total", &["topic"], "Errors in the log");
pub(super) const LOG_WARNINGS: Metric = counter("app_log_warn_total", &["topic"], "Warnings in the log");
pub(super) const LOKI_DROPPED: Metric =
    counter("app_log_loki_dropped_total", &[], "Lines of the log that servers of Loki did not get");
pub(super) const READYZ: Metric = gauge(
    "app_monitoring_readyz",
    &[],
    "1 ready; 2 no beacon node answers; 3 beacon node syncing; 4 too few peers; 5 no validator client; \
     7 beacon node without peers; 8 beacon node far behind",
);

// The process, where the system tells as Linux does; by the names of all clients of Prometheus.
pub(super) const CPU: Metric =
    counter("process_cpu_seconds_total", &[], "Time of processors that this process took, in seconds");
pub(super) const MAX_FDS: Metric = gauge("process_max_fds", &[], "Files that this process may have open");
pub(super) const OPEN_FDS: Metric = gauge("process_open_fds", &[], "Files that this process has open");
pub(super) const MEMORY: Metric =
    gauge("process_resident_memory_bytes", &[], "Memory of this process that is in RAM, in bytes");
pub(super) const PROCESS_START: Metric =
    gauge("process_start_time_seconds", &[], "When this process was started, in seconds after 1970");
pub(super) const VIRTUAL_MEMORY: Metric =
    gauge("process_virtual_memory_bytes", &[], "Addresses that this process has taken, in bytes");

// What peers say of themselves, and this node to them.
pub(super) const PEER_BUILDER: Metric =
    gauge("app_peerinfo_builder_api_enabled", &["peer"], "1 where the peer takes blocks from builders");
pub(super) const PEER_CLOCK: Metric =
    gauge("app_peerinfo_clock_offset_seconds", &["peer"], "How far the clock of the peer is ahead of ours");
pub(super) const PEER_CLIENT: Metric =
    gauge("app_peerinfo_dv_client", &["peer", "dv_client"], "1, with what the peer is");
pub(super) const PEER_COMMIT: Metric =
    gauge("app_peerinfo_git_commit", &["peer", "git_hash"], "1, with the sources of the peer");
pub(super) const PEER_INDEX: Metric =
    gauge("app_peerinfo_index", &["peer"], "Place of the peer in the cluster, from 0");
pub(super) const PEER_NICKNAME: Metric =
    gauge("app_peerinfo_nickname", &["peer", "peer_nickname"], "1, with what its operator calls the peer");
pub(super) const PEER_START: Metric =
    gauge("app_peerinfo_start_time_secs", &["peer"], "When the peer was started, in seconds after 1970");
pub(super) const PEER_VERSION: Metric =
    gauge("app_peerinfo_version", &["peer", "version"], "1, with the version of the peer");
pub(super) const PEER_SUPPORT: Metric =
    gauge("app_peerinfo_version_support", &["peer"], "1 where this node works with the version of the peer");

// Ours alone.
pub(super) const REFUSED: Metric =
    counter("core_refused_messages_total", &["peer", "protocol"], "Messages of a peer that were refused");
pub(super) const SLASHABLE: Metric = counter(
    "core_slashable_requests_total",
    &["duty", "signer"],
    "Signatures that were refused because they contradict others, by whose they would have been",
);
pub(super) const DISTRUSTED: Metric = gauge(
    "coxswain_peer_distrusted",
    &["peer"],
    "1 while the peer's signatures are checked one by one, because one of them was bad; 0 after that",
);

// The validator API.
pub(super) const API_REQUESTS: Metric = counter(
    "core_validatorapi_request_total",
    &["endpoint", "content_type"],
    "Requests of validator clients",
);
pub(super) const API_ERRORS: Metric = counter(
    "core_validatorapi_request_error_total",
    &["endpoint", "status_code"],
    "Requests of validator clients that failed; `proxy` are those that were passed on",
);
pub(super) const API_LATENCY: Metric = histogram(
    "core_validatorapi_request_latency_seconds",
    &["endpoint"],
    REQUEST_BOUNDS,
    "How long validator clients wait, in seconds",
);
pub(super) const API_PROXY_LATENCY: Metric = histogram(
    "core_validatorapi_proxy_request_latency_seconds",
    &["path"],
    REQUEST_BOUNDS,
    "How long requests take that are passed on, in seconds",
);
pub(super) const API_AGENT: Metric =
    gauge("core_validatorapi_vc_user_agent", &["user_agent"], "1, with the validator client that asked last");

// The network of nodes.
pub(super) const CONNECTIONS: Metric =
    counter("p2p_peer_connection_total", &["peer"], "Connections to the peer since the start");
pub(super) const CONNECTION_TYPES: Metric = gauge(
    "p2p_peer_connection_types",
    &["peer", "type", "protocol"],
    "Connections to the peer, by their way",
);
pub(super) const RELAY_CONNECTIONS: Metric =
    gauge("p2p_relay_connections", &["peer"], "Connections to the relay");
pub(super) const RELAY_TYPES: Metric = gauge(
    "p2p_relay_connection_types",
    &["peer", "type", "protocol"],
    "Connections to the relay, by their way",
);
pub(super) const RECEIVED_BYTES: Metric = counter(
    "p2p_peer_network_receive_bytes_total",
    &["peer", "protocol", "transport"],
    "Bytes of messages from the peer",
);
pub(super) const SENT_BYTES: Metric = counter(
    "p2p_peer_network_sent_bytes_total",
    &["peer", "protocol", "transport"],
    "Bytes of messages that the peer has taken",
);
pub(super) const PING_ERRORS: Metric =
    counter("p2p_ping_error_total", &["peer"], "Pings that the peer did not answer");
pub(super) const PING_LATENCY: Metric =
    histogram("p2p_ping_latency_secs", &["peer"], &PING_BUCKETS, "Round trips to the peer, in seconds");
pub(super) const PING_SUCCESS: Metric =
    gauge("p2p_ping_success", &["peer"], "1 where the peer answered the last ping");
pub(super) const REACHABILITY: Metric = gauge(
    "p2p_reachability_status",
    &[],
    "0: this node does not find out whether it is reachable from outside",
);
pub(super) const SEND_DURATION: Metric = histogram(
    "p2p_send_duration_seconds",
    &["peer", "protocol", "topic"],
    &SEND_BUCKETS,
    "How long it takes to send a message, in seconds",
);

/// All of them.
pub const ALL: &[Metric] = &[
    VERSION,
    GIT_COMMIT,
    START_TIME,
    PEER_NAME,
    FEATURE_FLAGS,
    NETWORK,
    OPERATORS,
    THRESHOLD,
    VALIDATORS,
    BEACON_VERSION,
    EXECUTION_VERSION,
    BEACON_PEERS,
    HEAD_SLOT,
    HEAD_DELAY,
    BLOCK,
    BLOCK_GOSSIP,
    BLOCK_PROCESSING,
    REORG_DEPTH,
    ETH2_REQUESTS,
    ETH2_ERRORS,
    ETH2_LATENCY,
    USING_FALLBACK,
    REGISTRATIONS,
    REGISTRATION_ERRORS,
    HEALTH,
    HEALTH_FAILED,
    HIGH_CARDINALITY,
    LOG_ERRORS,
    LOG_WARNINGS,
    LOKI_DROPPED,
    READYZ,
    CPU,
    MAX_FDS,
    OPEN_FDS,
    MEMORY,
    PROCESS_START,
    VIRTUAL_MEMORY,
    PEER_BUILDER,
    PEER_CLOCK,
    PEER_CLIENT,
    PEER_COMMIT,
    PEER_INDEX,
    PEER_NICKNAME,
    PEER_START,
    PEER_VERSION,
    PEER_SUPPORT,
    SLOT,
    EPOCH,
    SKIPPED,
    ACTIVE,
    BALANCE,
    STATUS,
    DECIDED_LEADER,
    DECIDED_ROUNDS,
    CONSENSUS_DURATION,
    CONSENSUS_ERRORS,
    CONSENSUS_TIMEOUTS,
    PARSIG_STORE,
    PARSIG_EXITS,
    BROADCASTS,
    BROADCAST_DELAY,
    EXPECTED,
    SUCCEEDED,
    FAILED,
    REASONS,
    ATTESTATIONS,
    ATTESTATIONS_DONE,
    INCONSISTENT,
    PARTICIPATION,
    PARTICIPATIONS,
    PARTICIPATIONS_DONE,
    PARTICIPATIONS_MISSED,
    PARTICIPATIONS_EXPECTED,
    SCHEDULED,
    INSUFFICIENT_ROUND_CHANGES,
    PROPOSAL_BLINDED,
    PROPOSAL_FEE_RECIPIENT,
    VERIFICATION,
    AGGREGATION,
    INCLUSION_DELAY,
    INCLUSION_MISSED,
    COHORT_RANK,
    UNEXPECTED,
    REFUSED,
    DISTRUSTED,
    SLASHABLE,
    API_REQUESTS,
    API_ERRORS,
    API_LATENCY,
    API_PROXY_LATENCY,
    API_AGENT,
    CONNECTIONS,
    CONNECTION_TYPES,
    RELAY_CONNECTIONS,
    RELAY_TYPES,
    RECEIVED_BYTES,
    SENT_BYTES,
    PING_ERRORS,
    PING_LATENCY,
    PING_SUCCESS,
    REACHABILITY,
    SEND_DURATION,
];

/// Names of charon that this node does not have, and why.
pub const LEFT_OUT: &[(&str, &str)] = &[
    ("app_cache_hits_total", "duties are asked for once an epoch: there is no cache in between"),
    ("app_cache_misses_total", "as app_cache_hits_total"),
    ("app_cache_invalidated_reorg_total", "as app_cache_hits_total"),
    ("app_validator_stack_params", "the command lines of other programs are not read"),
    ("p2p_peer_streams", "a stream lives as long as its message; there is nothing to be counted in between"),
];
