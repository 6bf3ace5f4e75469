//! A node's Beacon API, asked in the way of some client: <https://github.com/ethereum/beacon-APIs>.
//!
//! Nothing here knows keys or time; what a node answers is checked where it is used.

mod submit;

use std::time::Duration;

use coxswain_dv_eth::Root;
use coxswain_dv_eth::api::{
    AttesterDuty, BeaconCommitteeSelection, ProposerDuty, SyncCommitteeSelection, SyncDuty,
};
use coxswain_dv_eth::attestation::{Attestation, AttestationData};
use coxswain_dv_eth::beacon::{Duties, Validator};
use coxswain_dv_eth::bytes::{Bytes4, Bytes32, Bytes48, Bytes96};
use coxswain_dv_eth::domain::Chain;
use coxswain_dv_eth::fork::{Fork, Forks};
use coxswain_dv_eth::proposal::{Form as BlockForm, Proposal};
use coxswain_dv_eth::spec::{ForkRow, Genesis, Spec};
use coxswain_dv_eth::sync::SyncCommitteeContribution;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use url::Url;

pub(super) use self::submit::{Attestations, batches};
use super::habits::{Habits, JSON, Lookup, Numbers};
use super::http::{BLINDED, Body, Http, HttpError, Reply, Request, VERSION};

/// Keys in the query of one request: a URL of 8 KiB passes everywhere.
const KEYS_IN_QUERY: usize = 64;

/// How long requests may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// What a node knows.
    pub quick: Duration,
    /// What a node of a cluster agrees on first, or collects from others: charon gives up after 10 s.
    pub waiting: Duration,
}

impl Timeouts {
    /// Those of usual clients.
    #[must_use]
    pub fn usual() -> Timeouts {
        Timeouts { quick: Duration::from_secs(4), waiting: Duration::from_secs(12) }
    }
}

/// A node.
pub struct Node {
    http: Http,
    habits: Habits,
    timeouts: Timeouts,
}

/// The envelope of answers.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

/// The envelope of duties.
#[derive(Deserialize)]
struct DutiesEnvelope<D> {
    #[serde(default)]
    dependent_root: Bytes32,
    data: Vec<D>,
}

/// The envelope of what hangs on a fork. A copy, as other fields may be in any order.
#[derive(Deserialize)]
struct Versioned<'t> {
    version: Option<String>,
    execution_payload_blinded: Option<bool>,
    #[serde(borrow)]
    data: &'t RawValue,
}

#[derive(Deserialize)]
struct RootOf {
    root: Bytes32,
}

#[derive(Deserialize)]
struct VersionOf {
    version: String,
}

impl Node {
    /// The node at a URL.
    ///
    /// # Errors
    /// There is no client for it: TLS lacks something.
    pub fn new(base: Url, habits: Habits, timeouts: Timeouts) -> Result<Node, reqwest::Error> {
        Ok(Node { http: Http::new(base, habits.user_agent)?, habits, timeouts })
    }

    /// The ways in which it is asked.
    #[must_use]
    pub fn habits(&self) -> &Habits {
        &self.habits
    }

    /// How long it may take.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    pub(super) fn http(&self) -> &Http {
        &self.http
    }

    fn get(&self, path: String) -> Request {
        Request { path, accept: JSON, body: Body::None, version: None, timeout: self.timeouts.quick }
    }

    fn post(&self, path: &str, body: Vec<u8>) -> Request {
        let body = Body::Json(body);
        Request { path: path.to_owned(), accept: JSON, body, version: None, timeout: self.timeouts.quick }
    }

    fn slowly(&self, request: Request) -> Request {
        Request { timeout: self.timeouts.waiting, ..request }
    }

    async fn read<T: DeserializeOwned>(&self, request: Request) -> Result<T, HttpError> {
        let reply = self.http.send(&request).await?;
        serde_json::from_slice(&reply.body).map_err(|error| not_understood(&request, error))
    }

    async fn data<T: DeserializeOwned>(&self, request: Request) -> Result<T, HttpError> {
        Ok(self.read::<Envelope<T>>(request).await?.data)
    }

    /// Its name and version.
    ///
    /// # Errors
    /// As of any request.
    pub async fn version(&self) -> Result<String, HttpError> {
        let version: VersionOf = self.data(self.get("/eth/v1/node/version".to_owned())).await?;
        Ok(version.version)
    }

    /// The chain: genesis and configuration.
    ///
    /// # Errors
    /// As of any request; the configuration lacks something.
    pub async fn chain(&self) -> Result<Chain, HttpError> {
        let genesis: Genesis = self.data(self.get("/eth/v1/beacon/genesis".to_owned())).await?;
        let request = self.get("/eth/v1/config/spec".to_owned());
        let spec: Spec = self.data(request.clone()).await?;
        let schedule: Vec<ForkRow> = self.data(self.get("/eth/v1/config/fork_schedule".to_owned())).await?;
        let chain = spec.chain(&genesis).map_err(|why| not_understood(&request, why))?;
        let forks = scheduled(&chain.forks, &schedule);
        Ok(Chain { forks, ..chain })
    }

    /// What the chain knows of validators; those that it does not know are left out.
    ///
    /// # Errors
    /// As of any request.
    pub async fn validators(&self, keys: &[Bytes48]) -> Result<Vec<Validator>, HttpError> {
        const PATH: &str = "/eth/v1/beacon/states/head/validators";
        let mut found = Vec::new();
        match self.habits.lookup {
            Lookup::Post => {
                let body = json(&serde_json::json!({ "ids": keys }));
                found = self.data(self.post(PATH, body)).await?;
            }
            Lookup::Get => {
                for some in keys.chunks(KEYS_IN_QUERY) {
                    let ids: Vec<String> = some.iter().map(ToString::to_string).collect();
                    let more: Vec<Validator> =
                        self.data(self.get(format!("{PATH}?id={}", ids.join(",")))).await?;
                    found.extend(more);
                }
            }
            Lookup::Each => {
                for key in keys {
                    match self.data(self.get(format!("{PATH}/{key}"))).await {
                        Ok(validator) => found.push(validator),
                        Err(HttpError::Status { status: 404, .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(found)
    }

    fn indices(&self, validators: &[u64]) -> Vec<u8> {
        match self.habits.numbers {
            Numbers::Bare => json(&validators),
            Numbers::Quoted => json(&validators.iter().map(ToString::to_string).collect::<Vec<_>>()),
        }
    }

    /// Who attests.
    ///
    /// # Errors
    /// As of any request.
    pub async fn attesters(&self, epoch: u64, validators: &[u64]) -> Result<Duties<AttesterDuty>, HttpError> {
        let path = format!("/eth/v1/validator/duties/attester/{epoch}");
        let answer: DutiesEnvelope<_> = self.read(self.post(&path, self.indices(validators))).await?;
        Ok(Duties { dependent_root: answer.dependent_root, duties: answer.data })
    }

    /// Who proposes.
    ///
    /// # Errors
    /// As of any request.
    pub async fn proposers(&self, epoch: u64) -> Result<Duties<ProposerDuty>, HttpError> {
        let version = self.habits.proposer_duties;
        let path = format!("/eth/{version}/validator/duties/proposer/{epoch}");
        let answer: DutiesEnvelope<_> = self.read(self.get(path)).await?;
        Ok(Duties { dependent_root: answer.dependent_root, duties: answer.data })
    }

    /// Who is in the sync committee.
    ///
    /// # Errors
    /// As of any request.
    pub async fn members(&self, epoch: u64, validators: &[u64]) -> Result<Vec<SyncDuty>, HttpError> {
        let path = format!("/eth/v1/validator/duties/sync/{epoch}");
        self.data(self.post(&path, self.indices(validators))).await
    }

    /// What to attest.
    ///
    /// # Errors
    /// As of any request.
    pub async fn attestation_data(&self, slot: u64, committee: u64) -> Result<AttestationData, HttpError> {
        let query = format!("slot={slot}&committee_index={committee}");
        self.data(self.slowly(self.get(format!("/eth/v1/validator/attestation_data?{query}")))).await
    }

    /// The head.
    ///
    /// # Errors
    /// As of any request.
    pub async fn head(&self) -> Result<Root, HttpError> {
        let root: RootOf = self.data(self.get("/eth/v1/beacon/blocks/head/root".to_owned())).await?;
        Ok(root.root.0)
    }

    /// A block to be signed.
    ///
    /// # Errors
    /// As of any request.
    pub async fn block(
        &self,
        slot: u64,
        randao: &Bytes96,
        graffiti: &Bytes32,
        builder_boost: u64,
    ) -> Result<Proposal, HttpError> {
        let query =
            format!("randao_reveal={randao}&graffiti={graffiti}&builder_boost_factor={builder_boost}");
        let request = self.slowly(self.get(format!("/eth/v3/validator/blocks/{slot}?{query}")));
        let request = Request { accept: self.habits.block_accept, ..request };
        let reply = self.http.send(&request).await?;
        if reply.is_ssz() {
            let fork = fork_of(&request, &reply, None)?;
            let form = BlockForm::from(reply.header(BLINDED) == Some("true"));
            return Proposal::from_ssz(fork, form, &reply.body)
                .map_err(|error| not_understood(&request, error));
        }
        let answer: Versioned<'_> =
            serde_json::from_slice(&reply.body).map_err(|error| not_understood(&request, error))?;
        let fork = fork_of(&request, &reply, answer.version.as_deref())?;
        let flag = answer.execution_payload_blinded;
        let form = BlockForm::from(flag.unwrap_or_else(|| reply.header(BLINDED) == Some("true")));
        Proposal::from_json(fork, form, answer.data.get().as_bytes())
            .map_err(|error| not_understood(&request, error))
    }

    /// The best aggregate of a committee.
    ///
    /// # Errors
    /// As of any request; 404 where there is none yet.
    pub async fn aggregate(
        &self,
        slot: u64,
        data_root: &Bytes32,
        committee: u64,
    ) -> Result<(Fork, Attestation), HttpError> {
        let query = format!("attestation_data_root={data_root}&slot={slot}&committee_index={committee}");
        let path = format!("/eth/v2/validator/aggregate_attestation?{query}");
        let request = self.slowly(self.get(path));
        let reply = self.http.send(&request).await?;
        let answer: Versioned<'_> =
            serde_json::from_slice(&reply.body).map_err(|error| not_understood(&request, error))?;
        let fork = fork_of(&request, &reply, answer.version.as_deref())?;
        let text = answer.data.get();
        let attestation = Attestation::deserialize(fork, &mut serde_json::Deserializer::from_str(text))
            .map_err(|error| not_understood(&request, error))?;
        Ok((fork, attestation))
    }

    /// The best contribution of a subcommittee.
    ///
    /// # Errors
    /// As of any request.
    pub async fn contribution(
        &self,
        slot: u64,
        subcommittee: u64,
        head: &Bytes32,
    ) -> Result<SyncCommitteeContribution, HttpError> {
        let query = format!("slot={slot}&subcommittee_index={subcommittee}&beacon_block_root={head}");
        let path = format!("/eth/v1/validator/sync_committee_contribution?{query}");
        self.data(self.slowly(self.get(path))).await
    }

    /// Whole proofs for those of shares.
    ///
    /// # Errors
    /// As of any request; 408 where not enough others came.
    pub async fn selections(
        &self,
        partial: &[BeaconCommitteeSelection],
    ) -> Result<Vec<BeaconCommitteeSelection>, HttpError> {
        let request = self.post("/eth/v1/validator/beacon_committee_selections", json(&partial));
        self.data(self.slowly(request)).await
    }

    /// Whole proofs of the sync committee for those of shares.
    ///
    /// # Errors
    /// As of any request; 408 where not enough others came.
    pub async fn sync_selections(
        &self,
        partial: &[SyncCommitteeSelection],
    ) -> Result<Vec<SyncCommitteeSelection>, HttpError> {
        let request = self.post("/eth/v1/validator/sync_committee_selections", json(&partial));
        self.data(self.slowly(request)).await
    }
}

/// Forks with the epochs of a schedule. Where it and the configuration differ, the schedule counts: charon's mock of a
/// beacon node has Fulu in the former only.
fn scheduled(forks: &Forks, schedule: &[ForkRow]) -> Forks {
    let mut rows = [(0, Bytes4::default()); 7];
    for fork in Fork::all() {
        let version = forks.version(fork);
        let row = schedule.iter().find(|row| row.current_version == version);
        rows[fork as usize] = (row.map_or(forks.first_epoch(fork), |row| row.epoch), version);
    }
    Forks::new(rows)
}

/// JSON of what always has some.
fn json<T: serde::Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("containers have JSON")
}

/// The fork of an answer: from the header, or from the document.
fn fork_of(request: &Request, reply: &Reply, named: Option<&str>) -> Result<Fork, HttpError> {
    let name = named.or_else(|| reply.header(VERSION)).unwrap_or("");
    Fork::named(name).ok_or_else(|| not_understood(request, format!("{name:?} is no known version")))
}

fn not_understood(request: &Request, why: impl ToString) -> HttpError {
    let (path, _) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let method = if request.body == Body::None { "GET" } else { "POST" };
    HttpError::Content { what: format!("{method} {path}"), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use coxswain_dv_eth::fork::FAR_FUTURE;

    use super::*;

    #[test]
    fn the_schedule_stands_above_the_configuration() {
        let version = |n: u8| Bytes4::from([n, 0, 0, 9]);
        let epochs = [0, 0, 0, 0, 3, 7, FAR_FUTURE];
        let rows = std::array::from_fn(|fork| (epochs[fork], version(u8::try_from(fork).expect("7"))));
        let forks = Forks::new(rows);
        let row = |n: u8, epoch| ForkRow { previous_version: version(0), current_version: version(n), epoch };
        let found = scheduled(&forks, &[row(5, 8), row(6, 9), row(66, 1)]);
        let at = |epoch| found.at(epoch);
        assert_eq!([at(2), at(7), at(8), at(9)], [Fork::Capella, Fork::Deneb, Fork::Electra, Fork::Fulu]);
        assert_eq!(scheduled(&forks, &[]), forks);
    }
}
