//! A store on a disk: what it records, refuses, forgets, hands on, and when it does not open.

#[path = "support/directories.rs"]
mod directories;

#[path = "support/stores.rs"]
mod stores;

use std::error::Error as _;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_slashing::interchange::Interchange;
use coxswain_dv_slashing::machine::Disk;
use coxswain_dv_slashing::protect::{Newest, Refusal, Request, Signer, Verdict, Wall};
use coxswain_dv_slashing::store::{KeyPair, Pruned, Store, StoreError, Strangers, Taken};
use coxswain_dv_slashing::verdict::{Floor, SignedAttestation, SignedBlock};
use directories::directory;
use stores::{CHAIN, attestation, block, group, settings, share};
use tempfile::TempDir;

const WALL: Wall = Wall { slot: 3_200, epoch: 100 };

fn file(dir: &TempDir) -> PathBuf {
    directories::file(dir.path())
}

/// The verdict on one request.
#[track_caller]
fn ask(store: &Store, request: Request) -> Verdict {
    store.check_and_record(Signer::Share, &[request], WALL).expect("an answer")[0]
}

/// A store of one group that never signed anything.
fn fresh() -> (TempDir, Store) {
    let dir = directory();
    let store = Store::open(&file(&dir), &settings([1])).expect("a store");
    assert_eq!(store.start_new(&[group(1)]).expect("started"), 1);
    (dir, store)
}

/// The same store, opened anew.
fn reopen(dir: &TempDir, store: Store) -> Store {
    drop(store);
    Store::open(&file(dir), &settings([1])).expect("the same store")
}

#[track_caller]
fn refused(result: Result<Store, StoreError>, expected: &str) {
    let error = result.expect_err(expected);
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    assert!(format!("{error}: {cause}").contains(expected), "{error}: {cause}");
    assert!(!error.next().is_empty());
}

#[test]
fn what_was_recorded_outlives_the_process() {
    let (dir, store) = fresh();
    assert_eq!(ask(&store, block(1, 7, 1)), Verdict::Recorded);
    assert_eq!(ask(&store, attestation(1, 3, 4, 1)), Verdict::Recorded);
    let store = reopen(&dir, store);
    assert_eq!(ask(&store, block(1, 7, 1)), Verdict::Again);
    assert_eq!(ask(&store, block(1, 7, 2)), Verdict::Refused(Refusal::DoubleBlock { slot: 7 }));
    assert_eq!(ask(&store, attestation(1, 3, 4, 1)), Verdict::Again);
    let surrounds = Refusal::Surrounds { source_epoch: 3, target: 4 };
    assert_eq!(ask(&store, attestation(1, 2, 5, 1)), Verdict::Refused(surrounds));
}

#[test]
fn the_two_ledgers_are_apart() {
    let (_dir, store) = fresh();
    let ask =
        |signer, root| store.check_and_record(signer, &[block(1, 7, root)], WALL).expect("an answer")[0];
    assert_eq!(ask(Signer::Share, 1), Verdict::Recorded);
    assert_eq!(ask(Signer::Group, 2), Verdict::Recorded);
    assert_eq!(ask(Signer::Group, 1), Verdict::Refused(Refusal::DoubleBlock { slot: 7 }));
    assert_eq!(ask(Signer::Share, 1), Verdict::Again);
}

#[test]
fn requests_of_one_call_are_compared_with_each_other() {
    let (_dir, store) = fresh();
    let requests = [
        block(1, 7, 1),
        block(1, 7, 2),
        block(1, 7, 1),
        block(9, 7, 1),
        attestation(1, 3, 9, 1),
        attestation(1, 4, 8, 1),
        attestation(1, 3, 102, 1),
    ];
    let verdicts = store.check_and_record(Signer::Share, &requests, WALL).expect("answers");
    let refused = Verdict::Refused;
    let expected = [
        Verdict::Recorded,
        refused(Refusal::DoubleBlock { slot: 7 }),
        Verdict::Again,
        refused(Refusal::UnknownKey),
        Verdict::Recorded,
        refused(Refusal::Surrounded { source_epoch: 3, target: 9 }),
        refused(Refusal::Future { now: 100 }),
    ];
    assert_eq!(verdicts, expected);
    assert_eq!(store.check_and_record(Signer::Share, &[], WALL).expect("none"), []);
}

/// `Again` and refusals write nothing: the file is the same, byte for byte.
#[test]
fn nothing_is_written_for_what_was_signed_before() {
    let (dir, store) = fresh();
    ask(&store, block(1, 7, 1));
    let before = fs::read(file(&dir)).expect("read");
    assert_eq!(ask(&store, block(1, 7, 1)), Verdict::Again);
    assert!(matches!(ask(&store, block(1, 7, 2)), Verdict::Refused(_)));
    assert!(fs::read(file(&dir)).expect("read") == before);
    ask(&store, block(1, 8, 1));
    assert!(fs::read(file(&dir)).expect("read") != before);
}

#[test]
fn a_key_without_history_signs_nothing_until_a_start_is_set() {
    let dir = directory();
    let store = Store::open(&file(&dir), &settings([1, 2])).expect("a store");
    assert!(store.is_empty().expect("read"));
    assert_eq!(ask(&store, block(1, 7, 1)), Verdict::Refused(Refusal::NotStarted));
    assert_eq!(store.start_new(&[group(2), group(9)]).expect("started"), 1);
    assert!(!store.is_empty().expect("read"));
    assert_eq!(store.not_started().expect("read"), [group(1)]);
    assert_eq!(store.start_at(320, 10).expect("started"), 1);
    assert_eq!(store.start_at(640, 20).expect("started"), 0);
    assert_eq!(store.floor(Signer::Share, &group(1)).expect("read"), Some(Floor::at(320, 10)));
    assert_eq!(store.floor(Signer::Group, &group(1)).expect("read"), Some(Floor::at(320, 10)));
    assert_eq!(store.floor(Signer::Share, &group(2)).expect("read"), Some(Floor::OPEN));
    assert_eq!(ask(&store, block(1, 320, 1)), Verdict::Refused(Refusal::OldBlock { lowest: 320 }));
    assert_eq!(ask(&store, block(1, 321, 1)), Verdict::Recorded);
    let old = ask(&store, attestation(1, 9, 10, 1));
    assert_eq!(old, Verdict::Refused(Refusal::OldTarget { lowest: 10 }));
    assert_eq!(ask(&store, attestation(1, 8, 11, 1)), Verdict::Refused(Refusal::OldSource { lowest: 9 }));
    assert_eq!(ask(&store, attestation(1, 9, 11, 1)), Verdict::Recorded);
    // A validator that is added later starts apart.
    drop(store);
    let store = Store::open(&file(&dir), &settings([1, 2, 3])).expect("a store");
    assert_eq!(store.not_started().expect("read"), [group(3)]);
    assert_eq!(ask(&store, block(1, 321, 2)), Verdict::Refused(Refusal::DoubleBlock { slot: 321 }));
}

#[test]
fn what_is_pruned_is_not_signed_again() {
    let (_dir, store) = fresh();
    for number in 1..=5 {
        ask(&store, block(1, number * 10, 1));
        ask(&store, attestation(1, number, number + 2, 1));
    }
    let pruned = store.prune(Wall { slot: 31, epoch: 5 }).expect("pruned");
    assert_eq!(pruned, Pruned { blocks: 3, attestations: 2 });
    let floor = Floor { blocks_to: Some(30), sources_below: 2, targets_to: Some(4) };
    assert_eq!(store.floor(Signer::Share, &group(1)).expect("read"), Some(floor));
    assert_eq!(store.floor(Signer::Group, &group(1)).expect("read"), Some(Floor::OPEN));
    assert_eq!(ask(&store, block(1, 30, 1)), Verdict::Refused(Refusal::OldBlock { lowest: 30 }));
    assert_eq!(ask(&store, block(1, 31, 1)), Verdict::Recorded);
    assert_eq!(ask(&store, attestation(1, 3, 5, 1)), Verdict::Again);
    assert_eq!(ask(&store, attestation(1, 1, 9, 1)), Verdict::Refused(Refusal::OldSource { lowest: 2 }));
    assert_eq!(store.prune(Wall { slot: 31, epoch: 5 }).expect("pruned"), Pruned::default());
    // All of it, also the last: its numbers stay.
    store.prune(Wall { slot: 9_999, epoch: 9_999 }).expect("pruned");
    let floor = Floor { blocks_to: Some(50), sources_below: 5, targets_to: Some(7) };
    assert_eq!(store.floor(Signer::Share, &group(1)).expect("read"), Some(floor));
    let summary = store.summary().expect("read");
    assert_eq!(summary[0].shares, [share(1)]);
    assert_eq!(summary[0].ledgers[0].floor, Some(floor));
    assert_eq!((summary[0].ledgers[0].blocks, summary[0].ledgers[0].last_slot), (0, None));
}

/// An interchange with one key.
fn history(
    key: Bytes48,
    blocks: &[(u64, Option<u8>)],
    attestations: &[(u64, u64, Option<u8>)],
) -> Interchange {
    let root = |byte: Option<u8>| byte.map(|byte| [byte; 32]);
    let blocks = blocks.iter().map(|(slot, byte)| SignedBlock { slot: *slot, root: root(*byte) });
    let attestations = attestations.iter().map(|(source, target, byte)| SignedAttestation {
        source: *source,
        target: *target,
        root: root(*byte),
    });
    let entry = coxswain_dv_slashing::interchange::Entry {
        key,
        blocks: blocks.collect(),
        attestations: attestations.collect(),
    };
    Interchange { genesis_validators_root: stores::CHAIN, entries: vec![entry] }
}

#[test]
fn a_share_is_another_name_of_its_group() {
    let dir = directory();
    let store = Store::open(&file(&dir), &settings([1])).expect("a store");
    let imported =
        store.import(&history(share(1), &[(7, Some(1))], &[(3, 4, None)]), Strangers::Refuse, WALL);
    let imported = imported.expect("imported");
    let taken = Taken {
        key: share(1),
        group: group(1),
        signer: Signer::Share,
        blocks: 1,
        attestations: 1,
        highest_slot: Some(7),
        highest_target: Some(4),
    };
    assert_eq!(imported.taken, [taken]);
    assert_eq!(ask(&store, block(1, 7, 1)), Verdict::Again);
    assert_eq!(ask(&store, block(1, 6, 1)), Verdict::Refused(Refusal::OldBlock { lowest: 7 }));
    assert_eq!(ask(&store, attestation(1, 3, 4, 1)), Verdict::Refused(Refusal::DoubleVote { target: 4 }));
    // After a reshare the group has another share, and the same history.
    drop(store);
    let mut reshared = settings([1]);
    reshared.keys[0].share = share(2);
    let store = Store::open(&file(&dir), &reshared).expect("a store");
    assert_eq!(ask(&store, block(1, 7, 2)), Verdict::Refused(Refusal::DoubleBlock { slot: 7 }));
    store.import(&history(share(1), &[(9, None)], &[]), Strangers::Refuse, WALL).expect("by its former name");
    assert_eq!(ask(&store, block(1, 8, 1)), Verdict::Refused(Refusal::OldBlock { lowest: 9 }));
    assert_eq!(store.summary().expect("read")[0].shares, [share(1), share(2)]);
    // A share that is another group's already is a wrong lock.
    drop(store);
    let mut wrong = settings([1, 3]);
    wrong.keys[1].share = share(1);
    refused(Store::open(&file(&dir), &wrong), "the share 0x8181");
}

#[test]
fn strangers_are_named() {
    let (_dir, store) = fresh();
    let mut two = history(group(1), &[], &[]);
    two.entries.extend(history(share(9), &[(4, None)], &[]).entries);
    let error = store.import(&two, Strangers::Refuse, WALL).expect_err("a stranger");
    assert!(error.to_string().contains("has 1 keys") && error.to_string().contains("0x8989"), "{error}");
    let imported = store.import(&two, Strangers::Skip, WALL).expect("the other one");
    assert_eq!(imported.strangers, [share(9)]);
    let [taken] = &imported.taken[..] else { panic!("{imported:?}") };
    assert_eq!((taken.key, taken.blocks, taken.attestations), (group(1), 0, 0));
    let mut foreign = two;
    foreign.genesis_validators_root = [9; 32];
    let error = store.import(&foreign, Strangers::Skip, WALL).expect_err("another chain");
    assert!(error.to_string().contains("of the chain"), "{error}");
}

/// A history that says something else about a message of ours makes it differ from all others.
#[test]
fn what_two_histories_tell_differently_is_not_signed_again() {
    let (_dir, store) = fresh();
    ask(&store, block(1, 7, 1));
    ask(&store, block(1, 8, 1));
    ask(&store, attestation(1, 3, 4, 1));
    let other = history(group(1), &[(7, Some(2)), (8, Some(1))], &[(2, 4, Some(1))]);
    store.import(&other, Strangers::Refuse, WALL).expect("imported");
    for root in [1, 2] {
        assert_eq!(ask(&store, block(1, 7, root)), Verdict::Refused(Refusal::DoubleBlock { slot: 7 }));
        let double = Verdict::Refused(Refusal::DoubleVote { target: 4 });
        assert_eq!(ask(&store, attestation(1, 3, 4, root)), double);
    }
    assert_eq!(ask(&store, block(1, 8, 1)), Verdict::Again);
}

/// A row whose target is covered from elsewhere still must not be surrounded.
#[test]
fn a_floor_covers_the_sources_of_its_rows() {
    let (_dir, store) = fresh();
    ask(&store, attestation(1, 7, 8, 1));
    store.import(&history(group(1), &[], &[(0, 8, None)]), Strangers::Refuse, WALL).expect("imported");
    let surrounds = Verdict::Refused(Refusal::OldSource { lowest: 7 });
    assert_eq!(ask(&store, attestation(1, 6, 13, 1)), surrounds);
    assert_eq!(ask(&store, attestation(1, 7, 13, 1)), Verdict::Recorded);
    store.raise(&[group(1)], Floor { targets_to: Some(13), ..Floor::OPEN }).expect("raised");
    ask(&store, attestation(1, 20, 21, 1));
    store.raise(&[group(1)], Floor { targets_to: Some(30), ..Floor::OPEN }).expect("raised");
    assert_eq!(ask(&store, attestation(1, 19, 31, 1)), Verdict::Refused(Refusal::OldSource { lowest: 20 }));
    let exported = store.export_for(&store.groups()).expect("exported");
    assert_eq!(exported, history(group(1), &[], &[(20, 30, None)]));
}

/// The ledgers have floors of their own after pruning.
#[test]
fn what_is_exported_covers_both_ledgers() {
    let (_dir, store) = fresh();
    let votes = [attestation(1, 1, 10, 1), attestation(1, 2, 12, 1)];
    store.check_and_record(Signer::Share, &votes, WALL).expect("recorded");
    store.check_and_record(Signer::Group, &[attestation(1, 7, 9, 1)], WALL).expect("recorded");
    store.prune(Wall { slot: 0, epoch: 0 }).expect("pruned");
    store.raise(&[group(1)], Floor { targets_to: Some(2), ..Floor::OPEN }).expect("raised");
    assert_eq!(store.prune(Wall { slot: 0, epoch: 9 }).expect("pruned"), Pruned::default());
    let pruned = store.prune(Wall { slot: 0, epoch: 11 }).expect("pruned");
    assert_eq!(pruned, Pruned { blocks: 0, attestations: 2 });
    let exported = store.export_for(&store.groups()).expect("exported");
    assert_eq!(exported, history(group(1), &[], &[(7, 10, None), (2, 12, Some(1))]));
}

#[test]
fn what_is_exported_refuses_what_the_store_refuses() {
    let (_dir, store) = fresh();
    store.raise(&[group(1)], Floor::at(5, 2)).expect("raised");
    ask(&store, block(1, 7, 1));
    ask(&store, attestation(1, 3, 4, 1));
    let both = [attestation(1, 3, 4, 2), attestation(1, 4, 5, 1)];
    store.check_and_record(Signer::Group, &both, WALL).expect("recorded");
    let exported = store.export_for(&[KeyPair { group: group(1), share: share(9) }]).expect("exported");
    let blocks = [(5, None), (7, Some(1))];
    let attestations = [(1, 2, None), (3, 4, None), (4, 5, Some(1))];
    assert_eq!(exported, history(share(9), &blocks, &attestations));
    assert_eq!(Interchange::parse(exported.to_text().as_bytes()).expect("a history"), exported);
    assert_eq!(store.export_for(&store.groups()).expect("exported").entries[0].key, group(1));
}

/// Of whichever group, by whom it was signed; and not where histories start.
#[test]
fn the_newest_is_known() {
    let (dir, store) = fresh();
    let newest =
        |store: &Store| [Signer::Share, Signer::Group].map(|signer| store.newest(signer).expect("read"));
    store.raise(&[group(1)], Floor::at(5, 2)).expect("raised");
    assert_eq!(newest(&store), [Newest::default(); 2]);
    for request in [block(1, 9, 1), block(1, 7, 1), attestation(1, 4, 8, 1), attestation(1, 3, 4, 1)] {
        ask(&store, request);
    }
    store.check_and_record(Signer::Group, &[block(1, 8, 1)], WALL).expect("recorded");
    let of_share = Newest { slot: Some(9), target: Some(8) };
    let of_group = Newest { slot: Some(8), target: None };
    assert_eq!(newest(&store), [of_share, of_group]);
    // What was forgotten is older than what is kept.
    store.prune(Wall { slot: 9, epoch: 8 }).expect("pruned");
    assert_eq!(newest(&store), [of_share, Newest::default()]);
    drop(store);
    let other = Store::open(&file(&dir), &settings([2])).expect("a store");
    assert_eq!(newest(&other), [of_share, Newest::default()], "also of groups that are not asked for");
}

#[test]
fn a_history_is_handed_over_once() {
    let (dir, store) = fresh();
    ask(&store, block(1, 7, 1));
    let to = dir.path().join("new/slashing.redb");
    let mut reshared = settings([1, 2]);
    reshared.keys[0].share = share(5);
    let floor = Floor::at(64, 2);
    store.hand_over(&to, &reshared, floor).expect("handed over");
    let error = store.check_and_record(Signer::Share, &[block(1, 7, 1)], WALL).expect_err("closed");
    assert!(matches!(error, StoreError::HandedOver { .. }), "{error}");
    assert!(matches!(store.start_at(1, 1), Err(StoreError::HandedOver { .. })));
    drop(store);
    refused(Store::open(&file(&dir), &settings([1])), "was handed over to");
    let old = Store::look(&file(&dir), Disk::Local).expect("to read");
    assert_eq!((old.chain(), old.groups().len()), (CHAIN, 1));
    drop(old);
    let old = Store::inspect(&file(&dir), &settings([1])).expect("to read");
    assert_eq!(old.handed_over_to(), Some(to.display().to_string().as_str()));
    assert!(matches!(old.prune(WALL), Err(StoreError::HandedOver { .. })));
    assert_eq!(old.summary().expect("read")[0].ledgers[0].blocks, 1);
    assert!(matches!(
        old.hand_over(&dir.path().join("x/y"), &reshared, floor),
        Err(StoreError::HandedOver { .. })
    ));
    assert!(matches!(old.hand_over(&to, &reshared, floor), Err(StoreError::Exists { .. })));
    let new = Store::open(&to, &reshared).expect("the new store");
    assert_eq!(new.floor(Signer::Group, &group(1)).expect("read"), Some(floor));
    assert_eq!(new.floor(Signer::Share, &group(2)).expect("read"), Some(floor));
    assert_eq!(ask(&new, block(1, 7, 1)), Verdict::Again);
    assert_eq!(ask(&new, block(1, 64, 1)), Verdict::Refused(Refusal::OldBlock { lowest: 64 }));
    assert_eq!(ask(&new, block(1, 65, 1)), Verdict::Recorded);
    assert_eq!(new.summary().expect("read")[0].shares, [share(1), share(5)]);
}

/// The machine stops after the old store is closed and before the new one has its name.
#[test]
fn a_handover_that_stopped_goes_on() {
    let (dir, store) = fresh();
    ask(&store, block(1, 7, 1));
    let to = dir.path().join("new/slashing.redb");
    store.hand_over(&to, &settings([1]), Floor::at(64, 2)).expect("handed over");
    fs::rename(&to, dir.path().join("new/slashing.redb.part")).expect("as before the last step");
    drop(store);
    let old = Store::inspect(&file(&dir), &settings([1])).expect("to read");
    old.hand_over(&to, &settings([1]), Floor::at(64, 2)).expect("handed over");
    assert_eq!(ask(&Store::open(&to, &settings([1])).expect("a store"), block(1, 7, 1)), Verdict::Again);
}

#[test]
fn files_are_the_owners() {
    let (dir, store) = fresh();
    let mode = |path: &std::path::Path| fs::metadata(path).expect("there").permissions().mode() & 0o7777;
    assert_eq!(mode(&file(&dir)), 0o600);
    assert_eq!(mode(file(&dir).parent().expect("a directory")), 0o700);
    drop(store);
    fs::set_permissions(file(&dir), fs::Permissions::from_mode(0o620)).expect("changed");
    refused(Store::open(&file(&dir), &settings([1])), "has the mode 620");
    fs::set_permissions(file(&dir), fs::Permissions::from_mode(0o600)).expect("changed");
    let parent = file(&dir).parent().expect("a directory").to_owned();
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o777)).expect("changed");
    refused(Store::open(&file(&dir), &settings([1])), "has the mode 777");
}

#[test]
fn a_second_opener_learns_who_has_it() {
    let (dir, store) = fresh();
    let process = format!("process {}", std::process::id());
    refused(Store::open(&file(&dir), &settings([1])), &process);
    // Also where the note of the holder is gone.
    fs::remove_file(dir.path().join("slashing/slashing.redb.holder")).expect("removed");
    refused(Store::open(&file(&dir), &settings([1])), "is open in another process");
    drop(store);
    Store::open(&file(&dir), &settings([1])).expect("free again");
}

#[test]
fn another_chain_and_another_format_are_refused() {
    let (dir, store) = fresh();
    drop(store);
    let mut other = settings([1]);
    other.genesis_validators_root = [9; 32];
    refused(Store::open(&file(&dir), &other), "genesis_validators_root 0x2121");
    let database = redb::Database::open(file(&dir)).expect("a database");
    let transaction = database.begin_write().expect("begun");
    let meta = redb::TableDefinition::<&str, &[u8]>::new("meta");
    transaction.open_table(meta).expect("a table").insert("format", b"later".as_slice()).expect("written");
    transaction.commit().expect("committed");
    drop(database);
    refused(Store::open(&file(&dir), &settings([1])), "has the format \"later\"");
}

#[test]
fn a_file_that_is_no_store_is_refused_and_kept() {
    let dir = directory();
    drop(Store::open(&file(&dir), &settings([1])).expect("a store"));
    for content in [b"".as_slice(), b"text", &[0; 8192], &[0xff; 100_000]] {
        fs::write(file(&dir), content).expect("written");
        refused(Store::open(&file(&dir), &settings([1])), "is damaged");
        assert_eq!(fs::read(file(&dir)).expect("read"), content);
    }
}

/// Opens a store after a byte of it changed: it is refused, or has all that was recorded.
#[track_caller]
fn damage(dir: &TempDir, whole: &[u8], requests: &[Request], (at, mask): (usize, u8)) -> bool {
    let mut damaged = whole.to_vec();
    damaged[at] ^= mask;
    fs::write(file(dir), &damaged).expect("written");
    match Store::open(&file(dir), &settings([1])) {
        Err(error) => {
            let is_told = matches!(error, StoreError::Damaged { .. } | StoreError::Older { .. });
            assert!(is_told, "{at}: {error:?}");
            false
        }
        Ok(store) => {
            let again = store.check_and_record(Signer::Share, requests, WALL).expect("answers");
            assert!(again.iter().all(|verdict| *verdict == Verdict::Again), "byte {at}, mask {mask:x}");
            true
        }
    }
}

/// A store with many commits, as it is after it was closed and as a crash leaves it, and what it recorded.
fn whole() -> (TempDir, [Vec<u8>; 2], Vec<Request>) {
    let (dir, store) = fresh();
    let requests: Vec<_> = (1..=90).map(|slot| block(1, slot, 1)).collect();
    for requests in requests.chunks(30) {
        store.check_and_record(Signer::Share, requests, WALL).expect("recorded");
    }
    let crashed = fs::read(file(&dir)).expect("read");
    drop(store);
    let closed = fs::read(file(&dir)).expect("read");
    (dir, [closed, crashed], requests)
}

#[test]
fn a_damaged_file_never_forgets() {
    let (dir, states, requests) = whole();
    for whole in states {
        let places: Vec<_> = (0..whole.len()).step_by(541).collect();
        let unharmed = places.iter().filter(|at| damage(&dir, &whole, &requests, (**at, 0x41))).count();
        let refused = places.len() - unharmed;
        assert!(refused > 5 && unharmed > 5, "{refused} refused, {unharmed} unharmed of {}", whole.len());
    }
}

#[test]
fn a_store_that_is_gone_is_not_begun_anew() {
    let (dir, store) = fresh();
    drop(store);
    fs::remove_file(file(&dir)).expect("removed");
    refused(Store::open(&file(&dir), &settings([1])), "is not there");
    refused(Store::inspect(&file(&dir), &settings([1])), "is not there");
    refused(Store::look(&file(&dir), Disk::Local), "is not there");
    assert!(!file(&dir).exists());
}

/// Who looks may be another user than the node's, which could not open what it makes.
#[test]
fn looking_makes_no_file() {
    let (dir, store) = fresh();
    ask(&store, block(1, 7, 1));
    drop(store);
    let listed = || {
        let entries = fs::read_dir(file(&dir).parent().expect("a directory")).expect("listed");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
        names.sort();
        names
    };
    let all = listed();
    assert_eq!(all, ["slashing.redb", "slashing.redb.commits", "slashing.redb.holder"]);
    for name in ["slashing.redb.commits", "slashing.redb.holder"] {
        fs::remove_file(file(&dir).with_file_name(name)).expect("removed");
    }
    let look = || Store::look(&file(&dir), Disk::Local);
    let looked = look().expect("to read");
    assert_eq!(listed(), ["slashing.redb"]);
    refused(look(), "is open in");
    refused(Store::open(&file(&dir), &settings([1])), "is open in");
    drop(looked);
    // What writes makes them again, and counts on from what was there.
    let store = Store::open(&file(&dir), &settings([1])).expect("a store");
    assert_eq!(ask(&store, block(1, 7, 1)), Verdict::Again);
    assert_eq!(ask(&store, block(1, 8, 1)), Verdict::Recorded);
    let count = fs::read_to_string(file(&dir).with_file_name("slashing.redb.commits")).expect("counted");
    assert!(count.parse::<u64>().expect("a number") > 2, "{count}");
    assert_eq!(listed(), all);
}

/// A store that is looked at is not changed by any call, nor is what counts its commits.
#[test]
fn looking_writes_nothing() {
    let (dir, store) = fresh();
    ask(&store, block(1, 7, 1));
    ask(&store, attestation(1, 3, 4, 1));
    let before = store.export_for(&store.groups()).expect("exported");
    drop(store);
    let commits = file(&dir).with_file_name("slashing.redb.commits");
    // As after a crash between a commit and its count.
    fs::write(&commits, "00000000000000000001").expect("written");
    let looked = Store::look(&file(&dir), Disk::Local).expect("to read");
    let to = dir.path().join("new/slashing.redb");
    let refusals = [
        looked.prune(WALL).map(drop),
        looked.check_and_record(Signer::Share, &[block(1, 8, 1)], WALL).map(drop),
        // What was signed before is in the store, and nobody may say so without the right to write.
        looked.check_and_record(Signer::Share, &[block(1, 7, 1)], WALL).map(drop),
        looked.start_at(9, 9).map(drop),
        looked.raise(&[group(1)], Floor::at(9, 9)),
        looked.hand_over(&to, &settings([1]), Floor::OPEN),
    ];
    for (call, refusal) in refusals.into_iter().enumerate() {
        assert!(matches!(refusal, Err(StoreError::LookedAt { .. })), "{call}: {refusal:?}");
    }
    let more = history(share(1), &[(9, None)], &[]);
    let imported = looked.import(&more, Strangers::Refuse, WALL).expect_err("it is only looked at");
    assert!(imported.to_string().contains("to be looked at, and not to be written"), "{imported}");
    assert_eq!(looked.export_for(&looked.groups()).expect("exported"), before);
    drop(looked);
    assert!(!to.exists());
    assert_eq!(fs::read_to_string(&commits).expect("read"), "00000000000000000001");
    let older = format!("{:020}", u64::MAX);
    fs::write(&commits, &older).expect("written");
    refused(Store::look(&file(&dir), Disk::Local), "commits, and had");
}

/// Files that the superuser's commands make belong to whom the store belongs.
#[test]
fn what_is_made_beside_a_store_belongs_to_its_owner() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: this is not the superuser");
        return;
    }
    let (dir, store) = fresh();
    drop(store);
    for name in ["slashing.redb.commits", "slashing.redb.holder"] {
        fs::remove_file(file(&dir).with_file_name(name)).expect("removed");
    }
    std::os::unix::fs::chown(file(&dir), Some(65_534), Some(65_534)).expect("given away");
    drop(Store::open(&file(&dir), &settings([1])).expect("a store"));
    for name in ["slashing.redb.commits", "slashing.redb.holder"] {
        let made = fs::metadata(file(&dir).with_file_name(name)).expect("made");
        assert_eq!((made.uid(), made.gid(), made.mode() & 0o777), (65_534, 65_534, 0o600), "{name}");
    }
}

#[test]
fn threads_wait_for_each_other() {
    let (_dir, store) = fresh();
    let recorded = std::thread::scope(|scope| {
        let each = |root| {
            let store = &store;
            scope.spawn(move || {
                (1..=40).filter(|slot| ask(store, block(1, *slot, root)) == Verdict::Recorded).count()
            })
        };
        let threads: Vec<_> = (1..=4).map(each).collect();
        threads.into_iter().map(|thread| thread.join().expect("ended")).sum::<usize>()
    });
    assert_eq!(recorded, 40);
}

#[test]
fn a_history_of_the_future_is_refused() {
    let (_dir, store) = fresh();
    let refused = |blocks: &[_], attestations: &[_], expected: &str| {
        let error = store.import(&history(share(1), blocks, attestations), Strangers::Refuse, WALL);
        assert!(error.expect_err(expected).to_string().ends_with(expected), "{expected}");
    };
    refused(&[(3_297, None)], &[], "has signed a block of slot 3297, and the clock says 3200");
    refused(&[], &[(3, 103, None)], "an attestation from epoch 3 to 103, and the clock says 100");
    refused(
        &[(3_296, None)],
        &[(103, 3, None)],
        "an attestation from epoch 103 to 3, and the clock says 100",
    );
    assert_eq!(store.floor(Signer::Share, &group(1)).expect("read"), Some(Floor::OPEN));
    let last = history(share(1), &[(3_296, None)], &[(101, 102, None)]);
    store.import(&last, Strangers::Refuse, WALL).expect("imported");
}

/// A node that starts without a history holds back more than the clock has seen. Its export is taken from then on, also
/// where the clock that reads it is behind.
#[test]
fn what_a_node_without_a_history_holds_back_can_be_imported_at_once() {
    let wall = |slot: u64| Wall { slot, epoch: slot / 32 };
    for boot in [0, 1, 31, 32, 3_200, 3_231] {
        let silent = boot / 32 + 1;
        let dir = directory();
        let old = Store::open(&file(&dir), &settings([1])).expect("a store");
        assert_eq!(old.start_at((silent + 1) * 32 - 1, silent).expect("started"), 1);
        let exported = old.export_for(&old.groups()).expect("exported");
        for now in [boot.saturating_sub(1), boot, boot + 1, boot + 64] {
            let dir = directory();
            let new = Store::open(&file(&dir), &settings([1])).expect("a store");
            new.import(&exported, Strangers::Refuse, wall(now)).expect("imported");
            for signer in [Signer::Share, Signer::Group] {
                let floors = [&old, &new].map(|store| store.floor(signer, &group(1)).expect("read"));
                assert_eq!(floors[0], floors[1], "from {boot}, at {now}");
            }
        }
    }
}

/// The first messages of a chain, and of a key: there and back, and nothing is lost or refused on the way.
#[test]
fn the_first_epochs_of_a_chain_go_there_and_back() {
    let dir = directory();
    let old = Store::open(&file(&dir), &settings([1])).expect("a store");
    old.start_new(&[group(1)]).expect("started");
    for slot in 0..64 {
        let wall = Wall { slot, epoch: slot / 32 };
        let mut asked = vec![block(1, slot, 1)];
        if slot % 32 == 0 {
            asked.push(attestation(1, wall.epoch.saturating_sub(1), wall.epoch, 1));
        }
        let verdicts = old.check_and_record(Signer::Share, &asked, wall).expect("an answer");
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Recorded), "{slot}: {verdicts:?}");
        if !matches!(slot, 0..=2 | 31..=33 | 63) {
            continue;
        }
        let exported = old.export_for(&old.groups()).expect("exported");
        let exported = Interchange::parse(exported.to_text().as_bytes()).expect("a history");
        let there = directory();
        let new = Store::open(&file(&there), &settings([1])).expect("a store");
        new.import(&exported, Strangers::Refuse, wall).expect("imported");
        let back = new.export_for(&new.groups()).expect("exported");
        assert_eq!(back.entries[0].blocks.last().map(|block| block.slot), Some(slot));
        for wrong in [block(1, slot, 2), attestation(1, 0, wall.epoch, 2)] {
            let verdict = new.check_and_record(Signer::Group, &[wrong], wall).expect("an answer")[0];
            assert!(matches!(verdict, Verdict::Refused(_)), "{slot}: {verdict:?}");
        }
    }
}

#[test]
fn an_older_copy_is_refused() {
    let (dir, store) = fresh();
    drop(store);
    let older = fs::read(file(&dir)).expect("read");
    let store = Store::open(&file(&dir), &settings([1])).expect("a store");
    ask(&store, block(1, 7, 1));
    drop(store);
    fs::write(file(&dir), older).expect("written");
    refused(Store::open(&file(&dir), &settings([1])), "commits, and had");
}

#[test]
fn a_damaged_header_never_forgets() {
    let (dir, states, requests) = whole();
    for whole in states {
        for at in 0..320 {
            damage(&dir, &whole, &requests, (at, 1));
        }
        for bit in 1..8 {
            damage(&dir, &whole, &requests, (9, 1 << bit));
        }
    }
}

#[test]
fn a_store_that_cannot_be_written_is_refused() {
    let (dir, store) = fresh();
    drop(store);
    // The superuser writes whatever the mode says.
    if rustix::process::geteuid().is_root() {
        println!("skipped: this is the superuser");
        return;
    }
    fs::set_permissions(file(&dir), fs::Permissions::from_mode(0o400)).expect("changed");
    refused(Store::open(&file(&dir), &settings([1])), "opening");
}
