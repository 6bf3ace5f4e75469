//! What is written is read, for generated files of every version.

use coxswain_dv_types::cluster::{
    Addresses, BuilderRegistration, Creator, Definition, Deposit, Deposits, DistributedValidator, Encoding,
    Lock, Operator, VERSIONS, ValidatorAddresses, Version,
};
use coxswain_dv_types::deposit::GWEI;
use coxswain_dv_types::json::{Bytes, Json};
use coxswain_dv_types::text;
use proptest::collection::vec;
use proptest::prelude::*;

/// Any text of at most four bytes a letter.
fn words(letters: usize) -> impl Strategy<Value = String> {
    let letter = prop_oneof![
        any::<char>(),
        proptest::char::range(' ', '~'),
        proptest::sample::select(vec![
            '<', '>', '&', '"', '\\', '\n', '\0', '\u{1f}', '\u{2028}', '\u{2029}'
        ]),
    ];
    vec(letter, 0..=letters).prop_map(|letters| letters.into_iter().collect())
}

fn hex_bytes(length: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..=length).prop_map(Bytes::from)
}

/// Bytes as the version may have them: base64 tells nothing from none.
fn bytes(version: &Version, lengths: &'static [usize]) -> BoxedStrategy<Bytes> {
    let some = proptest::sample::select(lengths.to_vec()).prop_flat_map(|length| vec(any::<u8>(), length));
    match version.encoding {
        Encoding::Hex => some.prop_map(Bytes::from).boxed(),
        Encoding::Base64 => prop_oneof![some.prop_map(Bytes::present), Just(Bytes::default())].boxed(),
    }
}

fn address() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "0x[0-9a-fA-F]{40}", "[0-9a-f]{40}",]
}

fn operator(version: &'static Version) -> impl Strategy<Value = Operator> {
    (address(), words(60), bytes(version, &[0, 65]), bytes(version, &[0, 65])).prop_map(
        |(address, enr, config_signature, enr_signature)| Operator {
            address,
            enr,
            config_signature,
            enr_signature,
        },
    )
}

fn validators(version: &'static Version) -> impl Strategy<Value = Vec<ValidatorAddresses>> {
    let pair = (address(), address())
        .prop_map(|(fee_recipient, withdrawal)| ValidatorAddresses { fee_recipient, withdrawal });
    match version.addresses {
        // With no validator, the pair is nowhere.
        Addresses::OnePair => (pair, 0..4_usize).prop_map(|(pair, count)| vec![pair; count]).boxed(),
        Addresses::PerValidator => vec(pair, 0..4).boxed(),
    }
}

fn amounts(version: &Version) -> BoxedStrategy<Option<Vec<u64>>> {
    if !version.has_deposit_amounts {
        return Just(None).boxed();
    }
    let lists = vec![None, Some(vec![]), Some(vec![32 * GWEI]), Some(vec![31 * GWEI, GWEI, GWEI])];
    proptest::sample::select(lists).boxed()
}

fn definition(version: &'static Version) -> impl Strategy<Value = Definition> {
    let creator = match version.creator_type {
        None => Just(Creator::default()).boxed(),
        Some(_) => (address(), bytes(version, &[0, 65]))
            .prop_map(|(address, config_signature)| Creator { address, config_signature })
            .boxed(),
    };
    let texts = (words(64), words(16), words(8), words(8), words(64));
    let people = (creator, vec(operator(version), 0..4), validators(version));
    let fork_version = proptest::sample::select(vec![vec![], vec![0, 0, 0, 0], vec![0x10, 0, 9, 0x10]]);
    let settings = (any::<u64>(), fork_version, amounts(version), any::<u64>(), any::<bool>());
    (texts, people, settings).prop_map(move |(texts, people, settings)| {
        let definition = Definition {
            name: texts.0,
            creator: people.0,
            operators: people.1,
            uuid: texts.1,
            version,
            timestamp: texts.2,
            threshold: settings.0,
            validators: people.2,
            dkg_algorithm: texts.3,
            fork_version: settings.1.into(),
            deposit_amounts: settings.2,
            consensus_protocol: if version.has_consensus_protocol { texts.4 } else { String::new() },
            target_gas_limit: if version.has_gas_limit { settings.3 } else { 0 },
            compounding: version.has_gas_limit && settings.4,
            config_hash: Bytes::default(),
            definition_hash: Bytes::default(),
        };
        definition.with_hashes().expect("fits")
    })
}

fn deposit() -> impl Strategy<Value = Deposit> {
    (hex_bytes(48), hex_bytes(32), 0..=i64::MAX.unsigned_abs(), hex_bytes(96)).prop_map(
        |(pubkey, withdrawal_credentials, amount, signature)| Deposit {
            pubkey,
            withdrawal_credentials,
            amount,
            signature,
        },
    )
}

fn registration() -> impl Strategy<Value = BuilderRegistration> {
    (hex_bytes(20), any::<u64>(), any::<u64>(), hex_bytes(48), hex_bytes(96)).prop_map(
        |(fee_recipient, gas_limit, timestamp, pubkey, signature)| BuilderRegistration {
            fee_recipient,
            gas_limit,
            timestamp,
            pubkey,
            signature,
        },
    )
}

fn validator(version: &'static Version) -> impl Strategy<Value = DistributedValidator> {
    let deposits = match version.deposits {
        Deposits::None => Just(Vec::new()).boxed(),
        Deposits::Inlined | Deposits::Single => vec(deposit(), 1).boxed(),
        Deposits::List => vec(deposit(), 0..3).boxed(),
    };
    let registration = match version.has_registrations {
        true => registration().boxed(),
        false => Just(BuilderRegistration::default()).boxed(),
    };
    (hex_bytes(48), vec(bytes(version, &[0, 1, 48]), 0..4), deposits, registration).prop_map(
        |(public_key, public_shares, deposits, registration)| DistributedValidator {
            public_key,
            public_shares,
            deposits,
            registration,
        },
    )
}

fn lock(version: &'static Version) -> impl Strategy<Value = Lock> {
    let node_signatures = match version.has_registrations {
        true => vec(hex_bytes(65), 0..3).boxed(),
        false => Just(Vec::new()).boxed(),
    };
    let parts =
        (definition(version), vec(validator(version), 0..3), bytes(version, &[0, 96]), node_signatures);
    parts.prop_map(|(definition, validators, signature_aggregate, node_signatures)| {
        let lock = Lock {
            definition,
            validators,
            signature_aggregate,
            lock_hash: Bytes::default(),
            node_signatures,
        };
        lock.with_hashes().expect("fits")
    })
}

fn any_version() -> impl Strategy<Value = &'static Version> {
    (0..VERSIONS.len()).prop_map(|n| &VERSIONS[n])
}

proptest! {
    #[test]
    fn definitions(definition in any_version().prop_flat_map(definition)) {
        let text = definition.to_json().expect("hashes");
        let read = Definition::parse(text.as_bytes());
        prop_assert_eq!(read.as_ref(), Ok(&definition), "{}", text);
        prop_assert_eq!(definition.verify_hashes(), Ok(()));
        let message = text::compact(&definition.to_value().expect("hashes"));
        prop_assert_eq!(Definition::parse(message.as_bytes()), Ok(definition));
    }

    #[test]
    fn locks(lock in any_version().prop_flat_map(lock)) {
        let text = lock.to_json().expect("hashes");
        let read = Lock::parse(text.as_bytes());
        prop_assert_eq!(read.as_ref(), Ok(&lock), "{}", text);
        // Whatever the number of validators says, the hash is that of what is there.
        prop_assert_eq!(lock.compute_lock_hash().expect("fits").to_vec(), lock.lock_hash.to_vec());
    }

    /// Keys in another letter case and order, with more of them, and stored hashes that are wrong, change nothing.
    #[test]
    fn reading_is_lenient(definition in any_version().prop_flat_map(definition), seed in any::<u64>()) {
        let Json::Object(mut members) = definition.to_value().expect("hashes") else { panic!("no object") };
        let length = members.len();
        members.rotate_left(usize::try_from(seed % 1000).expect("small") % length);
        for (key, _) in members.iter_mut().filter(|(key, _)| key.len() % 2 == usize::from(seed % 2 == 0)) {
            *key = key.to_uppercase();
        }
        members.insert(0, ("name".to_owned(), Json::Text("not the last".to_owned())));
        members.push(("more".to_owned(), Json::List(vec![Json::Null])));
        if definition.name.is_empty() {
            members.push(("NAME".to_owned(), Json::Null));
        }
        let text = text::pretty(&Json::Object(members));
        prop_assert_eq!(Definition::parse(text.as_bytes()), Ok(definition));
    }
}
