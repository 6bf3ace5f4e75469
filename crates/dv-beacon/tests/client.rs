//! Calls over real sockets to beacon nodes that behave, and to others.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes as Body;
use coxswain_dv_beacon::client::{
    Backends, Encoding, Forward, Minimum, Settings, SettingsError, Version, Waiting, check_version,
};
use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::attestation::{Attestation, AttestationData, AttestationPhase0, SingleAttestation};
use coxswain_dv_eth::beacon::{Answer, Call, Failure, Preparation};
use coxswain_dv_eth::bytes::Bytes32;
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::proposal::{Form, SignedProposal};
use coxswain_dv_eth::signed::{SignedAggregate, SignedRegistration};
use coxswain_dv_eth::time::Time;
use futures::StreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use support::{
    Act, Fake, Seen, aggregate_and_proof, attestation_data, backends, contribution, electra, hex, nobody,
    phase0, root, settings, signed, single,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn read<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).expect("a sample")
}

fn syncing(distance: u64) -> Value {
    let (is_syncing, distance) = (distance > 0, distance.to_string());
    json!({"data": {"head_slot": "1", "sync_distance": distance, "is_syncing": is_syncing, "is_optimistic": false}})
}

/// What a call sends, as text: method, path, the headers that matter, the body.
fn told(seen: &Seen) -> String {
    let query = if seen.query.is_empty() { String::new() } else { format!("?{}", seen.query) };
    let mut text = format!("{} {}{query}", seen.method, seen.path);
    for name in ["accept", "content-type", "eth-consensus-version"] {
        if let Some(value) = seen.header(name).filter(|value| *value != "application/json") {
            text.push_str(&format!(" {name}={value}"));
        }
    }
    text
}

#[track_caller]
fn check_body(seen: &Seen, expected: &Value) {
    assert_eq!(&seen.json(), expected, "{}", told(seen));
    assert_eq!(seen.header("content-type"), Some("application/json"));
}

/// Asks one node that gives one answer.
async fn ask(call: Call, act: Act) -> (Seen, Result<Answer, coxswain_dv_eth::beacon::CallError>) {
    let mut act = Some(act);
    let node = Fake::start(move |_| act.take().unwrap_or_else(|| Act::error(500, "asked again"))).await;
    let answer = backends(&[&node.url()], &[]).call(call).await;
    let mut seen = node.seen();
    assert_eq!(seen.len(), 1, "one request");
    (seen.remove(0), answer)
}

#[tokio::test]
async fn questions_about_duties_and_validators() {
    let attester = json!({
        "pubkey": format!("0x{}", hex(1, 48)), "validator_index": "9", "committee_index": "3", "committee_length": "4",
        "committees_at_slot": "5", "validator_committee_index": "2", "slot": "65",
    });
    let answer = json!({"dependent_root": root(1), "execution_optimistic": false, "data": [attester]});
    let (seen, got) =
        ask(Call::AttesterDuties { epoch: 2, validators: vec![9, 10] }, Act::json(&answer)).await;
    assert_eq!(told(&seen), "POST /eth/v1/validator/duties/attester/2");
    check_body(&seen, &json!(["9", "10"]));
    let Ok(Answer::AttesterDuties(duties)) = got else { panic!("{got:?}") };
    assert_eq!((duties.dependent_root, duties.duties), (Bytes([1; 32]), vec![read(&attester)]));

    let proposer = json!({"pubkey": format!("0x{}", hex(1, 48)), "validator_index": "9", "slot": "65"});
    let answer = json!({"dependent_root": root(1), "execution_optimistic": false, "data": [proposer]});
    let (seen, got) = ask(Call::ProposerDuties { epoch: 2 }, Act::json(&answer)).await;
    assert_eq!(told(&seen), "GET /eth/v1/validator/duties/proposer/2");
    let Ok(Answer::ProposerDuties(duties)) = got else { panic!("{got:?}") };
    assert_eq!(duties.duties, [read(&proposer)]);

    let sync = json!({
        "pubkey": format!("0x{}", hex(1, 48)), "validator_index": "9", "validator_sync_committee_indices": ["1", "300"],
    });
    let (seen, got) =
        ask(Call::SyncDuties { epoch: 2, validators: vec![9] }, Act::json(&json!({"data": [sync]}))).await;
    assert_eq!(told(&seen), "POST /eth/v1/validator/duties/sync/2");
    check_body(&seen, &json!(["9"]));
    assert_eq!(got, Ok(Answer::SyncDuties(vec![read(&sync)])));

    // Clients in Go write an empty list as nothing.
    let (_, got) =
        ask(Call::SyncDuties { epoch: 2, validators: vec![9] }, Act::json(&json!({"data": null}))).await;
    assert_eq!(got, Ok(Answer::SyncDuties(Vec::new())));

    let validator = json!({
        "index": "9", "balance": "32000000000", "status": "active_ongoing", "validator": {
            "pubkey": format!("0x{}", hex(1, 48)), "withdrawal_credentials": root(1),
            "effective_balance": "32000000000", "slashed": false, "activation_eligibility_epoch": "0",
            "activation_epoch": "0", "exit_epoch": u64::MAX.to_string(), "withdrawable_epoch": u64::MAX.to_string(),
        },
    });
    let call = Call::Validators { state: "../head".into(), keys: vec![Bytes([1; 48])] };
    let (seen, got) = ask(call, Act::json(&json!({"data": [validator], "finalized": false}))).await;
    assert_eq!(told(&seen), "POST /eth/v1/beacon/states/%2E%2E%2Fhead/validators");
    check_body(&seen, &json!({"ids": [format!("0x{}", hex(1, 48))]}));
    assert_eq!(got, Ok(Answer::Validators(vec![read(&validator)])));
}

#[tokio::test]
async fn questions_about_what_to_sign() {
    let data = attestation_data(65);
    let (seen, got) =
        ask(Call::AttestationData { slot: 65, committee: 3 }, Act::json(&json!({"data": data}))).await;
    assert_eq!(told(&seen), "GET /eth/v1/validator/attestation_data?slot=65&committee_index=3");
    assert_eq!(got, Ok(Answer::AttestationData(read(&data))));

    let data_root = Bytes(read::<AttestationData>(&data).root());
    let call = Call::Aggregate { slot: 65, data_root, committee: 3 };
    for (version, attestation) in [("electra", electra(65)), ("deneb", phase0(65))] {
        let answer = Act::json(&json!({"version": version, "data": attestation}));
        let (seen, got) = ask(call.clone(), answer).await;
        let query = format!("slot=65&attestation_data_root={data_root}&committee_index=3");
        assert_eq!(told(&seen), format!("GET /eth/v2/validator/aggregate_attestation?{query}"));
        let expected = match version {
            "electra" => Attestation::Electra(read(&attestation)),
            _ => Attestation::Phase0(read(&attestation)),
        };
        assert_eq!(got, Ok(Answer::Aggregate(Box::new(expected))));
    }

    let block_root = Bytes([2; 32]);
    let call = Call::Contribution { slot: 65, subcommittee: 1, block_root };
    let (seen, got) = ask(call, Act::json(&json!({"data": contribution(65)}))).await;
    let query = format!("slot=65&subcommittee_index=1&beacon_block_root={block_root}");
    assert_eq!(told(&seen), format!("GET /eth/v1/validator/sync_committee_contribution?{query}"));
    assert_eq!(got, Ok(Answer::Contribution(read(&contribution(65)))));
}

/// What is of another slot or block than was asked for is not taken.
#[tokio::test]
async fn answers_to_other_questions_are_refused() {
    let data_root = Bytes(read::<AttestationData>(&attestation_data(65)).root());
    let block_root: Bytes32 = Bytes([2; 32]);
    for (call, answer) in [
        (Call::AttestationData { slot: 64, committee: 0 }, json!({"data": attestation_data(65)})),
        (
            Call::Aggregate { slot: 65, data_root: block_root, committee: 0 },
            json!({"version": "electra", "data": electra(65)}),
        ),
        (
            Call::Aggregate { slot: 65, data_root, committee: 0 },
            json!({"version": "heze", "data": electra(65)}),
        ),
        (Call::Aggregate { slot: 65, data_root, committee: 0 }, json!({"data": electra(65)})),
        (Call::Contribution { slot: 64, subcommittee: 1, block_root }, json!({"data": contribution(65)})),
        (
            Call::Contribution { slot: 65, subcommittee: 1, block_root: Bytes([3; 32]) },
            json!({"data": contribution(65)}),
        ),
        (proposal_call(0), json!({"version": "electra", "data": support::contents(65)})),
        (
            proposal_call(0),
            json!({"version": "electra", "execution_payload_blinded": false, "data": support::contents(64)}),
        ),
        (Call::Syncing, json!({"data": 1})),
        (Call::Block { slot: 65 }, json!({"version": "electra", "data": {}})),
        (Call::Block { slot: 65 }, json!({"version": "electra", "data": signed(&support::block(64))})),
    ] {
        let (_, got) = ask(call.clone(), Act::json(&answer)).await;
        let error = got.expect_err("another question");
        assert_eq!(error.failure, Failure::Malformed, "{call:?}: {error}");
    }
}

fn proposal_call(builder_boost: u64) -> Call {
    Call::Proposal { slot: 65, randao: Bytes([4; 96]), graffiti: Bytes([8; 32]), builder_boost }
}

fn v3_json(form: Form, data: &Value) -> Act {
    Act::json(&json!({
        "version": "electra", "execution_payload_blinded": form == Form::Blinded, "execution_payload_value": "1",
        "consensus_block_value": "1", "data": data,
    }))
}

fn v3_ssz(form: Form, body: Vec<u8>) -> Act {
    let headers = vec![
        ("content-type", "application/octet-stream".to_owned()),
        ("eth-consensus-version", "electra".to_owned()),
        ("eth-execution-payload-blinded", (form == Form::Blinded).to_string()),
    ];
    Act::Reply(200, headers, body)
}

#[tokio::test]
async fn blocks_are_asked_for_as_ssz_and_read_in_both_forms() {
    let query = format!("randao_reveal=0x{}&graffiti={}&builder_boost_factor=100", hex(4, 96), root(8));
    let expected = format!(
        "GET /eth/v3/validator/blocks/65?{query} accept=application/octet-stream;q=1,application/json;q=0.9"
    );
    let (whole, blinded) = (support::proposal(65), support::blinded_proposal(65));
    for (act, block) in [
        (v3_json(Form::Full, &support::contents(65)), &whole),
        (v3_json(Form::Blinded, &support::blinded_block(65)), &blinded),
        (v3_ssz(Form::Full, whole.to_ssz()), &whole),
        (v3_ssz(Form::Blinded, blinded.to_ssz()), &blinded),
    ] {
        let (seen, got) = ask(proposal_call(100), act).await;
        assert_eq!(told(&seen), expected);
        assert_eq!(got, Ok(Answer::Proposal(Box::new(block.clone()))));
    }
}

/// A node that cannot do SSZ, or does it wrong, is asked again.
#[tokio::test]
async fn blocks_are_asked_for_as_json_where_ssz_fails() {
    for garbage in [v3_ssz(Form::Full, vec![1, 2, 3]), Act::error(406, "no SSZ here")] {
        let mut acts = vec![v3_json(Form::Full, &support::contents(65)), garbage];
        let node = Fake::start(move |_| acts.pop().expect("two requests")).await;
        let got = backends(&[&node.url()], &[]).call(proposal_call(0)).await;
        assert_eq!(got, Ok(Answer::Proposal(Box::new(support::proposal(65)))));
        let accepts: Vec<_> = node.seen().iter().map(|seen| seen.header("accept").map(str::len)).collect();
        assert_eq!(accepts, [Some(51), Some(16)]);
    }
}

/// With `u64::MAX` a builder's block is what is wanted; a node without a builder must not be quicker.
#[tokio::test]
async fn builders_blocks_are_waited_for() {
    let plain = Fake::start(|_| v3_json(Form::Full, &support::contents(65))).await;
    let builder = Fake::start(|_| v3_json(Form::Blinded, &support::blinded_block(65))).await;
    let slow = Fake::start(|_| Act::Hang).await;
    let call = |nodes: &[&str], boost, patience| {
        let settings = Settings { builder_patience: patience, ..settings(nodes, &[]) };
        let backends = Backends::new(&settings).expect("backends");
        async move {
            match backends.call(proposal_call(boost)).await {
                Ok(Answer::Proposal(proposal)) => proposal.is_blinded(),
                other => panic!("{other:?}"),
            }
        }
    };
    let (plain, builder, slow) = (plain.url(), builder.url(), slow.url());
    let long = Duration::from_secs(60);
    assert!(call(&[&plain, &builder], u64::MAX, long).await);
    assert!(!call(&[&plain, &slow], u64::MAX, Duration::from_millis(1)).await, "not for ever");
    assert!(!call(&[&plain], u64::MAX, long).await, "nobody else is asked");
    assert!(!call(&[&plain, &slow], 100, long).await, "only where it is wanted");
}

/// Checks where a list of one goes, and as what.
async fn check_submission(call: Call, expected: &str, body: &Value) {
    let (seen, got) = ask(call, Act::Reply(200, Vec::new(), Vec::new())).await;
    assert_eq!(told(&seen), expected);
    check_body(&seen, &json!([body]));
    assert_eq!(got, Ok(Answer::Done), "{expected}");
}

#[tokio::test]
async fn submissions_of_a_fork_name_it() {
    let attestations = vec![read::<SingleAttestation>(&single(65))];
    let path = "POST /eth/v2/beacon/pool/attestations";
    let call = Call::SubmitAttestations { fork: Fork::Fulu, attestations };
    check_submission(call, &format!("{path} eth-consensus-version=fulu"), &single(65)).await;
    let call = Call::SubmitAttestationsPhase0(vec![read::<AttestationPhase0>(&phase0(65))]);
    check_submission(call, &format!("{path} eth-consensus-version=deneb"), &phase0(65)).await;

    let path = "POST /eth/v2/validator/aggregate_and_proofs";
    for (fork, aggregate) in [(Fork::Electra, electra(65)), (Fork::Capella, phase0(65))] {
        let sample = aggregate_and_proof(&aggregate);
        let aggregate = SignedAggregate::deserialize(fork, &sample).expect("a sample");
        let expected = format!("{path} eth-consensus-version={fork}");
        check_submission(Call::SubmitAggregates(vec![aggregate]), &expected, &sample).await;
    }
}

#[tokio::test]
async fn submissions_go_as_json() {
    let message = support::sync_message(65);
    let call = Call::SubmitSyncMessages(vec![read(&message)]);
    check_submission(call, "POST /eth/v1/beacon/pool/sync_committees", &message).await;
    let proof = support::contribution_and_proof(65);
    let call = Call::SubmitContributions(vec![read(&proof)]);
    check_submission(call, "POST /eth/v1/validator/contribution_and_proofs", &proof).await;
    let registration = signed(&json!({
        "fee_recipient": format!("0x{}", hex(1, 20)), "gas_limit": "36000000", "timestamp": "1700000000",
        "pubkey": format!("0x{}", hex(1, 48)),
    }));
    let read_registration = SignedRegistration::parse(registration.to_string().as_bytes()).expect("a sample");
    let call = Call::SubmitRegistrations(vec![read_registration]);
    check_submission(call, "POST /eth/v1/validator/register_validator", &registration).await;
    let preparation = json!({"validator_index": "9", "fee_recipient": format!("0x{}", hex(1, 20))});
    let call = Call::PrepareProposers(vec![read::<Preparation>(&preparation)]);
    check_submission(call, "POST /eth/v1/validator/prepare_beacon_proposer", &preparation).await;

    let exit = support::exit();
    let (seen, got) = ask(Call::SubmitExit(read(&exit)), Act::Reply(200, Vec::new(), Vec::new())).await;
    assert_eq!(told(&seen), "POST /eth/v1/beacon/pool/voluntary_exits");
    check_body(&seen, &exit);
    assert_eq!(got, Ok(Answer::Done));
}

#[tokio::test]
async fn whole_blocks_go_as_ssz_and_blinded_ones_as_json() {
    let done = || Act::Reply(202, Vec::new(), Vec::new());
    let block = support::signed_proposal(65);
    let (seen, got) = ask(Call::SubmitProposal(Box::new(block.clone())), done()).await;
    let version = "eth-consensus-version=electra";
    assert_eq!(
        told(&seen),
        format!("POST /eth/v2/beacon/blocks content-type=application/octet-stream {version}")
    );
    assert_eq!((seen.body.to_vec(), got), (block.to_ssz(), Ok(Answer::Done)));

    let blinded = support::signed_blinded_proposal(65);
    let (seen, got) = ask(Call::SubmitProposal(Box::new(blinded)), done()).await;
    assert_eq!(told(&seen), format!("POST /eth/v2/beacon/blinded_blocks {version}"));
    check_body(&seen, &signed(&support::blinded_block(65)));
    assert_eq!(got, Ok(Answer::Done));

    let mut acts = vec![done(), Act::error(415, "no SSZ here")];
    let node = Fake::start(move |_| acts.pop().unwrap_or(Act::Hang)).await;
    let got = backends(&[&node.url()], &[]).call(Call::SubmitProposal(Box::new(block))).await;
    assert_eq!(got, Ok(Answer::Done));
    check_body(&node.seen()[1], &support::signed_contents(65));

    let settings = Settings { encoding: Encoding::JsonOnly, ..settings(&[&node.url()], &[]) };
    let _ = Backends::new(&settings).expect("backends").call(proposal_call(0)).await;
    assert_eq!(node.seen()[2].header("accept"), Some("application/json"));
}

/// A signed block must not hang on one node: all get it, also when the first one has taken it, or none has answered.
#[tokio::test]
async fn blocks_reach_all_nodes() {
    let quick = Fake::start(|_| Act::Reply(200, Vec::new(), Vec::new())).await;
    let refusing = Fake::start(|_| Act::error(400, "unknown parent")).await;
    let hanging = Fake::start(|_| Act::Hang).await;
    let fallback = Fake::start(|_| Act::Reply(200, Vec::new(), Vec::new())).await;
    let backends = backends(&[&hanging.url(), &refusing.url(), &quick.url()], &[&fallback.url()]);
    let got = backends.call(Call::SubmitProposal(Box::new(support::signed_proposal(65)))).await;
    assert_eq!(got, Ok(Answer::Done));
    drop(backends);
    for node in [quick, refusing, hanging, fallback] {
        assert_eq!(node.wait_for(1).await[0].path, "/eth/v2/beacon/blocks");
    }
}

#[tokio::test]
async fn other_submissions_reach_all_primaries() {
    let nodes = [
        Fake::start(|_| Act::Reply(200, Vec::new(), Vec::new())).await,
        Fake::start(|_| Act::Hang).await,
        Fake::start(|_| Act::error(400, "known")).await,
    ];
    let fallback = Fake::start(|_| Act::Reply(200, Vec::new(), Vec::new())).await;
    let urls: Vec<_> = nodes.iter().map(Fake::url).collect();
    let backends = backends(&urls.iter().map(String::as_str).collect::<Vec<_>>(), &[&fallback.url()]);
    let got = backends.call(Call::SubmitSyncMessages(vec![Default::default()])).await;
    assert_eq!(got, Ok(Answer::Done));
    for node in nodes {
        assert_eq!(node.wait_for(1).await.len(), 1);
    }
    assert!(fallback.seen().is_empty());
}

/// Others of the cluster may have been quicker with the same attestation.
#[tokio::test]
async fn attestations_that_are_known_already_are_done() {
    let call = || Call::SubmitAttestations {
        fork: Fork::Electra,
        attestations: vec![read(&single(65)), read(&single(66))],
    };
    let failures = |messages: [&str; 2]| {
        let items =
            messages.iter().enumerate().map(|(index, message)| json!({"index": index, "message": message}));
        Act::status(400, &json!({"code": 400, "message": "errors", "failures": items.collect::<Vec<_>>()}))
    };
    let known = "Verification: PriorAttestationKnown { validator_index: 9 }";
    let (_, got) = ask(call(), failures([known, known])).await;
    assert_eq!(got, Ok(Answer::Done));
    let (_, got) = ask(call(), Act::error(400, known)).await;
    assert_eq!(got, Ok(Answer::Done));
    let (_, got) = ask(call(), failures([known, "InvalidSignature"])).await;
    let error = got.expect_err("one is not known");
    assert_eq!(error.failure, Failure::Refused);
    assert!(error.message.contains("InvalidSignature"), "{error}");
}

/// A beacon node whose clock is behind by a little takes it when it is sent again; charon goes by the same words.
#[tokio::test]
async fn what_comes_too_early_may_be_sent_again() {
    let message = support::sync_message(65);
    let call = || Call::SubmitSyncMessages(vec![read(&message)]);
    let long = format!("{} FutureSlot", "x".repeat(2000));
    for (status, message, failure) in [
        (400, "Verification: FutureSlot { message_slot: 65 }", Failure::NotYet),
        (500, "slot is in the FUTURE", Failure::NotYet),
        (400, "not in Current or previous epoch", Failure::NotYet),
        (400, "Retryable", Failure::NotYet),
        (400, long.as_str(), Failure::NotYet),
        (400, "InvalidSignature", Failure::Refused),
        (404, "no such endpoint", Failure::Refused),
    ] {
        let (_, got) = ask(call(), Act::error(status, message)).await;
        assert_eq!(got.expect_err("refused").failure, failure, "{status} {message}");
    }
    let proposal = Call::SubmitProposal(Box::new(support::signed_proposal(65)));
    let (_, got) = ask(proposal, Act::error(400, "block is from the future")).await;
    assert_eq!(got.expect_err("refused").failure, Failure::NotYet);

    // Where it is too early for one node only, another one's word counts, if it takes it.
    let early = Fake::start(|_| Act::error(400, "FutureSlot")).await;
    let wrong = Fake::start(|_| Act::error(400, "InvalidSignature")).await;
    let taking = Fake::start(|_| Act::Reply(200, Vec::new(), Vec::new())).await;
    let (early, wrong, taking) = (early.url(), wrong.url(), taking.url());
    assert_eq!(backends(&[&early, &wrong, &taking], &[]).call(call()).await, Ok(Answer::Done));
    let got = backends(&[&wrong, &early], &[&taking]).call(call()).await;
    assert_eq!(got.expect_err("no node is at fault").failure, Failure::NotYet);

    // Some are known, and one is too early: all are sent again, and by then all are known.
    let attestations = Call::SubmitAttestations {
        fork: Fork::Electra,
        attestations: vec![read(&single(65)), read(&single(66))],
    };
    let items = json!([
        {"index": 0, "message": "PriorAttestationKnown"}, {"index": 1, "message": "FutureSlot"},
    ]);
    let act = Act::status(400, &json!({"code": 400, "message": "errors", "failures": items}));
    let (_, got) = ask(attestations, act).await;
    assert_eq!(got.expect_err("one is not known").failure, Failure::NotYet);
}

/// Which failures there are, and which of them a fallback node is asked for.
#[tokio::test]
async fn fallbacks_are_asked_when_a_primary_is_at_fault() {
    let fallback = Fake::start(|_| Act::json(&json!({"data": attestation_data(65)}))).await;
    for (status, message, failure, is_fallback) in [
        (503, "beacon node is syncing", Failure::NotYet, true),
        (502, "", Failure::Network, true),
        (504, "", Failure::Network, true),
        (408, "", Failure::Network, true),
        (429, "", Failure::Network, true),
        (500, "Beacon node is currently syncing", Failure::NotYet, true),
        (400, "HeadBlockNotFullyVerified", Failure::NotYet, true),
        (404, "no such block", Failure::NotYet, false),
        (400, "request slot is in the future", Failure::NotYet, false),
        (400, "bad committee", Failure::Refused, false),
        (500, "internal", Failure::Refused, false),
        (307, "", Failure::Refused, false),
    ] {
        let primary = Fake::start(move |_| Act::error(status, message)).await;
        let call = Call::AttestationData { slot: 65, committee: 0 };
        let alone = backends(&[&primary.url()], &[]);
        let error = alone.call(call.clone()).await.expect_err("an error");
        assert_eq!((error.failure, error.endpoint), (failure, "attestation_data"), "{status} {message}");
        assert!(error.message.contains(&status.to_string()) && error.message.contains(message), "{error}");
        assert_eq!(
            (alone.metrics().calls["attestation_data"].errors, alone.metrics().is_using_fallback),
            (1, false)
        );

        let both = backends(&[&primary.url()], &[&fallback.url()]);
        let got = both.call(call).await;
        assert_eq!(got.is_ok(), is_fallback, "{status} {message}: {got:?}");
        assert_eq!(both.metrics().is_using_fallback, is_fallback, "{status} {message}");
    }
}

/// A node that is not HTTP.
async fn no_http(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    url
}

#[tokio::test]
async fn nodes_that_are_broken_are_passed_over() {
    let garbage = Fake::start(|_| Act::Reply(200, Vec::new(), b"<html>".to_vec())).await;
    let endless = Fake::start(|_| Act::Endless).await;
    let hanging = Fake::start(|_| Act::Hang).await;
    let good = Fake::start(|_| Act::json(&syncing(0))).await;
    let closed = no_http(b"").await;
    let raw = no_http(b"SSH-2.0-OpenSSH_9.9\r\n").await;
    for (url, failure, text) in [
        (garbage.url(), Failure::Malformed, "not understood"),
        (endless.url(), Failure::Malformed, "larger than 1048576 bytes"),
        (hanging.url(), Failure::Network, "no whole answer within 200 ms"),
        (nobody().await, Failure::Network, "refused"),
        (closed, Failure::Network, ""),
        (raw, Failure::Network, ""),
    ] {
        let quick = |fallbacks: &[&str]| {
            let mut settings = settings(&[&url], fallbacks);
            // Larger than what reading a megabyte takes on a busy machine.
            settings.query_timeout =
                if text.contains("larger") { Duration::from_secs(10) } else { Duration::from_millis(200) };
            Backends::new(&settings).expect("backends")
        };
        let error = quick(&[]).call(Call::Syncing).await.expect_err(&url);
        assert_eq!(error.failure, failure, "{error}");
        assert!(error.message.contains(&url) && error.message.contains(text), "{error}");
        let got = quick(&[&good.url()]).call(Call::Syncing).await;
        assert_eq!(got, Ok(Answer::Syncing(read(&syncing(0)["data"]))), "{url}");
        let got = backends(&[&url, &good.url()], &[]).call(Call::Syncing).await;
        assert!(got.is_ok(), "next to a good one: {got:?}");
    }
}

#[tokio::test]
async fn a_node_that_syncs_is_an_answer_only_if_no_other_is_better() {
    let behind = Fake::start(|_| Act::json(&syncing(1))).await;
    let ready = Fake::start(|_| Act::json(&syncing(0))).await;
    let is_syncing = async |primaries: &[&str], fallbacks: &[&str]| match backends(primaries, fallbacks)
        .call(Call::Syncing)
        .await
    {
        Ok(Answer::Syncing(syncing)) => syncing.is_syncing,
        other => panic!("{other:?}"),
    };
    let (behind, ready) = (behind.url(), ready.url());
    assert!(!is_syncing(&[&behind, &ready], &[]).await);
    assert!(is_syncing(&[&behind, &behind], &[&ready]).await, "an answer, so no fallback");
    assert!(is_syncing(&[&behind, &nobody().await], &[]).await);
}

#[tokio::test]
async fn nothing_yet_is_told_from_an_answer() {
    let call = Call::Aggregate { slot: 65, data_root: Bytes([1; 32]), committee: 0 };
    for act in [
        Act::json(&json!({"version": "electra", "data": null})),
        Act::error(404, "no matching attestation"),
        Act::Reply(204, Vec::new(), Vec::new()),
    ] {
        let (_, got) = ask(call.clone(), act).await;
        let error = got.expect_err("nothing");
        assert_eq!((error.failure, error.endpoint), (Failure::NotYet, "aggregate_attestation"), "{error}");
    }
}

const SSZ_OR_JSON: &str = "accept=application/octet-stream;q=1,application/json;q=0.9";

/// A node that has no block of any slot, and this head.
fn without_block(head: u64) -> impl FnMut(&Seen) -> Act + Send + 'static {
    move |seen| match seen.path.as_str() {
        "/eth/v1/node/syncing" => {
            let head = head.to_string();
            Act::json(&json!({"data": {"head_slot": head, "sync_distance": "0", "is_syncing": false}}))
        }
        _ => Act::error(404, "no block"),
    }
}

/// What a node only lacks is not taken for an empty slot, whatever the others' heads are: the one that is further does
/// not answer here.
#[tokio::test]
async fn an_empty_slot_is_believed_of_a_node_whose_head_is_later() {
    let ahead = Fake::start(without_block(66)).await;
    let ill = Fake::start(|_| Act::error(500, "ill")).await;
    let call = Call::Block { slot: 65 };
    let got = backends(&[&ahead.url(), &ill.url()], &[]).call(call.clone()).await;
    assert_eq!(got, Ok(Answer::Block(None)));
    let block = format!("GET /eth/v2/beacon/blocks/65 {SSZ_OR_JSON}");
    let asked: Vec<String> = ahead.seen().iter().map(told).collect();
    assert_eq!(asked, [block.as_str(), "GET /eth/v1/node/syncing", block.as_str()]);
    for head in [64, 65] {
        let behind = Fake::start(without_block(head)).await;
        let got = backends(&[&behind.url(), &ill.url()], &[]).call(call.clone()).await;
        let error = got.expect_err("it may be behind");
        assert_eq!(error.failure, Failure::NotYet, "{error}");
        assert!(error.message.contains(&format!("its head is of slot {head}")), "{error}");
        // A fallback node knows.
        let got = backends(&[&behind.url()], &[&ahead.url()]).call(call.clone()).await;
        assert_eq!(got, Ok(Answer::Block(None)));
    }
}

/// It may have caught up between the two questions.
#[tokio::test]
async fn a_block_that_comes_while_a_node_tells_its_head_is_found() {
    let block = json!({"version": "fulu", "data": signed(&support::block(65))});
    let (mut first, mut lacking) = (true, without_block(66));
    let node = Fake::start(move |seen| {
        let is_block = seen.path.contains("/blocks/");
        if is_block && !std::mem::take(&mut first) { Act::json(&block) } else { lacking(seen) }
    });
    let node = node.await;
    let got = backends(&[&node.url()], &[]).call(Call::Block { slot: 65 }).await;
    assert!(matches!(&got, Ok(Answer::Block(Some(block))) if block.slot == 65), "{got:?}");
}

/// A block is asked of all while one has none.
#[tokio::test]
async fn a_block_that_one_node_lacks_is_asked_of_all() {
    let lacks = Fake::start(without_block(66)).await;
    let answer = json!({"version": "fulu", "data": signed(&support::block(65))});
    let has = Fake::start(move |_| Act::json(&answer)).await;
    let (lacks, has) = (lacks.url(), has.url());
    let asked = |urls: Vec<String>| async move {
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        backends(&urls, &[]).call(Call::Block { slot: 65 }).await
    };
    for urls in [vec![lacks.clone(), has.clone()], vec![has, lacks.clone()]] {
        let got = asked(urls).await;
        assert!(matches!(&got, Ok(Answer::Block(Some(block))) if block.slot == 65), "{got:?}");
    }
    assert_eq!(asked(vec![lacks.clone(), lacks]).await, Ok(Answer::Block(None)));
}

#[tokio::test]
async fn committees_are_counted_by_index_and_those_of_other_slots_left_out() {
    let row = |slot: u64, index: u64, validators: &[&str]| json!({"slot": slot.to_string(), "index": index.to_string(), "validators": validators});
    let call = Call::Committees { slot: 65, epoch: 2 };
    let (first, second) = (row(65, 0, &["9"]), row(65, 1, &["7", "8"]));
    let rows = json!({"data": [row(64, 0, &["1", "2", "3"]), second, first]});
    let (seen, got) = ask(call.clone(), Act::json(&rows)).await;
    assert_eq!(told(&seen), "GET /eth/v1/beacon/states/head/committees?epoch=2&slot=65");
    assert_eq!(got, Ok(Answer::Committees(vec![1, 2])));
    for rows in [json!([]), json!([row(65, 1, &[])]), json!([row(64, 0, &["1"])]), json!([{"index": "0"}])] {
        let (_, got) = ask(call.clone(), Act::json(&json!({"data": rows}))).await;
        assert_eq!(got.expect_err("not all of them").failure, Failure::Malformed, "{rows}");
    }
}

#[tokio::test]
async fn blocks_of_the_chain_are_read_with_root_and_attestations() {
    let mut block = support::block(65);
    block["body"]["attestations"] = json!([electra(64)]);
    let answer = json!({"version": "fulu", "finalized": false, "data": signed(&block)});
    let (_, got) = ask(Call::Block { slot: 65 }, Act::json(&answer)).await;
    let Ok(Answer::Block(Some(seen))) = got else { panic!("{got:?}") };
    assert_eq!((seen.slot, seen.proposer_index), (65, 7));
    assert_eq!(seen.attestations, [Attestation::Electra(read(&electra(64)))]);
    let contents = json!({"signed_block": signed(&block), "kzg_proofs": [], "blobs": []}).to_string();
    let same = SignedProposal::from_json(Fork::Fulu, Form::Full, contents.as_bytes());
    assert_eq!(seen.root.0, same.expect("a block").root());
}

/// What a made-up proposal begins with: all of a block but its signature, in both encodings.
#[tokio::test]
async fn whole_blocks_of_the_chain_are_read_without_their_signature() {
    let block = support::block(65);
    let answer = json!({"version": "fulu", "finalized": false, "data": signed(&block)});
    let contents = json!({"signed_block": signed(&block), "kzg_proofs": [], "blobs": []}).to_string();
    let same = SignedProposal::from_json(Fork::Fulu, Form::Full, contents.as_bytes()).expect("a block");
    // The block goes first, from behind the three offsets to where the second one says.
    let ssz = same.to_ssz();
    let end = u32::from_le_bytes(ssz[4..8].try_into().expect("an offset")) as usize;
    let headers = vec![
        ("content-type", "application/octet-stream".to_owned()),
        ("eth-consensus-version", "fulu".to_owned()),
    ];
    let call = Call::WholeBlock { slot: 65 };
    for act in [Act::json(&answer), Act::Reply(200, headers, ssz[12..end].to_vec())] {
        let (seen, got) = ask(call.clone(), act).await;
        assert_eq!(told(&seen), format!("GET /eth/v2/beacon/blocks/65 {SSZ_OR_JSON}"));
        let Ok(Answer::WholeBlock(Some(found))) = got else { panic!("{got:?}") };
        assert_eq!((found.slot(), found.proposer_index(), found.root()), (65, 7, same.root()));
        assert!(!found.is_blinded());
    }
    let other = json!({"version": "fulu", "data": signed(&support::block(64))});
    for (act, why) in [(Act::json(&other), "slot 64"), (Act::json(&json!({"data": {}})), "fork")] {
        let (_, got) = ask(call.clone(), act).await;
        let error = got.expect_err(why);
        assert!(error.failure == Failure::Malformed && error.message.contains(why), "{error}");
    }
}

/// Any earlier block would do: that a slot has none is believed without a look at the node's head, once no node has it.
#[tokio::test]
async fn a_whole_block_that_no_node_has_is_nothing() {
    let call = Call::WholeBlock { slot: 65 };
    let lacks = Fake::start(without_block(65)).await;
    let got = backends(&[&lacks.url()], &[]).call(call.clone()).await;
    assert_eq!(got, Ok(Answer::WholeBlock(None)));
    let asked: Vec<String> = lacks.seen().iter().map(told).collect();
    assert_eq!(asked, [format!("GET /eth/v2/beacon/blocks/65 {SSZ_OR_JSON}")]);
    let answer = json!({"version": "fulu", "data": signed(&support::block(65))});
    let has = Fake::start(move |_| Act::json(&answer)).await;
    let got = backends(&[&lacks.url(), &has.url()], &[]).call(call).await;
    assert!(matches!(&got, Ok(Answer::WholeBlock(Some(block))) if block.slot() == 65), "{got:?}");
}

#[tokio::test]
async fn empty_lists_ask_nobody() {
    let backends = backends(&[&nobody().await], &[]);
    for (call, expected) in [
        (Call::SyncDuties { epoch: 1, validators: Vec::new() }, Answer::SyncDuties(Vec::new())),
        (Call::SubmitAttestations { fork: Fork::Electra, attestations: Vec::new() }, Answer::Done),
        (Call::SubmitAttestationsPhase0(Vec::new()), Answer::Done),
        (Call::SubmitAggregates(Vec::new()), Answer::Done),
        (Call::SubmitSyncMessages(Vec::new()), Answer::Done),
        (Call::SubmitContributions(Vec::new()), Answer::Done),
        (Call::SubmitRegistrations(Vec::new()), Answer::Done),
        (Call::PrepareProposers(Vec::new()), Answer::Done),
    ] {
        assert_eq!(backends.call(call).await, Ok(expected));
    }
    assert!(backends.metrics().calls.is_empty());
}

/// As validator clients ask that name none. There may be more of them than memory is for.
#[tokio::test]
async fn all_validators_are_asked_for_where_none_is_named() {
    let call = Call::Validators { state: "head".into(), keys: Vec::new() };
    let validator = json!({
        "index": "9", "balance": "32000000000", "status": "active_ongoing", "validator": {
            "pubkey": format!("0x{}", hex(1, 48)), "withdrawal_credentials": root(1),
            "effective_balance": "32000000000", "slashed": false, "activation_eligibility_epoch": "0",
            "activation_epoch": "0", "exit_epoch": u64::MAX.to_string(), "withdrawable_epoch": u64::MAX.to_string(),
        },
    });
    let (seen, got) = ask(call.clone(), Act::json(&json!({"data": [validator]}))).await;
    assert_eq!(told(&seen), "GET /eth/v1/beacon/states/head/validators");
    assert!(seen.body.is_empty());
    assert_eq!(got, Ok(Answer::Validators(vec![read(&validator)])));

    let endless = Fake::start(|_| Act::Endless).await;
    let fallback = Fake::start(|_| Act::Endless).await;
    let mut settings = settings(&[&endless.url()], &[&fallback.url()]);
    // Larger than what reading so much takes on a busy machine.
    settings.query_timeout = Duration::from_secs(120);
    let error = Backends::new(&settings).expect("backends").call(call).await.expect_err("too many");
    assert_eq!(error.failure, Failure::Refused, "{error}");
    assert!(error.message.contains("name those that are meant"), "{error}");
    assert!(fallback.seen().is_empty(), "it has as many");
}

/// Credentials are sent, and whatever a node repeats of them is not in an error.
#[tokio::test]
async fn secrets_are_sent_and_not_told() {
    let node = Fake::start(|seen| {
        let all = format!("{:?} {}", seen.headers, seen.path);
        Act::error(400, &format!("no: topsecret t0ken 0123456789abcdef {all}"))
    })
    .await;
    let url = node.url().replace("http://", "http://user:topsecret@") + "/0123456789abcdef";
    let mut settings = settings(&[&url], &[]);
    settings.headers = vec![("X-Api-Key".to_owned(), "t0ken".to_owned())];
    let backends = Backends::new(&settings).expect("backends");
    let error = backends.call(Call::Syncing).await.expect_err("refused").to_string();
    for secret in ["topsecret", "t0ken", "0123456789abcdef"] {
        assert!(!error.contains(secret), "{error}");
        assert!(!format!("{backends:?} {settings:?}").contains(secret));
    }
    assert!(error.contains(&format!("{}/… answers 400", node.url())), "{error}");
    let seen = &node.seen()[0];
    assert_eq!(seen.path, "/0123456789abcdef/eth/v1/node/syncing");
    assert_eq!(seen.header("authorization"), Some("Basic dXNlcjp0b3BzZWNyZXQ="));
    assert_eq!(seen.header("x-api-key"), Some("t0ken"));
    assert!(seen.header("user-agent").is_some_and(|agent| agent.starts_with("coxswain/")));
}

#[test]
fn settings_that_cannot_be_are_refused() {
    assert_eq!(Backends::new(&settings(&[], &[])).err(), Some(SettingsError::NoNodes));
    for (name, value) in [("no name", "value"), ("name", "no\nvalue")] {
        let mut settings = settings(&["http://127.0.0.1:1"], &[]);
        settings.headers = vec![(name.to_owned(), value.to_owned())];
        let error = Backends::new(&settings).expect_err(name).to_string();
        assert!(error.contains(name) && !error.contains(value), "{error}");
    }
}

/// A node that gives up idle connections: the request that meets the end of one is sent again.
#[tokio::test]
async fn a_connection_that_was_given_up_is_replaced() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let serving = tokio::spawn(async move {
        let body = syncing(0).to_string();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        for requests in [1, 2] {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            for _ in 0..requests {
                let _ = stream.read(&mut [0; 4096]).await.expect("a request");
                stream.write_all(answer.as_bytes()).await.expect("sent");
            }
            // The next request of the first connection is read, and then there is no answer.
            if requests == 1 {
                let _ = stream.read(&mut [0; 4096]).await;
            }
        }
    });
    let backends = backends(&[&url], &[]);
    for _ in 0..3 {
        assert!(backends.call(Call::Syncing).await.is_ok());
    }
    serving.await.expect("all requests came");
}

fn spec() -> Value {
    json!({"data": {
        "SECONDS_PER_SLOT": "4", "SLOTS_PER_EPOCH": "8", "ALTAIR_FORK_EPOCH": "0", "ALTAIR_FORK_VERSION": "0x01000001",
        "BELLATRIX_FORK_EPOCH": "0", "BELLATRIX_FORK_VERSION": "0x02000001", "CAPELLA_FORK_EPOCH": "0",
        "CAPELLA_FORK_VERSION": "0x03000001", "DENEB_FORK_EPOCH": "1", "DENEB_FORK_VERSION": "0x04000001",
        "ELECTRA_FORK_EPOCH": "2", "ELECTRA_FORK_VERSION": "0x05000001", "BLOB_SCHEDULE": [],
        "PRESET_BASE": "mainnet",
    }})
}

fn genesis(time: u64) -> Value {
    json!({"data": {
        "genesis_time": time.to_string(), "genesis_validators_root": root(9), "genesis_fork_version": "0x00000001",
    }})
}

/// One of another chain may be the first to answer.
#[tokio::test]
async fn only_nodes_of_one_chain_are_asked() {
    let serving = |time| {
        move |seen: &Seen| match seen.path.as_str() {
            "/eth/v1/beacon/genesis" => Act::json(&genesis(time)),
            "/eth/v1/node/version" => Act::json(&json!({"data": {"version": format!("Node/{time}")}})),
            _ => Act::json(&spec()),
        }
    };
    let [other, ours, fallback] =
        [Fake::start(serving(1)).await, Fake::start(serving(2)).await, Fake::start(serving(2)).await];
    let backends = backends(&[&other.url(), &nobody().await, &ours.url()], &[&fallback.url()]);
    let told = backends.geneses().await;
    let times: Vec<_> = told.iter().map(|told| told.as_ref().ok().map(|told| told.genesis_time)).collect();
    assert_eq!(times, [Some(1), None, Some(2), Some(2)]);
    backends.ask_only(BTreeSet::from([2, 3]));
    for _ in 0..20 {
        let version = forward(&backends, "/eth/v1/node/version").await.expect("an answer");
        assert!(version.contains("Node/2"), "{version}");
    }
    assert_eq!(backends.config().await.expect("a chain").genesis.genesis_time, 2);
    let known: Vec<bool> = backends.identities().await.iter().map(Result::is_ok).collect();
    assert_eq!(known, [false, false, true, true], "who is not asked is nobody's");
    // Without primaries the fallbacks have to do.
    backends.ask_only(BTreeSet::from([3]));
    let before = fallback.seen().len();
    assert!(forward(&backends, "/eth/v1/node/version").await.is_ok());
    assert_eq!(fallback.seen().len(), before + 1);
    backends.ask_only(BTreeSet::new());
    let error = forward(&backends, "/eth/v1/node/version").await.expect_err("there is nobody");
    assert!(error.contains("has told yet that it is of the cluster's chain"), "{error}");
    let passed_on = |seen: &&Seen| seen.path == "/eth/v1/config/spec";
    assert_eq!(other.seen().iter().filter(passed_on).count(), 0);
}

async fn forward(backends: &Backends, path: &str) -> Result<String, String> {
    let (path_and_query, headers) = (path.to_owned(), reqwest::header::HeaderMap::new());
    let request = Forward { method: reqwest::Method::GET, path_and_query, headers, body: Body::new() };
    let mut forwarded = backends.forward(request).await.map_err(|error| error.to_string())?;
    let mut body = Vec::new();
    while let Some(chunk) = forwarded.body.next().await {
        body.extend_from_slice(&chunk.map_err(|error| error.to_string())?);
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn the_chain_is_read_once() {
    let node = Fake::start(|seen| {
        Act::json(&if seen.path == "/eth/v1/beacon/genesis" { genesis(1000) } else { spec() })
    })
    .await;
    let backends = backends(&[&node.url()], &[]);
    let config = backends.config().await.expect("a chain");
    let chain = &config.chain;
    assert_eq!((chain.clock.genesis, chain.clock.slot.as_secs()), (Time::from_secs(1000), 4));
    assert_eq!((chain.clock.slots_per_epoch, chain.genesis_validators_root), (8, [9; 32]));
    assert_eq!(chain.forks.at(1), Fork::Deneb);
    assert_eq!(chain.forks.at(u64::MAX - 1), Fork::Electra, "Fulu is not planned");
    assert_eq!(chain.forks.version(Fork::Electra).to_string(), "0x05000001");
    assert_eq!(config.genesis.genesis_fork_version.to_string(), "0x00000001");
    assert_eq!(config.spec.text("PRESET_BASE"), Some("mainnet"));
    assert_eq!(backends.config().await.as_ref(), Ok(&config));
    assert_eq!(node.seen().len(), 2);
    // Attestations before Electra now go with their own fork.
    let _ = backends.call(Call::SubmitAttestationsPhase0(vec![read(&phase0(0))])).await;
    assert_eq!(node.seen()[2].header("eth-consensus-version"), Some("deneb"));
    let mut early = phase0(0);
    early["data"]["target"]["epoch"] = json!("0");
    let _ = backends.call(Call::SubmitAttestationsPhase0(vec![read(&early)])).await;
    assert_eq!(node.seen()[3].header("eth-consensus-version"), Some("capella"));
}

#[tokio::test]
async fn a_configuration_that_cannot_be_is_refused() {
    for (key, value) in [
        ("SECONDS_PER_SLOT", "0"),
        ("SECONDS_PER_SLOT", "x"),
        ("SLOTS_PER_EPOCH", "0"),
        ("DENEB_FORK_VERSION", "0x04"),
        ("DENEB_FORK_EPOCH", "-1"),
        ("SLOT_DURATION_MS", "0"),
        ("SYNC_COMMITTEE_SIZE", "32"),
    ] {
        let mut spec = spec();
        spec["data"][key] = json!(value);
        let rule = move |seen: &Seen| {
            Act::json(&if seen.path == "/eth/v1/beacon/genesis" { genesis(1000) } else { spec.clone() })
        };
        let node = Fake::start(rule).await;
        let error = backends(&[&node.url()], &[]).config().await.expect_err(key);
        assert_eq!(error.failure, Failure::Malformed, "{key}: {error}");
    }
}

/// Before genesis nodes say 404, or are not there yet; nothing of it is an end.
#[tokio::test]
async fn genesis_is_waited_for() {
    let mut asked = 0;
    let node = Fake::start(move |seen| {
        asked += 1;
        match (seen.path.as_str(), asked) {
            (_, 1) => Act::error(404, "chain genesis info is not yet known"),
            ("/eth/v1/beacon/genesis", _) => Act::json(&genesis(1000)),
            ("/eth/v1/node/syncing", _) => Act::json(&syncing(5_u64.saturating_sub(asked))),
            _ => Act::json(&spec()),
        }
    })
    .await;
    let backends = backends(&[&node.url()], &[]);
    let mut heard = Vec::new();
    let config = backends.wait_for_genesis(|waiting| heard.push(waiting)).await;
    assert_eq!(config.chain.clock.genesis, Time::from_secs(1000));
    let [Waiting::Answer(error)] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!(error.failure, Failure::NotYet);
    heard.clear();
    backends.wait_until_synced(|waiting| heard.push(waiting)).await;
    assert!(matches!(heard.as_slice(), [Waiting::Synced(_)]), "{heard:?}");
}

#[tokio::test]
async fn each_node_is_asked_what_it_is() {
    let one = Fake::start(|seen| {
        Act::json(&match seen.path.as_str() {
            "/eth/v1/node/version" => json!({"data": {"version": "Lighthouse/v8.0.0"}}),
            _ => json!({"data": {"connected": "56", "disconnected": "1", "connecting": "2", "disconnecting": "3"}}),
        })
    })
    .await;
    let backends = backends(&[&one.url()], &[&nobody().await]);
    let versions = backends.versions().await;
    assert_eq!(versions[0].as_deref(), Ok("Lighthouse/v8.0.0"));
    assert_eq!(versions[1].as_ref().map_err(|error| error.failure), Err(Failure::Network));
    assert_eq!(backends.peer_counts().await[0], Ok(56));
    assert_eq!(backends.addresses().len(), 2);
}

#[tokio::test]
async fn calls_are_counted() {
    let node = Fake::start(|_| Act::json(&syncing(0))).await;
    let backends = backends(&[&node.url()], &[]);
    for _ in 0..3 {
        let _ = backends.call(Call::Syncing).await;
    }
    let _ = backends.call(Call::ProposerDuties { epoch: 1 }).await;
    let metrics = backends.metrics();
    let counted: Vec<_> =
        metrics.calls.iter().map(|(name, calls)| (*name, calls.requests, calls.errors)).collect();
    assert_eq!(counted, [("node_syncing", 3, 0), ("proposer_duties", 1, 1)]);
    assert_eq!(metrics.calls["node_syncing"].latency.total(), 3);
}

/// The table has older minimums than ours.
#[test]
fn versions_are_judged_as_charon_does() {
    #[derive(serde::Deserialize)]
    struct Table {
        rows: Vec<Row>,
    }
    #[derive(serde::Deserialize)]
    struct Row {
        version: String,
        status: String,
    }
    let Some(text) = support::vector("core/tables/bn_version_status.json") else { return };
    let minimums = [
        Minimum { client: "Lighthouse", release: [7, 0, 0] },
        Minimum { client: "teku", release: [25, 4, 1] },
        Minimum { client: "Lodestar", release: [1, 29, 0] },
        Minimum { client: "Nimbus", release: [25, 4, 1] },
        Minimum { client: "Prysm", release: [6, 0, 0] },
        Minimum { client: "Grandine", release: [1, 1, 0] },
    ];
    let table: Table = serde_json::from_str(&text).expect("a table");
    for row in table.rows {
        let got = match check_version(&row.version, &minimums) {
            Version::Fine => "ok",
            Version::TooOld(_) => "too_old",
            Version::NotUnderstood => "format_error",
            Version::UnknownClient => "unknown_client",
        };
        // Releases that are known to be bad are no matter of ours.
        if row.status != "incompatible" {
            assert_eq!(got, row.status, "{}", row.version);
        }
    }
}
