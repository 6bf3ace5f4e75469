//! A node of a cluster, pretended: it knows both halves of each key, verifies shares' signatures, and answers selections
//! with the groups'. It has no chain: what it answers is made from the clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use coxswain_dv_crypto::bls::{PublicKey, SecretKey, Signature, verify};
use coxswain_dv_eth::api::{BeaconCommitteeSelection, SyncCommitteeSelection};
use coxswain_dv_eth::attestation::{
    AttestationData, AttestationElectra, Checkpoint, SignedAggregateAndProof, SingleAttestation,
};
use coxswain_dv_eth::bytes::{Bytes32, Bytes48, Bytes96};
use coxswain_dv_eth::domain::{self, Chain, Signable};
use coxswain_dv_eth::fork::Forks;
use coxswain_dv_eth::operations::{Signed, VoluntaryExit};
use coxswain_dv_eth::sync::{
    SignedContributionAndProof, SyncAggregatorSelectionData, SyncCommitteeContribution, SyncCommitteeMessage,
};
use coxswain_dv_eth::time::{Clock, Time};
use serde_json::{Value, json};
use ssz_types::{BitList, BitVector};
use tree_hash::TreeHash as _;

/// How a request goes wrong.
#[derive(Debug, Clone)]
pub(crate) enum Trick {
    /// With a status.
    Status(u16),
    /// With this body and 200.
    Body(String),
    /// It is answered after so long.
    Late(Duration),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What a node has, and what it saw.
pub(crate) struct Node {
    pub(crate) chain: Chain,
    /// Secrets of shares and groups, by index of validators.
    secrets: Vec<(SecretKey, SecretKey)>,
    pub(crate) seen: Mutex<Vec<Seen>>,
    pub(crate) tricks: Mutex<Vec<(String, Trick)>>,
    /// How many of each kind were accepted.
    pub(crate) accepted: Mutex<BTreeMap<&'static str, u64>>,
    /// What was refused, and why.
    pub(crate) refused: Mutex<Vec<String>>,
    /// By how many slots attesters are later than their index, and the first byte of the head.
    pub(crate) shift: Mutex<(u64, u8)>,
}

/// A secret of a number.
pub(crate) fn secret(n: u8) -> SecretKey {
    let mut bytes = [2; 32];
    bytes[31] = n;
    SecretKey::from_bytes(&bytes).expect("a scalar")
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}

fn group(secret: &SecretKey) -> PublicKey {
    secret.public()
}

/// Whether a signature holds.
fn holds(chain: &Chain, key: &PublicKey, signature: &Bytes96, what: &Signable) -> bool {
    let signature = Signature::from_bytes(&signature.0);
    signature.is_ok_and(|signature| verify(key, &chain.signing_root(what), &signature))
}

impl Node {
    /// A node with so many validators; genesis is the next second.
    pub(crate) fn new(n_validators: u8, slot: Duration) -> Arc<Node> {
        let versions = std::array::from_fn(|fork| (0, [u8::try_from(fork).expect("7"), 0, 0, 5].into()));
        let clock = Clock { genesis: Time::from_secs(now().as_secs() + 1), slot, slots_per_epoch: 4 };
        let chain = Chain { clock, forks: Forks::new(versions), genesis_validators_root: [9; 32] };
        let secrets = (0..n_validators).map(|n| (secret(n), secret(100 + n))).collect();
        Arc::new(Node {
            chain,
            secrets,
            seen: Mutex::default(),
            tricks: Mutex::default(),
            accepted: Mutex::default(),
            refused: Mutex::default(),
            shift: Mutex::default(),
        })
    }

    /// Serves it.
    pub(crate) async fn serve(self: &Arc<Node>) -> url::Url {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(answer).with_state(Arc::clone(self));
        tokio::spawn(async move { axum::serve(listener, router).await });
        url.parse().expect("a URL")
    }

    /// The next so many requests of a path go wrong.
    pub(crate) fn trick(&self, path: &str, times: usize, trick: &Trick) {
        let more = std::iter::repeat_n((path.to_owned(), trick.clone()), times);
        self.tricks.lock().expect("whole").extend(more);
    }

    /// Requests whose path contains a piece.
    pub(crate) fn requests(&self, piece: &str) -> Vec<Seen> {
        self.seen.lock().expect("whole").iter().filter(|seen| seen.path.contains(piece)).cloned().collect()
    }

    /// How many of a kind were accepted.
    pub(crate) fn accepted(&self, kind: &str) -> u64 {
        self.accepted.lock().expect("whole").get(kind).copied().unwrap_or_default()
    }

    fn key(&self, validator: u64) -> Bytes48 {
        self.secrets[usize::try_from(validator).expect("small")].0.public().to_bytes().into()
    }

    fn indices(&self) -> std::ops::Range<u64> {
        0..self.secrets.len() as u64
    }

    /// Takes what a share signed; `inner` is what the group signed.
    fn take(
        &self,
        kind: &'static str,
        validator: u64,
        outer: (&Bytes96, Signable),
        inner: Option<(&Bytes96, Signable)>,
    ) -> bool {
        let Some((share, whole)) = usize::try_from(validator).ok().and_then(|at| self.secrets.get(at)) else {
            self.refused.lock().expect("whole").push(format!("{kind}: no validator {validator}"));
            return false;
        };
        let is_signed = holds(&self.chain, &share.public(), outer.0, &outer.1);
        let is_selected = inner.is_none_or(|(proof, what)| holds(&self.chain, &group(whole), proof, &what));
        if !is_signed || !is_selected {
            let why = if is_signed { "the group's proof" } else { "the share's signature" };
            self.refused.lock().expect("whole").push(format!("{kind}: {why} of {validator}"));
            return false;
        }
        *self.accepted.lock().expect("whole").entry(kind).or_default() += 1;
        true
    }

    fn signable(&self, domain: [u8; 4], root: [u8; 32], slot: u64) -> Signable {
        Signable { root, domain, epoch: self.chain.clock.epoch_of(slot) }
    }

    fn head(&self) -> Bytes32 {
        [self.shift.lock().expect("whole").1; 32].into()
    }

    fn data(&self, slot: u64) -> AttestationData {
        let epoch = self.chain.clock.epoch_of(slot);
        let checkpoint = |epoch: u64| Checkpoint { epoch, root: Bytes32::default() };
        AttestationData {
            slot,
            index: 0,
            beacon_block_root: self.head(),
            source: checkpoint(epoch.saturating_sub(1)),
            target: checkpoint(epoch),
        }
    }

    fn validators(&self) -> Vec<Value> {
        let row = |index: u64| {
            json!({ "index": index.to_string(), "balance": "32000000000", "status": "active_ongoing", "validator": {
                "pubkey": self.key(index), "withdrawal_credentials": Bytes32::default(),
                "effective_balance": "32000000000", "slashed": false, "activation_eligibility_epoch": "0",
                "activation_epoch": "0", "exit_epoch": u64::MAX.to_string(),
                "withdrawable_epoch": u64::MAX.to_string()
            } })
        };
        self.indices().map(row).collect()
    }

    fn attesters(&self, epoch: u64) -> Vec<Value> {
        let (shift, _) = *self.shift.lock().expect("whole");
        let row = |index: u64| {
            let slot = self.chain.clock.first_of(epoch) + (index + shift) % self.chain.clock.slots_per_epoch;
            json!({ "pubkey": self.key(index), "validator_index": index.to_string(), "committee_index": "2",
                "committee_length": "4", "committees_at_slot": "4", "validator_committee_index": index.to_string(),
                "slot": slot.to_string() })
        };
        self.indices().map(row).collect()
    }

    fn members(&self) -> Vec<Value> {
        let row = |index: u64| {
            let places = [index.to_string(), (index + 300).to_string()];
            json!({ "pubkey": self.key(index), "validator_index": index.to_string(),
                "validator_sync_committee_indices": places })
        };
        self.indices().map(row).collect()
    }

    fn select(&self, body: &[u8]) -> Option<Value> {
        let mut all: Vec<BeaconCommitteeSelection> = serde_json::from_slice(body).ok()?;
        for one in &mut all {
            let what = self.signable(domain::SELECTION, one.slot.tree_hash_root().0, one.slot);
            if !self.take("selection", one.validator_index, (&one.selection_proof, what), None) {
                return None;
            }
            let (_, whole) = &self.secrets[usize::try_from(one.validator_index).ok()?];
            one.selection_proof = whole.sign(&self.chain.signing_root(&what)).to_bytes().into();
        }
        Some(json!({ "data": all }))
    }

    fn sync_selection(&self, slot: u64, subcommittee_index: u64) -> Signable {
        let data = SyncAggregatorSelectionData { slot, subcommittee_index };
        self.signable(domain::SYNC_SELECTION, data.root(), slot)
    }

    fn select_members(&self, body: &[u8]) -> Option<Value> {
        let mut all: Vec<SyncCommitteeSelection> = serde_json::from_slice(body).ok()?;
        for one in &mut all {
            let what = self.sync_selection(one.slot, one.subcommittee_index);
            if !self.take("sync_selection", one.validator_index, (&one.selection_proof, what), None) {
                return None;
            }
            let (_, whole) = &self.secrets[usize::try_from(one.validator_index).ok()?];
            one.selection_proof = whole.sign(&self.chain.signing_root(&what)).to_bytes().into();
        }
        Some(json!({ "data": all }))
    }

    fn attest(&self, body: &[u8]) -> Option<Value> {
        let all: Vec<SingleAttestation> = serde_json::from_slice(body).ok()?;
        let is_good = |one: &SingleAttestation| {
            let what = self.signable(domain::ATTESTER, one.data.root(), one.data.slot);
            one.committee_index == 2
                && self.take("attestation", one.attester_index, (&one.signature, what), None)
        };
        all.iter().all(is_good).then_some(Value::Null)
    }

    fn aggregates(&self, body: &[u8]) -> Option<Value> {
        let all: Vec<SignedAggregateAndProof<AttestationElectra>> = serde_json::from_slice(body).ok()?;
        let is_good = |one: &SignedAggregateAndProof<AttestationElectra>| {
            let slot = one.message.aggregate.data.slot;
            let outer = self.signable(domain::AGGREGATE_AND_PROOF, one.message.tree_hash_root().0, slot);
            let inner = self.signable(domain::SELECTION, slot.tree_hash_root().0, slot);
            let inner = Some((&one.message.selection_proof, inner));
            self.take("aggregate", one.message.aggregator_index, (&one.signature, outer), inner)
        };
        all.iter().all(is_good).then_some(Value::Null)
    }

    fn votes(&self, body: &[u8]) -> Option<Value> {
        let all: Vec<SyncCommitteeMessage> = serde_json::from_slice(body).ok()?;
        let is_good = |one: &SyncCommitteeMessage| {
            let what = self.signable(domain::SYNC_COMMITTEE, one.beacon_block_root.0, one.slot);
            self.take("vote", one.validator_index, (&one.signature, what), None)
        };
        all.iter().all(is_good).then_some(Value::Null)
    }

    fn contributions(&self, body: &[u8]) -> Option<Value> {
        let all: Vec<SignedContributionAndProof> = serde_json::from_slice(body).ok()?;
        let is_good = |one: &SignedContributionAndProof| {
            let of = &one.message.contribution;
            let outer = self.signable(domain::CONTRIBUTION, one.message.tree_hash_root().0, of.slot);
            let inner = self.sync_selection(of.slot, of.subcommittee_index);
            let inner = Some((&one.message.selection_proof, inner));
            self.take("contribution", one.message.aggregator_index, (&one.signature, outer), inner)
        };
        all.iter().all(is_good).then_some(Value::Null)
    }

    fn exit(&self, body: &[u8]) -> Option<Value> {
        let one: Signed<VoluntaryExit> = serde_json::from_slice(body).ok()?;
        let root = one.message.tree_hash_root().0;
        let what = Signable { root, domain: domain::EXIT, epoch: one.message.epoch };
        self.take("exit", one.message.validator_index, (&one.signature, what), None).then_some(Value::Null)
    }

    fn aggregate(&self, slot: u64) -> Value {
        let mut committee_bits = BitVector::new();
        committee_bits.set(2, true).expect("64 committees");
        let mut aggregation_bits = BitList::with_capacity(4).expect("4 fit");
        aggregation_bits.set(0, true).expect("4 fit");
        let signature = Bytes96::default();
        let aggregate =
            AttestationElectra { aggregation_bits, data: self.data(slot), signature, committee_bits };
        json!({ "version": "fulu", "data": aggregate })
    }

    fn contribution(&self, slot: u64, subcommittee_index: u64) -> Value {
        let contribution = SyncCommitteeContribution {
            slot,
            beacon_block_root: self.head(),
            subcommittee_index,
            aggregation_bits: BitVector::new(),
            signature: Bytes96::default(),
        };
        json!({ "data": contribution })
    }

    fn spec(&self) -> Value {
        let mut spec = json!({
            "SLOT_DURATION_MS": self.chain.clock.slot.as_millis().to_string(),
            "SLOTS_PER_EPOCH": self.chain.clock.slots_per_epoch.to_string(),
        });
        let names = ["GENESIS", "ALTAIR", "BELLATRIX", "CAPELLA", "DENEB", "ELECTRA", "FULU"];
        for (fork, name) in names.iter().enumerate() {
            spec[format!("{name}_FORK_VERSION")] = json!(format!("0x{fork:02}000005"));
            spec[format!("{name}_FORK_EPOCH")] = json!("0");
        }
        json!({ "data": spec })
    }

    /// The answer to a request; none where it is refused.
    fn honest(&self, seen: &Seen) -> Option<Value> {
        let query = |name: &str| -> Option<u64> {
            let pairs = seen.query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse().ok())
        };
        let last = seen.path.rsplit('/').next().unwrap_or_default();
        let body = &seen.body;
        let pieces: Vec<&str> = seen.path.trim_matches('/').split('/').skip(2).collect();
        let duties = |rows: Vec<Value>| json!({ "dependent_root": Bytes32::default(), "data": rows });
        Some(match pieces.as_slice() {
            ["node", "version"] => json!({ "data": { "version": "pretended/charon" } }),
            ["beacon", "genesis"] => json!({ "data": {
                "genesis_fork_version": "0x00000005", "genesis_time": self.chain.clock.genesis.0.as_secs().to_string(),
                "genesis_validators_root": Bytes32::from(self.chain.genesis_validators_root) } }),
            ["config", "spec"] => self.spec(),
            ["config", "fork_schedule"] => json!({ "data": [] }),
            ["beacon", "states", "head", "validators"] => json!({ "data": self.validators() }),
            ["beacon", "states", "head", "validators", key] => {
                let all = self.validators();
                let found = all.into_iter().find(|one| one["validator"]["pubkey"] == **key)?;
                json!({ "data": found })
            }
            ["validator", "duties", "attester", _] => duties(self.attesters(last.parse().ok()?)),
            ["validator", "duties", "proposer", _] => duties(Vec::new()),
            ["validator", "duties", "sync", _] => json!({ "data": self.members() }),
            ["validator", "attestation_data"] => json!({ "data": self.data(query("slot")?) }),
            ["validator", "aggregate_attestation"] => self.aggregate(query("slot")?),
            ["validator", "sync_committee_contribution"] => {
                self.contribution(query("slot")?, query("subcommittee_index")?)
            }
            ["validator", "beacon_committee_selections"] => self.select(body)?,
            ["validator", "sync_committee_selections"] => self.select_members(body)?,
            ["validator", "aggregate_and_proofs"] => self.aggregates(body)?,
            ["validator", "contribution_and_proofs"] => self.contributions(body)?,
            ["beacon", "pool", "attestations"] => self.attest(body)?,
            ["beacon", "pool", "sync_committees"] => self.votes(body)?,
            ["beacon", "pool", "voluntary_exits"] => self.exit(body)?,
            ["beacon", "blocks", "head", "root"] => json!({ "data": { "root": self.head() } }),
            ["validator", "prepare_beacon_proposer" | "register_validator", ..]
            | ["validator", "beacon_committee_subscriptions" | "sync_committee_subscriptions"] => Value::Null,
            _ => return None,
        })
    }
}

async fn answer(
    State(node): State<Arc<Node>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
    let seen = Seen { method, path, query, headers, body };
    node.seen.lock().expect("whole").push(seen.clone());
    let trick = {
        let mut tricks = node.tricks.lock().expect("whole");
        let found = tricks.iter().position(|(piece, _)| seen.path.contains(piece.as_str()));
        found.map(|position| tricks.remove(position).1)
    };
    match trick {
        Some(Trick::Status(status)) => {
            let status = StatusCode::from_u16(status).expect("a status");
            return (status, r#"{"code":500,"message":"pretended"}"#).into_response();
        }
        Some(Trick::Body(body)) => return body.into_response(),
        Some(Trick::Late(late)) => tokio::time::sleep(late).await,
        None => {}
    }
    match node.honest(&seen) {
        Some(Value::Null) => StatusCode::OK.into_response(),
        Some(value) => axum::Json(value).into_response(),
        None => (StatusCode::NOT_FOUND, r#"{"code":404,"message":"refused"}"#).into_response(),
    }
}
