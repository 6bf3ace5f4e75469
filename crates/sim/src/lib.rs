//! Whole clusters in a simulated world: clocks, network, beacon nodes, validator clients and disks, all from one seed.
//! Development only. The nodes are those of `coxswain-dv-core`, bit by bit; everything around them is made up.
//!
//! ```text
//! seed ─→ setting ─→ plan ─→ world ⇄ machines (node, validator client, clock, disk)
//!                              ⇅
//!                    network · liars · beacon nodes     checks: at every event     demands: in good time
//! ```
//!
//! ```sh
//! cargo test -p coxswain-sim                                    # a bounded share
//! COXSWAIN_SIM_SEED=4711 cargo test -p coxswain-sim             # one seed, or FROM..TO
//! cargo run -p coxswain-sim --example million -- 1000000        # slots
//! cargo run -p coxswain-sim --example million -- seed 4711      # one seed, with all that happens
//! ```
//!
//! # What a seed draws
//!
//! - 3, 4, 5, 6, 7 or 10 nodes, up to a third of them liars, one honest one with a validator client that signs anything.
//! - Clocks wrong by up to 500 ms, too fast or too slow, and set by up to a minute, some by epochs, and back again.
//! - Messages late, out of order, twice or not at all; partitions; crashes and restarts. Votes of a first round that one
//!   node alone hears, so that what it decided must come again.
//! - Disks that fail, with and without the write on them; crashes in the middle of a write.
//! - Beacon nodes that are slow, down, late with the head, of two minds about what is justified; reorgs deep enough to
//!   change duties, seen by each node at another time.
//! - Validators that become active, or cease to be, in the middle.
//! - All types of duties; exits; registrations; blocks of builders for all, some or no nodes; Bellatrix before Electra, or
//!   Electra and Fulu from the beginning; one node of an older version.
//!
//! A liar is two nodes with one key: they see different chains, one of them a chain that cannot be; each talks to half of
//! the cluster, or one of them to all; both sign whatever their client says. Beside that it sends damaged and random bytes,
//! old messages, those of others, votes out of turn, in others' names or of other slots; it proposes what cannot be, says
//! that other values are decided or prepared, or proposes them with nothing to show for it; and it sends partial
//! signatures that contradict its own, of other slots and validators, or that are none.
//!
//! The client that signs anything signs beside each vote one that contradicts it (another head, around earlier votes,
//! around votes of now, of the future), also before anything is decided, beside each block another one, and votes of sync
//! committees that it did not sign.
//!
//! # What must hold
//!
//! Safety is looked at with every event, see `world/checks.rs`; that every duty of good time is done, at the end, see
//! `world/demands.rs`, which says what good time is.
//!
//! # What this has been seen to catch
//!
//! Nodes were broken on purpose, and each of these was found within the first six seeds:
//!
//! | Broken | Found as |
//! |---|---|
//! | consensus is never only watched (S9, S10) | a message of a duty that should be watched |
//! | the own share is taken from peers | the share comes from a peer |
//! | a refusal of the store is passed over | a signature that is not on the disk |
//! | a client's signature leaves before the store has judged it | a signature that is not on the disk |
//! | a write that failed counts as done | a signature that is not on the disk |
//! | the group's signature is submitted without its store (S7) | a submission that is not on the disk |
//! | a share is counted twice | shares put together that are too few |
//! | one vote less decides | two decisions for one block |
//! | what is over is not forgotten | things held when all is over |
//! | surrounding votes are allowed | two votes of a share of which one surrounds the other |
//! | the client's own signatures are not checked | a share that did not sign what leaves |
//! | the disk of the shares forgets (a test of its own) | two votes of a share with one target |
//!
//! `MUTATIONS.md` lists more, rule by rule, and what found each. Not shown by this yet: prepared values that are forgotten or
//! not justified, which tests of consensus find.
//!
//! # What it does not do
//!
//! - Signatures are digests in all worlds but one of 256: BLS and ECDSA are tested elsewhere.
//! - A file of the store that is damaged: the store refuses it, and its tests say so. Here a write is there or not.
//! - A store that starts empty with validators that have signed (S11), edits (S12), leases (S13).
//! - Several validator clients of one node; clients that ask the node for duties.

mod chain;
mod client;
mod clock;
mod dice;
mod keys;
mod machine;
mod report;
mod setting;
mod store;
mod trace;
mod world;

pub use keys::Vault;
pub use report::{Broken, Counts};
pub use setting::{Builders, First, Setting, Shares, Signatures, Trouble};
pub use world::{Outcome, Tracing, World};

/// Runs the world of a seed, for so many acts.
#[must_use]
pub fn run(seed: u64, acts: u64, vault: &mut Vault, tracing: Tracing) -> Outcome {
    World::new(seed, Setting::of(seed, acts), vault, tracing).run()
}
