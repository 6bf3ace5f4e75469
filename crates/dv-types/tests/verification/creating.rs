//! New definitions, and what is refused before a cluster is made of one.

use coxswain_dv_types::cluster::{
    Creator, Definition, LowThreshold, NewDefinition, Operator, Refused, Version, default_threshold,
    gwei_of_eth, pair_addresses, uuid_text,
};
use coxswain_dv_types::deposit::{GWEI, Rewards};
use coxswain_dv_types::enr;
use coxswain_dv_types::network::{NETWORKS, Network};

use crate::made;

const FEE: &str = "0x388C818CA8B9251b393131C08a736A67ccB19297";
const WITHDRAWAL: &str = "0x000000000000000000000000000000000000dEaD";

fn parameters() -> NewDefinition {
    NewDefinition {
        name: "new".to_owned(),
        uuid: uuid_text([0xab; 16]),
        timestamp: "2026-11-26T22:00:00Z".to_owned(),
        version: Version::newest(),
        creator: Creator::default(),
        operators: vec![Operator::default(); 4],
        threshold: None,
        validators: pair_addresses(&[FEE.to_owned()], &[WITHDRAWAL.to_owned()], 2).expect("one for all"),
        dkg_algorithm: "default".to_owned(),
        deposit_amounts: Vec::new(),
        consensus_protocol: String::new(),
        target_gas_limit: 60_000_000,
        rewards: Rewards::PaidOut,
    }
}

fn network(name: &str) -> &'static Network {
    NETWORKS.iter().find(|network| network.name == name).expect("a known network")
}

/// What is said of parameters after an edit; nothing where a definition comes of them.
#[track_caller]
fn check(edit: impl FnOnce(&mut NewDefinition), expected: &str) {
    check_on("mainnet", edit, expected);
}

#[track_caller]
fn check_on(name: &str, edit: impl FnOnce(&mut NewDefinition), expected: &str) {
    let mut from = parameters();
    edit(&mut from);
    match Definition::new(from, network(name), LowThreshold::Refuse) {
        Ok(definition) => {
            assert_eq!(expected, "", "{definition:?}");
            assert_eq!(definition.verify_hashes(), Ok(()));
            let text = definition.to_json().expect("hashes");
            assert_eq!(Definition::parse(text.as_bytes()), Ok(definition));
        }
        Err(refused) => assert_eq!(refused.to_string(), expected),
    }
}

#[test]
fn defaults_are_those_of_others() {
    let defaults = [(3, 2), (4, 3), (5, 4), (6, 4), (7, 5), (8, 6), (9, 6), (10, 7)];
    for (operators, threshold) in defaults {
        assert_eq!(default_threshold(operators), threshold, "{operators}");
    }
    let definition = Definition::new(parameters(), network("hoodi"), LowThreshold::Refuse).expect("fine");
    assert_eq!(definition.threshold, 3);
    assert_eq!(definition.deposit_amounts, None);
    assert_eq!(*definition.fork_version, [0x10, 0, 0x09, 0x10]);
    assert_eq!(uuid_text([0xff; 16]), "FFFFFFFF-FFFF-4FFF-BFFF-FFFFFFFFFFFF");
    assert_eq!(uuid_text([0; 16]), "00000000-0000-4000-8000-000000000000");
    assert_eq!(gwei_of_eth(32), Ok(32 * GWEI));
    assert_eq!(
        gwei_of_eth(u64::MAX).expect_err("too much").to_string(),
        format!("a deposit of {} ETH is more than there is", u64::MAX)
    );
}

#[test]
fn numbers_of_nodes_and_validators() {
    check(|_| {}, "");
    check(|from| drop(from.operators.drain(..2)), "a cluster has from 3 to 256 nodes, not 2");
    check(
        |from| from.operators = vec![Operator::default(); 257],
        "a cluster has from 3 to 256 nodes, not 257",
    );
    check(|from| from.validators.clear(), "a cluster has from 1 to 65536 validators, not 0");
    let refused = "the threshold is from 2 to the number of nodes, which is 4, and not";
    check(|from| from.threshold = Some(1), &format!("{refused} 1"));
    check(|from| from.threshold = Some(5), &format!("{refused} 5"));
    check(|from| from.threshold = Some(4), "");
    let low = "with a threshold of 2, two parts of the 4 nodes can sign different blocks, and the validator is slashed; 3 is safe";
    check(|from| from.threshold = Some(2), low);
    let mut from = parameters();
    from.threshold = Some(2);
    let definition = Definition::new(from, network("hoodi"), LowThreshold::Allow).expect("by name");
    assert_eq!(
        definition.check_threshold(LowThreshold::Refuse),
        Err(Refused::LowThreshold { threshold: 2, operators: 4 })
    );
}

#[test]
fn addresses_of_validators() {
    let addresses = |count: usize| vec![FEE.to_owned(); count];
    assert_eq!(pair_addresses(&addresses(1), &addresses(3), 3).map(|pairs| pairs.len()), Ok(3));
    for (fees, withdrawals, what, found) in
        [(2, 3, "fee recipient", 2), (3, 0, "withdrawal", 0), (0, 3, "fee recipient", 0)]
    {
        let refused = pair_addresses(&addresses(fees), &addresses(withdrawals), 3).expect_err("counts");
        let expected =
            format!("there are {found} {what} addresses for 3 validators: give one for all, or one for each");
        assert_eq!(refused.to_string(), expected);
    }
    // A large number alone takes no memory.
    assert_eq!(
        pair_addresses(&addresses(1), &addresses(1), usize::MAX),
        Err(Refused::Validators { validators: usize::MAX })
    );
    let checksum = format!(
        "validator 1: withdrawal address: the letter case of {} is not that of its checksum: a digit is wrong, or it is {WITHDRAWAL}",
        WITHDRAWAL.to_lowercase()
    );
    check(|from| from.validators[1].withdrawal = WITHDRAWAL.to_lowercase(), &checksum);
    check(|from| from.validators[1].fee_recipient = FEE.to_lowercase(), "");
    check(
        |from| from.validators[0].fee_recipient.clear(),
        "validator 0: fee recipient address: an address is 0x and 40 hexadecimal digits, not \"\"",
    );
    let zero = |from: &mut NewDefinition| from.validators[0].withdrawal = format!("0x{}", "0".repeat(40));
    for name in ["mainnet", "gnosis"] {
        check_on(
            name,
            zero,
            &format!("validator 0: withdrawals on {name} would go to the zero address, and be lost"),
        );
    }
    check_on("hoodi", zero, "");
}

#[test]
fn settings_that_a_version_does_not_have() {
    let old = |name: &str, edit: fn(&mut NewDefinition), expected: &str| {
        let version = Version::named(name).expect("a version");
        let edit = |from: &mut NewDefinition| {
            from.version = version;
            from.target_gas_limit = 0;
            edit(from);
        };
        check(edit, expected);
    };
    old("v1.7.0", |_| {}, "");
    old("v1.7.0", |from| from.deposit_amounts = vec![32 * GWEI], "");
    old(
        "v1.7.0",
        |from| from.deposit_amounts = vec![16 * GWEI; 2],
        "version v1.7.0 has no list of deposit amounts",
    );
    old("v1.8.0", |from| from.deposit_amounts = vec![16 * GWEI; 2], "");
    old(
        "v1.8.0",
        |from| from.consensus_protocol = "qbft".to_owned(),
        "version v1.8.0 has no consensus protocol",
    );
    old("v1.9.0", |from| from.target_gas_limit = 1, "version v1.9.0 has no target gas limit");
    old("v1.9.0", |from| from.rewards = Rewards::Compounding, "version v1.9.0 has no compounding");
    old("v1.10.0", |_| {}, "version v1.10.0 needs a target gas limit above 0");
    check(
        |from| from.deposit_amounts = vec![8 * GWEI, GWEI],
        "deposit amounts: deposits of 9000000000 gwei together do not activate a validator, which needs 32000000000 gwei",
    );
    check(
        |from| from.dkg_algorithm = "Frost".to_owned(),
        "the algorithm `Frost` for key generation is not known; these are: default, frost, pedersen",
    );
    check(|from| from.consensus_protocol = "QBFT".to_owned(), "");
    check(
        |from| from.consensus_protocol = "abft".to_owned(),
        "the consensus protocol `abft` is not known; these are: qbft",
    );
    check(|from| from.name = "n".repeat(257), "name: it has 257 bytes, and at most 256 are allowed");
    // Order and repetitions stay.
    let mut from = parameters();
    from.deposit_amounts = vec![31 * GWEI, GWEI, GWEI];
    let definition = Definition::new(from, network("hoodi"), LowThreshold::Refuse).expect("fine");
    assert_eq!(definition.deposit_amounts, Some(vec![31 * GWEI, GWEI, GWEI]));
}

#[test]
fn nodes_are_there_once() {
    let record = |n: u8| enr::record(&made::identity(n)).text().to_owned();
    let put = |from: &mut NewDefinition, place: usize, enr: String| from.operators[place].enr = enr;
    check(|from| put(from, 2, "enr:".to_owned()), "operator 2: the node record is damaged: it ends early");
    check(
        |from| {
            put(from, 1, record(7));
            // The same node in another text.
            put(from, 3, format!("{}=", record(7)));
        },
        "operators 1 and 3 have the same node key",
    );
}

/// The config hash stays with other nodes, and what was signed with it.
#[test]
fn nodes_take_the_places_of_operators() {
    let definition = Definition::new(parameters(), network("hoodi"), LowThreshold::Refuse).expect("fine");
    let records: Vec<String> = (0..4).map(|n| enr::record(&made::identity(n)).text().to_owned()).collect();
    let with_nodes = definition.clone().with_nodes(records.clone()).expect("nodes");
    assert_eq!(with_nodes.config_hash, definition.config_hash);
    assert_ne!(with_nodes.definition_hash, definition.definition_hash);
    assert_eq!(with_nodes.verify_hashes(), Ok(()));
    assert_eq!(with_nodes.operators[3].enr, records[3]);
    let refused = definition.clone().with_nodes(records[..3].to_vec()).expect_err("fewer");
    assert_eq!(refused, Refused::Operators { operators: 3 });
    let refused = definition.clone().with_nodes(vec![records[0].clone(); 4]).expect_err("the same");
    assert_eq!(refused, Refused::SameNode { first: 0, second: 1 });
    let mut named = definition;
    named.operators[2].address = FEE.to_owned();
    let refused = named.with_nodes(records).expect_err("an operator");
    assert_eq!(refused, Refused::OperatorAddress { position: 2, address: FEE.to_owned() });
}

/// What a node waits for in a ceremony is there, or it does not begin.
#[test]
fn ceremonies_begin_with_distinct_nodes() {
    let whole = made::definition(Version::newest());
    let says = |edit: fn(&mut Definition)| {
        let mut definition = whole.clone();
        edit(&mut definition);
        definition.check_ceremony(LowThreshold::Refuse).err().map(|refused| refused.to_string())
    };
    assert_eq!(says(|_| {}), None);
    type Edit = fn(&mut Definition);
    let cases: [(Edit, &str); 5] = [
        (|d| d.operators[1].enr.clear(), "operator 1: a node record begins with `enr:`"),
        (|d| d.operators[1].enr = d.operators[0].enr.clone(), "operators 0 and 1 have the same node key"),
        (|d| d.dkg_algorithm = "other".to_owned(), "the algorithm `other` for key generation is not known"),
        (|d| d.threshold = 2, "with a threshold of 2, two parts"),
        (
            |d| d.version = Version::named("v1.5.0").expect("a version"),
            "keys are not generated for definitions of version v1.5.0",
        ),
    ];
    for (edit, expected) in cases {
        let said = says(edit).unwrap_or_default();
        assert!(said.starts_with(expected), "{said}");
    }
    for n in 0..made::OPERATORS {
        assert_eq!(whole.share_index(&made::identity(n).public()), Some(u64::from(n) + 1));
    }
    assert_eq!(whole.share_index(&made::identity(9).public()), None);
}

#[test]
fn whoever_signed_is_gone_after_an_edit() {
    let definition = made::signed(made::definition(Version::newest()), made::Signers::All);
    let edited = definition.clone().without_signers().expect("hashes");
    assert_eq!(edited, made::signed(made::definition(Version::newest()), made::Signers::Nobody));
    assert_ne!(edited.config_hash, definition.config_hash);
    assert_eq!(edited.gas_limit(), 36_000_000);
    assert_eq!(made::definition(Version::named("v1.9.0").expect("a version")).gas_limit(), 30_000_000);
}
