//! Dealings of many keys at once: each result is that of the function for one key.

use coxswain_dv_crypto::bls::{
    BlsError, Commitments, KnowledgeProof, Object, Polynomial, PublicKey, SecretKey, commit_and_prove,
    first_bad_share, first_unproved, public_shares, sum_by_key,
};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// Fewer and more than are worth a table of multiples.
const COUNTS: [usize; 4] = [1, 2, 20, 300];

fn deal(count: usize, threshold: u64, rng: &mut StdRng) -> Vec<(Polynomial, SecretKey)> {
    let one = |_| {
        let secret = SecretKey::generate(rng);
        (Polynomial::random(&secret, threshold, rng).expect("a polynomial"), SecretKey::generate(rng))
    };
    (0..count).map(one).collect()
}

#[test]
fn many_are_committed_to_as_one() {
    let mut rng = StdRng::seed_from_u64(1);
    for count in COUNTS {
        let dealt = deal(count, 3, &mut rng);
        let said = commit_and_prove(&dealt, 7, 0);
        assert_eq!(said.len(), count);
        for ((polynomial, _), (commitments, proof)) in dealt.iter().zip(&said) {
            assert_eq!(commitments, &polynomial.commitments());
            assert!(proof.verify(&commitments.points()[0], 7, 0));
        }
        assert_eq!(first_unproved(&said, 7, 0), None);
        assert_eq!(first_unproved(&said, 8, 0), Some(0), "another participant");
        assert_eq!(first_unproved(&said, 7, 1), Some(0), "another context");
    }
    assert_eq!(first_unproved(&[], 7, 0), None);
    assert!(commit_and_prove(&[], 7, 0).is_empty());
}

#[test]
fn the_same_proof_is_made_alone() {
    let mut rng = StdRng::seed_from_u64(2);
    let (secret, nonce) = (SecretKey::generate(&mut rng), SecretKey::generate(&mut rng));
    let polynomial = Polynomial::random(&secret, 2, &mut rng).expect("a polynomial");
    let [(_, proof)] = commit_and_prove(&[(polynomial, nonce.clone())], 3, 4).try_into().expect("one");
    assert_eq!(proof, KnowledgeProof::new(&secret, &nonce, 3, 4));
}

#[test]
fn a_bad_proof_is_found_wherever_it_is() {
    let mut rng = StdRng::seed_from_u64(3);
    let said = commit_and_prove(&deal(300, 2, &mut rng), 1, 0);
    let bad: [fn(&mut KnowledgeProof); 5] = [
        |proof| proof.response[31] ^= 1,
        |proof| proof.challenge[31] ^= 1,
        |proof| proof.response = [0xff; 32],
        |proof| proof.challenge = [0xff; 32],
        |proof| proof.challenge = [0; 32],
    ];
    for (at, spoil) in [0, 1, 77, 298, 299].into_iter().zip(bad) {
        for count in [300, at + 1] {
            let mut said = said[..count].to_vec();
            spoil(&mut said[at].1);
            assert_eq!(first_unproved(&said, 1, 0), Some(at), "{at} of {count}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_first_bad_share_is_found(
        seed: u64,
        count in 1_usize..40,
        bad in prop::collection::btree_set(0_usize..40, 0..4),
        index in 1_u64..256,
    ) {
        let mut rng = StdRng::seed_from_u64(seed);
        let dealt = deal(count, 3, &mut rng);
        let said = commit_and_prove(&dealt, 1, 0);
        let share = |at: usize| if bad.contains(&at) { index + 1 } else { index };
        let shares: Vec<SecretKey> = dealt
            .iter()
            .enumerate()
            .map(|(at, (polynomial, _))| polynomial.share(share(at)).expect("a share"))
            .collect();
        let items: Vec<_> = said.iter().map(|(commitments, _)| commitments).zip(&shares).collect();
        let expected = bad.into_iter().find(|at| *at < count);
        prop_assert_eq!(first_bad_share(&items, index, &mut rng), expected);
        prop_assert_eq!(first_bad_share(&items, 0, &mut rng), Some(0), "nobody is owed the secret");
    }

    #[test]
    fn sums_and_public_shares_are_those_of_single_keys(
        seed: u64,
        dealers in 1_usize..5,
        keys in 1_usize..5,
        threshold in 2_u64..6,
    ) {
        let mut rng = StdRng::seed_from_u64(seed);
        let all: Vec<Vec<Commitments>> = (0..dealers)
            .map(|_| deal(keys, threshold, &mut rng).iter().map(|(terms, _)| terms.commitments()).collect())
            .collect();
        let by_dealer: Vec<&[Commitments]> = all.iter().map(Vec::as_slice).collect();
        let sums = sum_by_key(&by_dealer).expect("sums");
        let shares = public_shares(&sums, 9).expect("shares");
        for key in 0..keys {
            let of_key: Vec<Commitments> = all.iter().map(|dealer| dealer[key].clone()).collect();
            prop_assert_eq!(&Commitments::sum(&of_key).expect("a sum"), &sums[key]);
            let expected: Vec<PublicKey> = (1..=9).map(|index| sums[key].share(index).expect("a share")).collect();
            prop_assert_eq!(&shares[key], &expected);
        }
    }
}

#[test]
fn two_bad_shares_do_not_cancel() {
    let mut rng = StdRng::seed_from_u64(4);
    let dealt = deal(2, 2, &mut rng);
    let said = commit_and_prove(&dealt, 1, 0);
    let owed: Vec<SecretKey> = dealt.iter().map(|(terms, _)| terms.share(5).expect("a share")).collect();
    // One more here, one less there: their plain sum is right.
    let one = SecretKey::from_bytes(&[[0; 31].as_slice(), &[1]].concat()).expect("one");
    let minus_one =
        hex::decode("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000000").expect("hex");
    let minus_one = SecretKey::from_bytes(&minus_one).expect("r - 1");
    let shares = [
        SecretKey::sum([&owed[0], &one]).expect("a sum"),
        SecretKey::sum([&owed[1], &minus_one]).expect("a sum"),
    ];
    let items: Vec<_> = said.iter().map(|(commitments, _)| commitments).zip(&shares).collect();
    assert_eq!(first_bad_share(&items, 5, &mut rng), Some(0));
}

#[test]
fn sums_that_cannot_be_are_refused() {
    let mut rng = StdRng::seed_from_u64(5);
    let mut commit = |count, threshold| -> Vec<Commitments> {
        deal(count, threshold, &mut rng).iter().map(|(terms, _)| terms.commitments()).collect()
    };
    let (two, three, short) = (commit(1, 2), commit(1, 3), commit(0, 2));
    assert_eq!(sum_by_key(&[]), Err(BlsError::Nothing { object: Object::PublicKey }));
    assert_eq!(sum_by_key(&[&two, &three]), Err(BlsError::Degree { expected: 2, found: 3 }));
    assert_eq!(sum_by_key(&[&two, &short]), Err(BlsError::Nothing { object: Object::PublicKey }));
    // A point and its opposite: the flag of the sign is the third bit.
    let opposite = |point: &PublicKey| {
        let mut bytes = point.to_bytes();
        bytes[0] ^= 0x20;
        PublicKey::from_bytes(&bytes).expect("a point")
    };
    let against =
        vec![Commitments::new(two[0].points().iter().map(opposite).collect()).expect("commitments")];
    assert_eq!(sum_by_key(&[&two, &against]), Err(BlsError::Infinity { object: Object::PublicKey }));
    // f(x) = 2a − a·x: nothing at 2.
    let points = two[0].points();
    let double = PublicKey::sum([&points[0], &points[0]]).expect("a sum");
    let vanishing = Commitments::new(vec![double, opposite(&points[0])]).expect("commitments");
    assert_eq!(public_shares(&[vanishing], 3), Err(BlsError::Infinity { object: Object::PublicKey }));
}

/// Σ indexᵏ·Aₖ by its definition: what a polynomial of known numbers gives.
#[test]
fn public_shares_of_any_index_are_those_of_the_secret_shares() {
    let mut rng = StdRng::seed_from_u64(6);
    for threshold in [2, 3, 40] {
        let [(polynomial, _)] = deal(1, threshold, &mut rng).try_into().expect("one");
        let commitments = polynomial.commitments();
        for index in [1, 2, 3, 10, 255, 256, 65_537, u64::from(u32::MAX), 1 << 63, u64::MAX] {
            let share = polynomial.share(index).expect("a share");
            assert_eq!(commitments.share(index), Ok(share.public()), "{index} of {threshold}");
        }
        assert_eq!(commitments.share(0), Ok(commitments.points()[0]));
    }
}
