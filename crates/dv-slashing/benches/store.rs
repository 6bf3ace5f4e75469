//! Durable commits of the store: how long a call takes with 1, 100 and 1,000 requests, and what comes around it.
//!
//! ```text
//! cargo bench -p coxswain-dv-slashing --bench store                 on the disk of the build
//! cargo bench -p coxswain-dv-slashing --bench store -- DIRECTORY    on another
//! ```
//!
//! Each call is an epoch's attestations of as many keys. A commit waits for the disk twice.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_slashing::machine::Disk;
use coxswain_dv_slashing::protect::{Request, Signer, Verdict, Wall, What};
use coxswain_dv_slashing::store::{FILE, KEEP_EPOCHS, KeyPair, Settings, Store, Strangers};

const KEYS: u32 = 1_000;
const CALLS: u64 = 200;
const WALL: Wall = Wall { slot: u64::MAX, epoch: u64::MAX };

fn key(number: u32, fill: u8) -> Bytes48 {
    let mut bytes = [fill; 48];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Bytes48::from(bytes)
}

fn settings() -> Settings {
    let keys = (0..KEYS).map(|number| KeyPair { group: key(number, 1), share: key(number, 2) }).collect();
    Settings { genesis_validators_root: [1; 32], keys, disk: Disk::Local }
}

fn votes(keys: u32, epoch: u64) -> Vec<Request> {
    let what = What::Attestation { source: epoch - 1, target: epoch, root: [7; 32] };
    (0..keys).map(|number| Request { key: key(number, 1), what }).collect()
}

fn open(dir: &Path) -> Store {
    Store::open(&dir.join(FILE), &settings()).expect("a store")
}

/// Calls of one size, and how long the middle and the slowest of a hundred took.
fn calls(store: &Store, keys: u32, first_epoch: u64) {
    let mut times = Vec::new();
    let begun = Instant::now();
    for epoch in first_epoch..first_epoch + CALLS {
        let requests = votes(keys, epoch);
        let begun = Instant::now();
        let verdicts = store.check_and_record(Signer::Share, &requests, WALL).expect("answers");
        times.push(begun.elapsed());
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Recorded));
    }
    let per_second = CALLS as f64 / begun.elapsed().as_secs_f64();
    times.sort();
    let at = |part: usize| times[times.len() * part / 100];
    println!(
        "{keys:>5} requests a call: {per_second:>8.1} commits/s, {:>8.2} ms in the middle, {:>8.2} ms at 99 of 100",
        ms(at(50)),
        ms(at(99))
    );
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = run();
    println!("{what:<60} {:>9.2} ms", ms(begun.elapsed()));
    result
}

fn main() {
    let under = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let under = under.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let dir = tempfile::tempdir_in(under).expect("a directory");
    let store = timed("making a store of 1,000 keys", || open(dir.path()));
    store.start_at(0, 0).expect("started");
    for (at, keys) in [1, 100, 1_000].into_iter().enumerate() {
        calls(&store, keys, 2 + at as u64 * CALLS);
    }
    let last = 1 + 3 * CALLS;
    let again = timed("1,000 that were signed before", || {
        store.check_and_record(Signer::Share, &votes(KEYS, last), WALL).expect("answers")
    });
    assert!(again.iter().all(|verdict| *verdict == Verdict::Again));
    let first = last + 1;
    for epoch in first..first + KEEP_EPOCHS {
        store.check_and_record(Signer::Group, &votes(KEYS, epoch), WALL).expect("answers");
    }
    println!(
        "the file has {} MB, and {} rows a key",
        store.size_bytes().expect("read") >> 20,
        CALLS + KEEP_EPOCHS
    );
    drop(store);
    let store = timed("opening it", || open(dir.path()));
    let summary = timed("what there is of each key", || store.summary().expect("read"));
    assert_eq!(summary.len(), KEYS as usize);
    let exported = timed("exporting it", || store.export_for(&store.groups()).expect("exported").to_text());
    println!("the interchange has {} MB", exported.len() >> 20);
    let read = timed("reading the interchange", || {
        coxswain_dv_slashing::interchange::Interchange::parse(exported.as_bytes()).expect("a history")
    });
    timed("importing it", || store.import(&read, Strangers::Refuse, WALL).expect("imported"));
    let before = Wall { slot: 0, epoch: first };
    let pruned = timed("pruning a part of it", || store.prune(before).expect("pruned"));
    println!("{} rows pruned", pruned.attestations);
    timed("pruning nothing", || store.prune(before).expect("pruned"));
}
