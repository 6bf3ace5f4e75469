//! From secrets to a cluster.

use coxswain_dv_crypto::bls::{self, BlsError, SecretKey};
use coxswain_dv_crypto::k1::{Address, AddressError, IdentityKey};
use coxswain_dv_types::cluster::{
    BuilderRegistration, Definition, Deposit, DistributedValidator, Lock, Refused,
};
use coxswain_dv_types::deposit::{self, Credentials, DepositData, DepositMessage, FileError, Rewards};
use coxswain_dv_types::enr;
use coxswain_dv_types::hash::HashError;
use coxswain_dv_types::json::Bytes;
use coxswain_dv_types::network::Network;
use coxswain_dv_types::registration::{Registration, SignedRegistration};
use rand_core::CryptoRng;

/// What a cluster is made of.
pub struct Seal<'a> {
    /// With empty operators, or ones that have a node record alone: they are replaced by the nodes.
    pub definition: Definition,
    /// Its network.
    pub network: &'a Network,
    /// The whole keys, one of each validator.
    pub secrets: &'a [SecretKey],
    /// By node, then by validator: what [`deal`] gives.
    pub shares: &'a [Vec<SecretKey>],
    /// Identities, one of each node.
    pub nodes: &'a [IdentityKey],
    /// The time of registrations with builders: seconds since 1970.
    pub registered_at: u64,
}

/// A file of deposits of one amount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepositFile {
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A cluster.
#[derive(Debug)]
pub struct Sealed {
    /// The same for every node.
    pub lock: Lock,
    /// The same for every node, the least amount first.
    pub deposits: Vec<DepositFile>,
}

/// Why no cluster can be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Not one of each.
    #[error("there are {found} {what}, and {expected} are needed")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many are needed.
        expected: usize,
    },
    /// An address.
    #[error("validator {position}: {what} address: {why}")]
    Address {
        /// From 0.
        position: usize,
        /// Which.
        what: &'static str,
        /// What is wrong with it.
        why: AddressError,
    },
    /// The definition does not take the nodes.
    #[error(transparent)]
    Definition(#[from] Refused),
    /// A key.
    #[error(transparent)]
    Key(#[from] BlsError),
    /// Something cannot be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// Deposits.
    #[error(transparent)]
    Deposits(#[from] FileError),
}

/// Splits every secret among `nodes` nodes, of which any `threshold` can sign. By node, then by secret.
///
/// # Errors
/// A threshold or number of nodes for which there are no shares.
pub fn deal(
    secrets: &[SecretKey],
    nodes: u64,
    threshold: u64,
    rng: &mut impl CryptoRng,
) -> Result<Vec<Vec<SecretKey>>, BlsError> {
    let mut dealt: Vec<Vec<SecretKey>> = (0..nodes).map(|_| Vec::with_capacity(secrets.len())).collect();
    for secret in secrets {
        let shares = bls::split(secret, nodes, threshold, rng)?;
        for (node, (_, share)) in dealt.iter_mut().zip(shares) {
            node.push(share);
        }
    }
    Ok(dealt)
}

fn counted(what: &'static str, found: usize, expected: usize) -> Result<(), SealError> {
    if found == expected { Ok(()) } else { Err(SealError::Count { what, found, expected }) }
}

/// Makes the lock and the deposits. The same parts give the same bytes.
///
/// # Errors
/// [`SealError`].
pub fn seal(parts: Seal<'_>) -> Result<Sealed, SealError> {
    seal_with(parts, |count, work| (0..count).map(work).collect())
}

/// What is signed for one validator.
#[derive(Debug)]
pub struct Piece {
    validator: DistributedValidator,
    deposits: Vec<DepositData>,
}

/// The same, where `map` gives what its second argument makes of 0, 1, 2 … below its first, in this order, perhaps on
/// many processors.
///
/// # Errors
/// [`SealError`].
pub fn seal_with(
    parts: Seal<'_>,
    map: impl FnOnce(usize, &(dyn Fn(usize) -> Result<Piece, SealError> + Sync)) -> Vec<Result<Piece, SealError>>,
) -> Result<Sealed, SealError> {
    let Seal { definition, network, secrets, shares, nodes, registered_at } = parts;
    counted("secrets", secrets.len(), definition.validators.len())?;
    counted("node keys", nodes.len(), definition.operators.len())?;
    counted("nodes with shares", shares.len(), nodes.len())?;
    for node in shares {
        counted("shares of a node", node.len(), secrets.len())?;
    }
    let records = nodes.iter().map(|key| enr::record(key).text().to_owned()).collect();
    let definition = definition.with_nodes(records)?;
    let amounts = deposit::signed_amounts(
        definition.deposit_amounts.as_deref().unwrap_or_default(),
        definition.rewards(),
    );
    let sealing = Sealing { definition: &definition, network, amounts: &amounts, registered_at };
    let pieces = map(secrets.len(), &|position| {
        let public_shares = shares.iter().map(|node| node[position].public().to_bytes().into()).collect();
        sealing.piece(position, &secrets[position], public_shares)
    });
    counted("validators", pieces.len(), secrets.len())?;
    let mut by_amount: Vec<Vec<DepositData>> = vec![Vec::with_capacity(secrets.len()); amounts.len()];
    let mut validators = Vec::with_capacity(secrets.len());
    for piece in pieces {
        let Piece { validator, deposits } = piece?;
        validators.push(validator);
        for (file, deposit) in by_amount.iter_mut().zip(deposits) {
            file.push(deposit);
        }
    }
    let deposits = by_amount.iter().zip(&amounts).map(|(deposits, amount)| {
        Ok(DepositFile { name: deposit::file_name(*amount), text: deposit::to_text(deposits, network)? })
    });
    let deposits = deposits.collect::<Result<_, SealError>>()?;
    Ok(Sealed { lock: signed(definition, validators, (shares, nodes))?, deposits })
}

/// What is the same for all validators.
struct Sealing<'a> {
    definition: &'a Definition,
    network: &'a Network,
    /// Of deposits.
    amounts: &'a [u64],
    registered_at: u64,
}

impl Sealing<'_> {
    fn piece(
        &self,
        position: usize,
        secret: &SecretKey,
        public_shares: Vec<Bytes>,
    ) -> Result<Piece, SealError> {
        let Sealing { definition, network, amounts, registered_at } = *self;
        let (fee_recipient, credentials) = targets(definition, position)?;
        let pubkey = secret.public().to_bytes();
        let deposit = |amount: &u64| {
            let message = DepositMessage { pubkey, credentials: credentials.to_bytes(), amount: *amount };
            let signature = secret.sign(&message.signing_root(network)).to_bytes();
            DepositData { message, signature }
        };
        let deposits: Vec<DepositData> = amounts.iter().map(deposit).collect();
        let registration = match definition.version.has_registrations {
            false => BuilderRegistration::default(),
            true => {
                let gas_limit = definition.gas_limit();
                let message = Registration { fee_recipient, gas_limit, timestamp: registered_at, pubkey };
                let signature = secret.sign(&message.signing_root(network)).to_bytes();
                BuilderRegistration::from(&SignedRegistration { message, signature })
            }
        };
        let validator = DistributedValidator {
            public_key: pubkey.into(),
            public_shares,
            deposits: deposits.iter().map(Deposit::from).collect(),
            registration,
        };
        Ok(Piece { validator, deposits })
    }
}

/// Where fees of a validator go, and what its deposits are withdrawn to.
///
/// # Errors
/// An address of the definition is none.
pub fn targets(definition: &Definition, position: usize) -> Result<(Address, Credentials), SealError> {
    let given = &definition.validators[position];
    let address = |what: &'static str, text: &str| {
        Address::parse(text).map_err(|why| SealError::Address { position, what, why })
    };
    let fee_recipient = address("fee recipient", &given.fee_recipient)?;
    let withdrawal = address("withdrawal", &given.withdrawal)?.0;
    let credentials = match definition.rewards() {
        Rewards::PaidOut => Credentials::Execution(withdrawal),
        Rewards::Compounding => Credentials::Compounding(withdrawal),
    };
    Ok((fee_recipient, credentials))
}

/// The lock, signed by every share and every node.
fn signed(
    definition: Definition,
    validators: Vec<DistributedValidator>,
    signers: (&[Vec<SecretKey>], &[IdentityKey]),
) -> Result<Lock, SealError> {
    let (shares, nodes) = signers;
    let has_registrations = definition.version.has_registrations;
    let lock = Lock {
        definition,
        validators,
        signature_aggregate: Default::default(),
        lock_hash: Default::default(),
        node_signatures: Vec::new(),
    };
    let hash = lock.compute_lock_hash()?;
    let mut lock = lock.with_hashes()?;
    // The sum of the signatures of all shares is the signature of their sum: one instead of thousands.
    let sum = SecretKey::sum(shares.iter().flatten())?;
    lock.signature_aggregate = sum.sign(&hash).to_bytes().into();
    if has_registrations {
        lock.node_signatures = nodes.iter().map(|key| key.sign(&hash).into()).collect();
    }
    Ok(lock)
}
