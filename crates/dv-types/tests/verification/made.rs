//! Clusters of every version, made and signed here with keys that everybody knows.

use coxswain_dv_crypto::bls::{Polynomial, SecretKey, Signature, aggregate};
use coxswain_dv_crypto::k1::{Address, IdentityKey};
use coxswain_dv_types::cluster::{
    Addresses, Creator, Definition, Deposit, Deposits, DistributedValidator, Lock, Operator,
    ValidatorAddresses, Version,
};
use coxswain_dv_types::deposit::{Credentials, DepositData, DepositMessage, GWEI};
use coxswain_dv_types::eip712::{config_digest, enr_digest};
use coxswain_dv_types::enr;
use coxswain_dv_types::network::{NETWORKS, Network};
use coxswain_dv_types::registration::{Registration, SignedRegistration};

pub(crate) const OPERATORS: u8 = 4;
const THRESHOLD: u8 = 3;
pub(crate) const VALIDATORS: u8 = 2;

/// Who signs a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signers {
    /// Operators, and the creator where there is one.
    All,
    /// The creator alone.
    Creator,
    /// Nobody.
    Nobody,
}

pub(crate) fn network() -> &'static Network {
    NETWORKS.iter().find(|network| network.name == "sepolia").expect("a known network")
}

pub(crate) fn identity(n: u8) -> IdentityKey {
    IdentityKey::from_bytes(&[n + 1; 32]).expect("a key")
}

/// Keys of operators, and behind them the creator's.
pub(crate) fn operator(n: u8) -> IdentityKey {
    identity(100 + n)
}

fn secret(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n + 1; 32]).expect("a key")
}

pub(crate) fn polynomial(validator: u8) -> Polynomial {
    let coefficients = (0..THRESHOLD).map(|n| secret(10 * validator + n)).collect();
    Polynomial::from_coefficients(coefficients).expect("a polynomial")
}

fn share(validator: u8, operator: u8) -> SecretKey {
    polynomial(validator).share(u64::from(operator) + 1).expect("a share")
}

/// A definition that nobody signed yet.
pub(crate) fn definition(version: &'static Version) -> Definition {
    // One of them has a name that JSON escapes.
    let pair = |n: u8| ValidatorAddresses {
        fee_recipient: Address([0xf0 + n; 20]).to_string(),
        withdrawal: Address([0xe0 + n; 20]).to_string(),
    };
    let has_pairs = version.addresses == Addresses::PerValidator;
    let definition = Definition {
        name: "<four> & \"more\"".to_owned(),
        creator: Creator::default(),
        operators: (0..OPERATORS)
            .map(|n| Operator { enr: enr::record(&identity(n)).text().to_owned(), ..Operator::default() })
            .collect(),
        uuid: "0194FDC2-FA2F-4CC0-81D3-FF12045B73C8".to_owned(),
        version,
        timestamp: "2026-02-03T04:05:06+07:00".to_owned(),
        threshold: THRESHOLD.into(),
        validators: (0..VALIDATORS).map(|n| pair(if has_pairs { n } else { 0 })).collect(),
        dkg_algorithm: "default".to_owned(),
        fork_version: network().genesis_fork_version.into(),
        deposit_amounts: version.has_deposit_amounts.then(|| vec![16 * GWEI, 16 * GWEI]),
        consensus_protocol: if version.has_consensus_protocol { "qbft".to_owned() } else { String::new() },
        target_gas_limit: if version.has_gas_limit { 36_000_000 } else { 0 },
        compounding: version.has_gas_limit,
        config_hash: Vec::new().into(),
        definition_hash: Vec::new().into(),
    };
    definition.with_hashes().expect("fits")
}

/// The same with signatures: those who do not sign have no address.
pub(crate) fn signed(mut definition: Definition, signers: Signers) -> Definition {
    let version = definition.version;
    let chain = network().chain_id;
    let has_operators = signers == Signers::All && version.operator_type.is_some();
    let creator = version.creator_type.filter(|_| signers != Signers::Nobody);
    for (n, one) in (0..).zip(&mut definition.operators) {
        one.address = if has_operators { operator(n).public().address().to_string() } else { String::new() };
    }
    definition.creator.address =
        creator.map(|_| operator(OPERATORS).public().address().to_string()).unwrap_or_default();
    definition = definition.with_hashes().expect("fits");
    if let Some(kind) = version.operator_type.filter(|_| has_operators) {
        let digest = config_digest(&kind, chain, &definition.config_hash);
        for (n, one) in (0..).zip(&mut definition.operators) {
            one.config_signature = operator(n).sign(&digest).into();
            one.enr_signature = operator(n).sign(&enr_digest(chain, &one.enr)).into();
        }
    }
    if let Some(kind) = creator {
        let digest = config_digest(&kind, chain, &definition.config_hash);
        definition.creator.config_signature = operator(OPERATORS).sign(&digest).into();
    }
    definition.with_hashes().expect("fits")
}

fn validator(definition: &Definition, n: u8) -> DistributedValidator {
    let version = definition.version;
    let key = secret(10 * n);
    let pubkey = key.public().to_bytes();
    let addresses = &definition.validators[usize::from(n)];
    let message = DepositMessage {
        pubkey,
        credentials: Credentials::Execution(Address::parse(&addresses.withdrawal).expect("an address").0)
            .to_bytes(),
        amount: 16 * GWEI,
    };
    let signature = key.sign(&message.signing_root(network())).to_bytes();
    let deposit = Deposit::from(&DepositData { message, signature });
    let message = Registration {
        fee_recipient: Address::parse(&addresses.fee_recipient).expect("an address"),
        gas_limit: 36_000_000,
        timestamp: network().genesis_time,
        pubkey,
    };
    let signature = key.sign(&message.signing_root(network())).to_bytes();
    let registration = SignedRegistration { message, signature };
    DistributedValidator {
        public_key: pubkey.into(),
        public_shares: (0..OPERATORS).map(|operator| share(n, operator).public().to_bytes().into()).collect(),
        deposits: match version.deposits {
            Deposits::None => Vec::new(),
            Deposits::Inlined | Deposits::Single => vec![deposit],
            Deposits::List => vec![deposit.clone(), Deposit { amount: 32 * GWEI, ..deposit }],
        },
        registration: match version.has_registrations {
            true => (&registration).into(),
            false => Default::default(),
        },
    }
}

/// A lock with hashes computed anew, signed by all shares and all nodes.
pub(crate) fn sealed(lock: Lock) -> Lock {
    let mut lock = lock.with_hashes().expect("fits");
    let hash = <[u8; 32]>::try_from(&*lock.lock_hash).expect("32 bytes");
    let signatures: Vec<Signature> = (0..VALIDATORS)
        .flat_map(|n| (0..OPERATORS).map(move |operator| share(n, operator).sign(&hash)))
        .collect();
    lock.signature_aggregate = aggregate(&signatures).expect("there are some").to_bytes().into();
    if lock.definition.version.has_registrations {
        lock.node_signatures = (0..OPERATORS).map(|n| identity(n).sign(&hash).into()).collect();
    }
    lock
}

/// A whole cluster.
pub(crate) fn lock(version: &'static Version, signers: Signers) -> Lock {
    let definition = signed(definition(version), signers);
    sealed(Lock {
        validators: (0..VALIDATORS).map(|n| validator(&definition, n)).collect(),
        definition,
        signature_aggregate: Vec::new().into(),
        lock_hash: Vec::new().into(),
        node_signatures: Vec::new(),
    })
}
