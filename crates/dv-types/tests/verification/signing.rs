//! Who has to sign a definition, and with what.

use coxswain_dv_types::cluster::{Definition, VERSIONS, Version};
use coxswain_dv_types::network::Networks;

use crate::made::{self, Signers};

fn version(name: &str) -> &'static Version {
    Version::named(name).expect("a version")
}

/// What verification says of a definition after an edit whose hashes are made right: nothing, the first question, or
/// the problem.
#[track_caller]
fn check(name: &str, signers: Signers, edit: impl FnOnce(&mut Definition), expected: &str) {
    let mut definition = made::signed(made::definition(version(name)), signers);
    edit(&mut definition);
    let definition = definition.with_hashes().expect("fits");
    let said = match definition.verify(&Networks::default()) {
        Ok(questions) => {
            questions.first().map(|question| format!("asks {}", question.otherwise)).unwrap_or_default()
        }
        Err(problem) => problem.to_string(),
    };
    assert!(said == expected || !expected.is_empty() && said.starts_with(expected), "{name}: {said}");
}

#[test]
fn all_or_none_of_the_operators_sign() {
    let unsign = |definition: &mut Definition| {
        definition.operators[1].address.clear();
        definition.operators[1].config_signature = Vec::new().into();
        definition.operators[1].enr_signature = Vec::new().into();
    };
    for name in ["v1.5.0", "v1.11.0"] {
        // Of v1.3 and later, an address is under the config hash, so that the others' signatures are questions first.
        check(
            name,
            Signers::All,
            unsign,
            "operators: 1 of 4 operators did not sign; either all sign or none",
        );
        check(
            name,
            Signers::All,
            |d| d.operators[2].enr_signature = Vec::new().into(),
            "operators[2].enr_signature: it is missing",
        );
        check(
            name,
            Signers::All,
            |d| d.operators[2].config_signature = Vec::new().into(),
            "operators[2].config_signature: it is missing",
        );
        let reason = "operators[0].config_signature: an address is 0x and 40 hexadecimal digits, not \"\"";
        check(name, Signers::All, |d| d.operators[0].address.clear(), reason);
    }
}

#[test]
fn the_creator_may_be_alone_or_absent_beside_unsigned_operators() {
    let clear = |definition: &mut Definition| definition.creator = Default::default();
    check("v1.11.0", Signers::Creator, |_| {}, "");
    check("v1.11.0", Signers::Creator, clear, "");
    let nobody = "creator: nobody signed it: a file has no creator only where operators have yet to sign";
    check("v1.11.0", Signers::Creator, |d| d.operators.clear(), "asks creator.config_signature");
    check("v1.11.0", Signers::Nobody, |d| d.operators.clear(), nobody);
    // Its address is under the config hash, so that operators' signatures are questions; but nobody is asked in vain.
    check("v1.11.0", Signers::All, clear, nobody);
    check(
        "v1.4.0",
        Signers::All,
        |d| d.creator.config_signature = Vec::new().into(),
        "creator.config_signature: it is missing",
    );
    check(
        "v1.3.0",
        Signers::All,
        |d| d.creator.config_signature = [1; 65].into(),
        "creator.config_signature: files of version v1.3.0 have none",
    );
}

#[test]
fn old_versions_are_not_signed() {
    for name in ["v1.0.0", "v1.1.0", "v1.2.0"] {
        let unexpected = format!("operators[3].enr_signature: files of version {name} have none");
        check(name, Signers::All, |d| d.operators[3].enr_signature = [1; 65].into(), &unexpected);
        check(name, Signers::All, |d| d.operators[3].address = "anything".into(), "");
    }
}

/// Signatures of a wallet's shape pass, whatever the letter case of the address.
#[test]
fn letter_case_and_recovery_bytes_are_lenient() {
    check("v1.11.0", Signers::All, |d| d.operators[0].address = d.operators[0].address.to_lowercase(), "");
    let raise = |definition: &mut Definition| {
        let mut signature = definition.operators[0].enr_signature.to_vec();
        signature[64] += 27;
        definition.operators[0].enr_signature = signature.into();
    };
    check("v1.11.0", Signers::All, raise, "");
    let lower = |d: &mut Definition| {
        d.operators[0].enr_signature = [&d.operators[0].enr_signature[..64], &[2]].concat().into()
    };
    check(
        "v1.11.0",
        Signers::All,
        lower,
        "asks operators[0].enr_signature: the signature is not valid: the recovery byte",
    );
}

/// An address without its mark cannot be recovered to, and a contract there can be asked.
#[test]
fn an_address_without_its_mark_is_asked() {
    let unmark = |definition: &mut Definition| {
        definition.operators[0].address = definition.operators[0].address[2..].to_owned();
    };
    check("v1.11.0", Signers::All, unmark, "asks operators[0].config_signature: an address is 0x and 40");
}

#[test]
fn signatures_of_several_owners_are_questions() {
    let several = |definition: &mut Definition| definition.operators[2].config_signature = [7; 130].into();
    let length = "operators[2].config_signature: it has 130 bytes, and should have 65";
    // v1.10 does not even hash them; without a hash of its own, the length is what is said.
    let mut definition = made::signed(made::definition(version("v1.10.0")), Signers::All);
    several(&mut definition);
    let problem = definition.verify_signatures(&Networks::default()).expect_err("too long");
    assert_eq!(problem.to_string(), length);
    let error = definition.compute_definition_hash().expect_err("too long").to_string();
    assert_eq!(error, "operators[2].config_signature: it has 130 bytes, and at most 65 are allowed");

    let mut definition = made::signed(made::definition(version("v1.11.0")), Signers::All);
    several(&mut definition);
    let definition = definition.with_hashes().expect("fits");
    let questions = definition.verify(&Networks::default()).expect("a question");
    assert_eq!(questions.len(), 1);
    let question = &questions[0];
    assert_eq!(question.signer, made::operator(2).public().address());
    assert_eq!(question.signature, [7; 130]);
    assert_eq!(question.call_data().len(), 4 + 3 * 32 + 160);
    assert_eq!(
        question.otherwise.to_string(),
        "operators[2].config_signature: the signature is not valid: an identity signature has 65 bytes, this one 130"
    );
    check(
        "v1.11.0",
        Signers::Creator,
        |d| d.creator.config_signature = [7; 65 * 32].into(),
        "asks creator.config_signature",
    );
}

/// Somebody else's signature names whose it is.
#[test]
fn signatures_of_others_are_questions() {
    let swap = |definition: &mut Definition| {
        definition.operators[0].enr_signature = definition.operators[1].enr_signature.clone();
        definition.operators[0].enr = definition.operators[1].enr.clone();
    };
    let expected = format!(
        "asks operators[0].enr_signature: the signature is not valid: {} made it",
        made::operator(1).public().address()
    );
    check("v1.11.0", Signers::All, swap, &expected);
}

/// Every signature is under the definition hash and none under the config hash, also where nobody may sign.
#[test]
fn signatures_are_hashed() {
    for version in VERSIONS {
        let whole = made::definition(version);
        let hashes = |edit: &dyn Fn(&mut Definition)| {
            let mut definition = whole.clone();
            edit(&mut definition);
            (
                definition.compute_config_hash().expect("fits"),
                definition.compute_definition_hash().expect("fits"),
            )
        };
        let mut seen = vec![hashes(&|_| {})];
        for n in 0..whole.operators.len() {
            seen.push(hashes(&|definition| definition.operators[n].config_signature = [1; 65].into()));
            // Two signatures of which one is missing look alike where missing ones are no chunk.
            seen.push(hashes(&|definition| definition.operators[n].enr_signature = [2; 65].into()));
            seen.push(hashes(&|definition| definition.operators[n].enr.push('=')));
        }
        if version.creator_type.is_some() {
            seen.push(hashes(&|definition| definition.creator.config_signature = [1; 65].into()));
        }
        let count = seen.len();
        assert!(seen.iter().all(|(config, _)| *config == seen[0].0), "{version}");
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count, "{version}");
    }
}
