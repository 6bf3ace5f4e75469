//! Beacon nodes, and the API that validator clients use.
//!
//! ```text
//! beacon nodes ←─ client ←─ Call, Answer of `dv_eth::beacon` ─── the node's core
//!      ↑                                                              ↑
//!      └─ what the node does not answer itself ─ server ── Request, Answer of `dv_eth::client`
//!                                                  ↑
//!                                          validator clients
//! ```
//!
//! Nothing is decided here: who may sign what, which key is whose and what is agreed on is the matter of the core.
//! <https://github.com/ethereum/beacon-APIs>.

pub mod client;
pub mod measure;
pub mod server;

#[cfg(test)]
#[path = "../../../tests/support/mutate.rs"]
mod mutate;

/// Makes ring the provider of TLS; only the first call in a process does something.
pub(crate) fn install_tls() {
    // An error says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
