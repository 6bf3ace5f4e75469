//! Deposits that nodes sign one by one: any enough of them give the deposit that the whole key signs, whatever the order;
//! what does not verify never counts; and what is sent is what charon sends.

#[path = "support/made.rs"]
mod made;
#[path = "../../../tests/support/mutate.rs"]
mod mutate;
#[path = "../../dv-types/tests/support/vectors.rs"]
mod support;

use std::fs;

use coxswain_dv_cluster::{
    FetchedDeposits, Missing, NewDeposit, OwnShares, Partial, ShareError, SignError, Whole, WholeError,
    deposit_files, own_shares, sign_deposits, submission, whole_deposits,
};
use coxswain_dv_crypto::bls::{self, PublicKey, SecretKey, Signature};
use coxswain_dv_types::cluster::Lock;
use coxswain_dv_types::deposit::{self, Credentials, DepositData, FileError, GWEI};
use coxswain_dv_types::json::Json;
use coxswain_dv_types::network::NETWORKS;
use coxswain_dv_types::text;
use made::{ADDRESS, Cluster, NETWORK, THRESHOLD, cluster};
use mutate::mutate;
use proptest::prelude::*;

const TO: Credentials = Credentials::Execution([0x11; 20]);

impl Cluster {
    fn own(&self, node: u64) -> OwnShares {
        own_shares(&self.lock, node, &self.shares[node as usize - 1], Missing::Refuse).expect("its shares")
    }

    /// What a node signs for the first validator.
    fn signed(&self, node: u64, amounts: &[u64]) -> Vec<DepositData> {
        let wanted = [NewDeposit { position: 0, credentials: TO, amounts: amounts.to_vec() }];
        sign_deposits(&self.lock, &self.own(node), &wanted, NETWORK).expect("signed")
    }

    fn partial(&self, node: u64, amount: u64) -> Partial {
        Partial {
            share: self.lock.validators[0].public_shares[node as usize - 1].to_vec(),
            signature: self.signed(node, &[amount])[0].signature.to_vec(),
        }
    }

    /// An answer with the partial signatures of these nodes, in this order.
    fn fetched(&self, amounts: &[(u64, &[u64])]) -> FetchedDeposits {
        let amounts = amounts.iter().map(|(amount, nodes)| {
            (*amount, nodes.iter().map(|node| self.partial(*node, *amount)).collect())
        });
        FetchedDeposits {
            pubkey: self.lock.validators[0].public_key.to_vec(),
            credentials: TO.to_bytes().to_vec(),
            amounts: amounts.collect(),
        }
    }

    fn whole(&self, fetched: &FetchedDeposits) -> Result<Whole, WholeError> {
        whole_deposits(&self.lock.validators[0], THRESHOLD, NETWORK, fetched)
    }

    #[track_caller]
    fn refused(&self, fetched: &FetchedDeposits, expected: &str) {
        assert_eq!(self.whole(fetched).expect_err(expected).to_string(), expected);
    }
}

/// As the API answers.
fn answer(fetched: &FetchedDeposits) -> String {
    let partial = |partial: &Partial| {
        format!(
            r#"{{"partial_public_key":"0x{}","partial_deposit_signature":"0x{}"}}"#,
            hex::encode(&partial.share),
            hex::encode(&partial.signature)
        )
    };
    let amounts = fetched.amounts.iter().map(|(amount, partials)| {
        let partials: Vec<String> = partials.iter().map(partial).collect();
        format!(r#"{{"amount":"{amount}","partials":[{}]}}"#, partials.join(","))
    });
    format!(
        r#"{{"pubkey":"0x{}","withdrawal_credentials":"0x{}","amounts":[{}]}}"#,
        hex::encode(&fetched.pubkey),
        hex::encode(&fetched.credentials),
        amounts.collect::<Vec<_>>().join(",")
    )
}

#[test]
fn any_enough_nodes_in_any_order_sign_as_the_whole_key() {
    let cluster = cluster(17, "deposits", 1_742_213_400);
    for nodes in [[1, 2, 3], [3, 2, 1], [4, 2, 1], [4, 3, 1], [2, 4, 3]] {
        let fetched = cluster.fetched(&[(32 * GWEI, &nodes), (GWEI, &nodes)]);
        let read = FetchedDeposits::parse(answer(&fetched).as_bytes()).expect("the API's form");
        assert_eq!(read, fetched);
        let whole = cluster.whole(&read).expect("enough");
        assert_eq!(whole.notes, Vec::<String>::new());
        let amounts: Vec<u64> = whole.deposits.iter().map(|data| data.message.amount).collect();
        assert_eq!(amounts, [GWEI, 32 * GWEI]);
        for data in &whole.deposits {
            let root = data.message.signing_root(NETWORK);
            assert_eq!(data.signature, cluster.secrets[0].sign(&root).to_bytes(), "{nodes:?}");
        }
        let files = deposit_files(&whole.deposits, NETWORK).expect("two amounts");
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["deposit-data-1eth.json", "deposit-data.json"]);
        assert_eq!(deposit::parse(files[1].text.as_bytes()).expect("a file")[0].data, whole.deposits[1]);
    }
    assert_eq!(deposit_files(&[], NETWORK), Err(FileError::Empty));
}

#[test]
fn what_does_not_verify_is_passed_over_and_named() {
    let cluster = cluster(17, "deposits", 1_742_213_400);
    let all: &[u64] = &[1, 2, 3, 4];
    let mut fetched = cluster.fetched(&[(GWEI, all), (32 * GWEI, &[4])]);
    let right = cluster.whole(&fetched).expect("enough").deposits;
    let partials = |fetched: &mut FetchedDeposits| std::mem::take(&mut fetched.amounts[0].1);
    let original = partials(&mut fetched);
    let mut note = |change: &dyn Fn(&mut Vec<Partial>), expected: &str| {
        let mut changed = original.clone();
        change(&mut changed);
        fetched.amounts[0].1 = changed;
        let whole = cluster.whole(&fetched).expect(expected);
        assert_eq!(whole.deposits, right, "{expected}");
        assert!(whole.notes.iter().any(|note| note.contains(expected)), "{expected}: {:?}", whole.notes);
        let last = "32000000000 gwei: 1 of 3 nodes have signed so far";
        assert_eq!(whole.notes.last().map(String::as_str), Some(last));
    };
    let other = cluster.partial(2, 32 * GWEI).signature;
    note(&|all| all[1].signature = other.clone(), "the signature of node 2 is of another deposit");
    note(&|all| all[0].signature = vec![0xab; 96], "node 1: the encoding of a BLS signature");
    note(&|all| all[3].signature.truncate(95), "node 4: a BLS signature has 96 bytes, this one 95");
    let infinity = [vec![0xc0], vec![0; 95]].concat();
    note(&|all| all[2].signature = infinity.clone(), "the signature of node 3 is of another deposit");
    let foreign = cluster.lock.validators[1].public_shares[0].to_vec();
    note(&|all| all[0].share = foreign.clone(), "is the share of no node: passed over");
    note(&|all| all.push(Partial { share: vec![1], signature: vec![2] }), "0x01 is the share of no node");
    // A place for a signature that is not there yet is nothing to speak of.
    fetched.amounts[0].1 = original.clone();
    fetched.amounts[0].1[0].signature.clear();
    assert_eq!(cluster.whole(&fetched).expect("enough").notes.len(), 1);
}

#[test]
fn what_gives_no_deposit_is_refused() {
    let cluster = cluster(17, "deposits", 1_742_213_400);
    let enough: &[u64] = &[1, 2, 3];
    let right = cluster.fetched(&[(GWEI, enough)]);
    let changed = |change: &dyn Fn(&mut FetchedDeposits)| {
        let mut fetched = right.clone();
        change(&mut fetched);
        fetched
    };
    let none = "no deposit has been signed by enough nodes yet: 3 must sign";
    cluster.refused(&changed(&|it| it.amounts.clear()), none);
    let two = format!("{none}, 2 have signed 1000000000 gwei");
    cluster.refused(&changed(&|it| it.amounts[0].1.truncate(2)), &two);
    // Two that count and one that does not are two.
    let other = cluster.partial(3, 2 * GWEI).signature;
    cluster.refused(&changed(&|it| it.amounts[0].1[2].signature = other.clone()), &two);
    let twice = "there are two partial signatures of node 2 for 1000000000 gwei";
    cluster.refused(&changed(&|it| it.amounts[0].1[2] = it.amounts[0].1[1].clone()), twice);
    let lists = "there are two lists of partial signatures for 1000000000 gwei";
    cluster.refused(&changed(&|it| it.amounts.push(it.amounts[0].clone())), lists);
    let range = "a deposit of 999999999 gwei is not between 1000000000 and 32000000000 gwei";
    cluster.refused(&changed(&|it| it.amounts[0].0 = GWEI - 1), range);
    let credentials =
        format!("the withdrawal credentials 0x{} are none that this program knows", "00".repeat(32));
    cluster.refused(&changed(&|it| it.credentials = vec![0; 32]), &credentials);
    let short = "the withdrawal credentials 0x01 are none that this program knows";
    cluster.refused(&changed(&|it| it.credentials = vec![1]), short);
    // Of other credentials nobody has signed anything.
    let zero = format!("{none}, 0 have signed 1000000000 gwei");
    cluster.refused(
        &changed(&|it| it.credentials = Credentials::Compounding([0x11; 20]).to_bytes().to_vec()),
        &zero,
    );
    let other = cluster.lock.validators[1].public_key.clone();
    let about = format!("the answer is about the validator 0x{}", hex::encode(&*other));
    cluster.refused(&changed(&|it| it.pubkey = other.to_vec()), &about);
    // A lock that was not verified: shares in the wrong order verify one by one, and give nothing.
    let mut validator = cluster.lock.validators[0].clone();
    validator.public_shares.swap(0, 1);
    let wrong = whole_deposits(&validator, THRESHOLD, NETWORK, &right);
    assert_eq!(wrong, Err(WholeError::Wrong { amount: GWEI }));
}

#[test]
fn answers_that_are_none_are_refused() {
    let says = |text: &str, expected: &str| {
        let error = FetchedDeposits::parse(text.as_bytes()).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    };
    says("", "no JSON");
    says("[]", "expected an object, found an array");
    says(r#"{"pubkey":1}"#, "pubkey: expected a string");
    says(r#"{"amounts":[{"amount":1}]}"#, "amounts[0].amount: expected digits in quotes, found a number");
    says(r#"{"amounts":[{"partials":[]}]}"#, "amounts[0].amount: expected digits in quotes, found null");
    let partial = r#"{"amounts":[{"amount":"1","partials":[{"partial_public_key":"0x1"}]}]}"#;
    says(partial, "amounts[0].partials[0].partial_public_key: it is not hex");
    says(&format!(r#"{{"amounts":[{}null]}}"#, "null,".repeat(256)), "257 amounts are more than 256");
    let empty = FetchedDeposits::parse(b"{}").expect("nothing");
    assert!(empty.pubkey.is_empty() && empty.amounts.is_empty());
}

#[test]
fn nodes_sign_with_their_own_shares_alone() {
    let cluster = cluster(17, "deposits", 1_742_213_400);
    let lock = &cluster.lock;
    let keys = &cluster.shares[1];
    let own = own_shares(lock, 2, keys, Missing::Refuse).expect("its shares");
    assert_eq!(own.keys().copied().collect::<Vec<_>>(), [0, 1]);
    let turned: Vec<SecretKey> = keys.iter().rev().cloned().collect();
    assert_eq!(own_shares(lock, 2, &turned, Missing::Refuse), Ok(own), "the order does not matter");
    let another = ShareError::OfAnother { key: 0, found: 2, expected: 1 };
    assert_eq!(own_shares(lock, 1, keys, Missing::Refuse), Err(another));
    let twice = [keys[0].clone(), keys[0].clone()];
    assert_eq!(own_shares(lock, 2, &twice, Missing::Allow), Err(ShareError::Twice { first: 0, second: 1 }));
    let whole = own_shares(lock, 2, &cluster.secrets, Missing::Allow);
    assert_eq!(whole, Err(ShareError::Foreign { key: 0 }));
    let one = &keys[1..];
    assert_eq!(own_shares(lock, 2, one, Missing::Refuse), Err(ShareError::Missing { position: 0 }));
    let some = own_shares(lock, 2, one, Missing::Allow).expect("some");
    let wanted = |position, amount| [NewDeposit { position, credentials: TO, amounts: vec![amount] }];
    let sign = |position, amount| sign_deposits(lock, &some, &wanted(position, amount), NETWORK);
    assert_eq!(sign(1, GWEI).expect("it has this share").len(), 1);
    let key = format!("0x{}", hex::encode(&*lock.validators[0].public_key));
    assert_eq!(sign(0, GWEI), Err(SignError::NoShare { key }));
    assert_eq!(sign(2, GWEI), Err(SignError::NoShare { key: "0x".into() }));
    assert!(matches!(sign(1, 33 * GWEI), Err(SignError::Amount { .. })));
}

/// What charon sent for the same keys, credentials and amounts.
#[test]
fn what_is_sent_is_what_charon_sends() {
    let Some(runs) = support::vectors("charon/runs") else { return };
    let source = runs.join("edit/source");
    let read = |path: &str| fs::read_to_string(source.join(path)).expect(path);
    let lock = Lock::parse(read("node0/cluster-lock.json").as_bytes()).expect("a lock");
    let keystore = coxswain_dv_keystore::parse(read("node1/validator_keys/keystore-0.json").as_bytes());
    let secret = keystore.expect("a keystore").decrypt(&read("node1/validator_keys/keystore-0.txt"));
    let secret = SecretKey::from_bytes(&*secret.expect("its password")).expect("a key");
    let own = own_shares(&lock, 2, &[secret], Missing::Refuse).expect("the share of node 2");
    let wanted = NewDeposit {
        position: 0,
        credentials: Credentials::Execution(address(ADDRESS)),
        amounts: vec![8 * GWEI, 24 * GWEI],
    };
    let signed = sign_deposits(&lock, &own, &[wanted], &NETWORKS[5]).expect("signed");
    let requests = fs::read(runs.join("http/obol_api_requests.json")).expect("the requests");
    let Ok(Json::List(requests)) = Json::parse(&requests) else { panic!("no list of requests") };
    let member = |request: &Json, name: &str| match request {
        Json::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()),
        _ => None,
    };
    let path = format!("/deposit_data/partial_deposits/0x{}/2", hex::encode(&*lock.lock_hash));
    let sent = requests.iter().find(|request| member(request, "path") == Some(path.as_str().into()));
    let body = member(sent.expect("it was recorded"), "body").expect("it has a body");
    assert_eq!(submission(&signed), text::compact(&body));
}

fn address(text: &str) -> [u8; 20] {
    let mut address = [0; 20];
    hex::decode_to_slice(&text[2..], &mut address).expect("an address");
    address
}

/// Whatever the API says: a deposit that is given out has the signature of the validator's key.
#[test]
fn damaged_answers() {
    let cluster = cluster(17, "deposits", 1_742_213_400);
    let text = answer(&cluster.fetched(&[(GWEI, &[1, 2, 4]), (32 * GWEI, &[4, 3])]));
    let public = PublicKey::from_bytes(&cluster.lock.validators[0].public_key).expect("a key");
    let words =
        ["null", "[]", "{}", "\"0x\"", "\"1000000000\"", "32000000000", ",", "0x01", "0x02", "\"amount\""];
    let validator = &cluster.lock.validators[0];
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let Ok(fetched) = FetchedDeposits::parse(&mutate(text.as_bytes(), script, &words)) else { return };
        match whole_deposits(validator, THRESHOLD, NETWORK, &fetched) {
            Ok(whole) => {
                for data in whole.deposits {
                    let signature = Signature::from_bytes(&data.signature).expect("a signature");
                    assert!(bls::verify(&public, &data.message.signing_root(NETWORK), &signature));
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Enough right signatures among any number of wrong ones give the deposit; fewer never do.
    #[test]
    fn only_right_signatures_count(wrong in proptest::collection::vec(any::<bool>(), 4), order in Just([1, 2, 3, 4]).prop_shuffle()) {
        let cluster = cluster(17, "deposits", 1_742_213_400);
        let mut fetched = cluster.fetched(&[(GWEI, &order)]);
        for (partial, is_wrong) in fetched.amounts[0].1.iter_mut().zip(&wrong) {
            if *is_wrong {
                partial.signature = cluster.secrets[1].sign(b"something else").to_bytes().to_vec();
            }
        }
        let right = wrong.iter().filter(|is_wrong| !**is_wrong).count() as u64;
        prop_assert_eq!(cluster.whole(&fetched).is_ok(), right >= THRESHOLD);
    }
}
