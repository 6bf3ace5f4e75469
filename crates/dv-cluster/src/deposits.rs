//! Deposits that nodes sign after their keys were made: with another withdrawal address, or of other amounts.
//!
//! ```text
//! every node: NewDeposit ─sign_deposits→ partial deposits ─submission→ API
//! anyone:     API ─FetchedDeposits→ partial signatures ─whole_deposits→ deposits of the validator's key ─files→
//! ```
//!
//! # What must never happen
//!
//! - A deposit whose signature the deposit contract's readers would refuse is given out.
//! - A partial signature counts that was not verified with the public share of its node.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_dv_crypto::bls::{self, BlsError, PublicKey, Signature};
use coxswain_dv_types::Root;
use coxswain_dv_types::cluster::{Deposit, DistributedValidator, Lock};
use coxswain_dv_types::deposit::{self, AmountError, Credentials, DepositData, DepositMessage, FileError};
use coxswain_dv_types::json::{Item, Json, JsonError, Members, Object};
use coxswain_dv_types::network::Network;
use coxswain_dv_types::text;

use crate::DepositFile;
use crate::shares::OwnShares;

/// Most amounts that an answer has: as many as a lock has deposits of a validator.
pub const MAX_AMOUNTS: usize = 256;

/// Deposits of one validator that are to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeposit {
    /// The validator's position in the lock.
    pub position: usize,
    /// Where its money goes.
    pub credentials: Credentials,
    /// Gwei, each amount once.
    pub amounts: Vec<u64>,
}

/// Why deposits are not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The node has no share of it.
    #[error("this node has no key of the validator {key}")]
    NoShare {
        /// Its public key, `0x` and hex.
        key: String,
    },
    /// An amount.
    #[error("validator {key}: {why}")]
    Amount {
        /// Its public key, `0x` and hex.
        key: String,
        /// What is wrong.
        why: AmountError,
    },
    /// What the lock has for a key is none.
    #[error("validator {position} of the lock: {why}")]
    Key {
        /// From 0.
        position: usize,
        /// What is wrong.
        why: BlsError,
    },
}

/// The deposits with this node's partial signatures, in the order in which they were asked for.
///
/// # Errors
/// [`SignError`], before anything is signed.
pub fn sign_deposits(
    lock: &Lock,
    shares: &OwnShares,
    wanted: &[NewDeposit],
    network: &Network,
) -> Result<Vec<DepositData>, SignError> {
    let mut messages = Vec::new();
    for NewDeposit { position, credentials, amounts } in wanted {
        let position = *position;
        let bytes: &[u8] = lock.validators.get(position).map_or(&[], |validator| &validator.public_key);
        let key = || hex_text(bytes);
        let share = shares.get(&position).ok_or_else(|| SignError::NoShare { key: key() })?;
        let pubkey = PublicKey::from_bytes(bytes).map_err(|why| SignError::Key { position, why })?.to_bytes();
        for amount in amounts {
            credentials.check_amount(*amount).map_err(|why| SignError::Amount { key: key(), why })?;
            let message = DepositMessage { pubkey, credentials: credentials.to_bytes(), amount: *amount };
            messages.push((share, message));
        }
    }
    let signed = messages.into_iter().map(|(share, message)| {
        let signature = share.sign(&message.signing_root(network)).to_bytes();
        DepositData { message, signature }
    });
    Ok(signed.collect())
}

/// The message that takes partial deposits to the API.
pub fn submission(partials: &[DepositData]) -> String {
    let mut members = Members::default();
    let items: Vec<Json> = partials.iter().map(|data| Deposit::from(data).to_value()).collect();
    members.put("partial_deposit_data", items);
    text::compact(&Json::from(members))
}

fn hex_text(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

// --------------------------------------------------------------------------------------------------- the API's answer

/// A partial signature as the API gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    /// The public share that is to verify it.
    pub share: Vec<u8>,
    /// The signature; empty where there is none yet.
    pub signature: Vec<u8>,
}

/// What the API has of one validator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedDeposits {
    /// The validator's key.
    pub pubkey: Vec<u8>,
    /// Withdrawal credentials.
    pub credentials: Vec<u8>,
    /// By amount in gwei, in the order of the answer.
    pub amounts: Vec<(u64, Vec<Partial>)>,
}

impl FetchedDeposits {
    /// Reads an answer.
    ///
    /// # Errors
    /// The first thing that is wrong, and where.
    pub fn parse(text: &[u8]) -> Result<FetchedDeposits, JsonError> {
        let json = Json::parse(text)?;
        let object = Item::whole(&json).object()?;
        let partial = |object: Object<'_>| {
            Ok::<_, JsonError>(Partial {
                share: object.get("partial_public_key").hex()?.to_vec(),
                signature: object.get("partial_deposit_signature").hex()?.to_vec(),
            })
        };
        let amounts = object.get("amounts");
        let list = amounts.list()?.unwrap_or_default();
        if list.len() > MAX_AMOUNTS {
            return Err(amounts.wrong(format!("{} amounts are more than {MAX_AMOUNTS}", list.len())));
        }
        let amount = |item: Item<'_>| {
            let object = item.object()?;
            let partials = object.get("partials").each(|item| partial(item.object()?))?;
            Ok::<_, JsonError>((object.get("amount").gwei()?, partials))
        };
        Ok(FetchedDeposits {
            pubkey: object.get("pubkey").hex()?.to_vec(),
            credentials: object.get("withdrawal_credentials").hex()?.to_vec(),
            amounts: list.into_iter().map(amount).collect::<Result<_, _>>()?,
        })
    }
}

/// Why there is no deposit of a validator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WholeError {
    /// The answer is about another validator.
    #[error("the answer is about the validator {found}")]
    OtherValidator {
        /// Its key, `0x` and hex.
        found: String,
    },
    /// Nobody could withdraw.
    #[error("the withdrawal credentials {found} are none that this program knows")]
    Credentials {
        /// `0x` and hex.
        found: String,
    },
    /// An amount.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// An amount is there twice.
    #[error("there are two lists of partial signatures for {amount} gwei")]
    AmountTwice {
        /// Gwei.
        amount: u64,
    },
    /// Two signatures of one node.
    #[error("there are two partial signatures of node {index} for {amount} gwei")]
    Twice {
        /// The node's share index.
        index: u64,
        /// Gwei.
        amount: u64,
    },
    /// Nothing is whole yet.
    #[error("no deposit has been signed by enough nodes yet: {threshold} must sign{}", so_far(found))]
    TooFew {
        /// How many must sign.
        threshold: u64,
        /// How many have, by amount in gwei.
        found: Vec<(u64, usize)>,
    },
    /// A key or signature of the lock, or what comes of the shares.
    #[error(transparent)]
    Key(#[from] BlsError),
    /// Every partial signature verifies, and the whole does not: the lock is not what its nodes made.
    #[error("what comes of the partial signatures for {amount} gwei is no signature of the validator")]
    Wrong {
        /// Gwei.
        amount: u64,
    },
}

fn so_far(found: &[(u64, usize)]) -> String {
    found.iter().map(|(amount, count)| format!(", {count} have signed {amount} gwei")).collect()
}

/// What came of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Deposits with the signature of the validator's key, the least amount first.
    pub deposits: Vec<DepositData>,
    /// What did not count, for people.
    pub notes: Vec<String>,
}

/// Puts together what enough nodes have signed. The order of the answer does not matter, and each partial signature is
/// verified with the public share that it names.
///
/// # Errors
/// [`WholeError`]. Partial signatures that do not verify are no error as long as there are enough without them.
pub fn whole_deposits(
    validator: &DistributedValidator,
    threshold: u64,
    network: &Network,
    fetched: &FetchedDeposits,
) -> Result<Whole, WholeError> {
    let public = PublicKey::from_bytes(&validator.public_key)?;
    if fetched.pubkey != public.to_bytes() {
        return Err(WholeError::OtherValidator { found: hex_text(&fetched.pubkey) });
    }
    let credentials = Root::try_from(fetched.credentials.as_slice()).ok();
    let credentials = credentials
        .and_then(Credentials::from_bytes)
        .ok_or_else(|| WholeError::Credentials { found: hex_text(&fetched.credentials) })?;
    let mut whole = Whole { deposits: Vec::new(), notes: Vec::new() };
    let (mut amounts, mut too_few) = (BTreeSet::new(), Vec::new());
    for (amount, partials) in &fetched.amounts {
        let amount = *amount;
        if !amounts.insert(amount) {
            return Err(WholeError::AmountTwice { amount });
        }
        credentials.check_amount(amount)?;
        let message =
            DepositMessage { pubkey: public.to_bytes(), credentials: credentials.to_bytes(), amount };
        let root = message.signing_root(network);
        let valid = verified(validator, partials, (&root, amount), &mut whole.notes)?;
        if (valid.len() as u64) < threshold {
            too_few.push((amount, valid.len()));
            continue;
        }
        let enough: Vec<(u64, Signature)> = valid.into_iter().zip(0..threshold).map(|(one, _)| one).collect();
        let signature = bls::recover_signature(&enough)?;
        if !bls::verify(&public, &root, &signature) {
            return Err(WholeError::Wrong { amount });
        }
        whole.deposits.push(DepositData { message, signature: signature.to_bytes() });
    }
    if whole.deposits.is_empty() {
        return Err(WholeError::TooFew { threshold, found: too_few });
    }
    let short = |(amount, found)| format!("{amount} gwei: {found} of {threshold} nodes have signed so far");
    whole.notes.extend(too_few.into_iter().map(short));
    whole.deposits.sort_by_key(|data| data.message.amount);
    Ok(whole)
}

/// The partial signatures that verify, by share index.
fn verified(
    validator: &DistributedValidator,
    partials: &[Partial],
    (root, amount): (&Root, u64),
    notes: &mut Vec<String>,
) -> Result<BTreeMap<u64, Signature>, WholeError> {
    let indices: BTreeMap<&[u8], u64> =
        validator.public_shares.iter().map(|share| &**share).zip(1..).collect();
    let (mut seen, mut valid) = (BTreeSet::new(), BTreeMap::new());
    for Partial { share, signature } in partials.iter().filter(|partial| !partial.signature.is_empty()) {
        let Some(index) = indices.get(share.as_slice()).copied() else {
            notes.push(format!("{amount} gwei: {} is the share of no node: passed over", hex_text(share)));
            continue;
        };
        if !seen.insert(index) {
            return Err(WholeError::Twice { index, amount });
        }
        let public = PublicKey::from_bytes(share)?;
        match Signature::from_bytes(signature) {
            Ok(signature) if bls::verify(&public, root, &signature) => {
                valid.insert(index, signature);
            }
            Ok(_) => notes.push(format!(
                "{amount} gwei: the signature of node {index} is of another deposit, or none: passed over"
            )),
            Err(why) => notes.push(format!("{amount} gwei: node {index}: {why}: passed over")),
        }
    }
    Ok(valid)
}

/// The files of deposits, one for each amount, the least first.
///
/// # Errors
/// When there are none.
pub fn deposit_files(deposits: &[DepositData], network: &Network) -> Result<Vec<DepositFile>, FileError> {
    let mut by_amount: BTreeMap<u64, Vec<DepositData>> = BTreeMap::new();
    for data in deposits {
        by_amount.entry(data.message.amount).or_default().push(data.clone());
    }
    if by_amount.is_empty() {
        return Err(FileError::Empty);
    }
    let file = |(amount, deposits): (u64, Vec<DepositData>)| {
        Ok(DepositFile { name: deposit::file_name(amount), text: deposit::to_text(&deposits, network)? })
    };
    by_amount.into_iter().map(file).collect()
}
