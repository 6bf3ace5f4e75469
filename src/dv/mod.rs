//! A distributed validator node on this machine: its directory, its key, and the file that says the key is in use.
//!
//! ```text
//! bytes ─disk→ files that are whole or not there
//! directories ─staging→ all of them, or none
//! key file ─key→ identity
//! key file ─claim→ held: no second node of this key runs      (dv-slashing, lease)
//! servers ─http→ answers, bounded in time and size             (where what is: obol_api)
//! file, API ─registrations→ whom blocks pay, while a node runs
//! router ─serve→ a server of ours, bounded in connections and time   (relay, api)
//! ```
//!
//! What files mean is read and written in the crates `dv-*`; here is only the edge. Commands are in `cli::dv`.

pub mod api;
pub mod archive;
pub mod chain;
pub mod claimed;
pub mod combine;
pub mod contracts;
pub mod create;
pub mod delivery;
pub mod deposits;
pub mod disk;
pub mod dkg;
pub mod doctor;
pub mod features;
pub mod history;
pub mod http;
pub mod key;
pub mod keymanager;
pub mod keystores;
pub mod obol_api;
pub mod registrations;
pub mod relay;
pub mod relays;
pub mod run;
pub mod serve;
pub mod staging;
pub mod verify;

/// The lock in a node's directory.
pub const LOCK: &str = "cluster-lock.json";
