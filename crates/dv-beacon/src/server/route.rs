//! Which requests the node answers itself.

/// What is asked of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Endpoint {
    AttesterDuties,
    ProposerDuties,
    SyncDuties,
    Validators,
    PostValidators,
    Validator,
    AttestationData,
    SubmitAttestations,
    Proposal,
    SubmitProposal,
    SubmitBlindedProposal,
    Selections,
    SyncSelections,
    Aggregate,
    SubmitAggregates,
    SubmitSyncMessages,
    Contribution,
    SubmitContributions,
    SubmitExit,
    /// Accepted, and nothing is done: the node does it by itself.
    Swallowed,
    NodeVersion,
    /// The same, in parts.
    NodeVersionV2,
    /// Older forms, which no client that is in use needs.
    Retired,
    Events,
}

/// Which bodies an endpoint reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    JsonOrSsz,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// `{}` is any one part.
    pub(crate) path: &'static str,
    pub(crate) endpoint: Endpoint,
    /// In metrics; charon's names, which dashboards know.
    pub(crate) name: &'static str,
}

const fn get(path: &'static str, endpoint: Endpoint, name: &'static str) -> Route {
    Route { method: "GET", path, endpoint, name }
}

const fn post(path: &'static str, endpoint: Endpoint, name: &'static str) -> Route {
    Route { method: "POST", path, endpoint, name }
}

/// All of them.
pub(crate) static ROUTES: &[Route] = &[
    post("/eth/v1/validator/duties/attester/{}", Endpoint::AttesterDuties, "attester_duties"),
    get("/eth/v1/validator/duties/proposer/{}", Endpoint::ProposerDuties, "proposer_duties"),
    get("/eth/v2/validator/duties/proposer/{}", Endpoint::ProposerDuties, "proposer_duties_v2"),
    post("/eth/v1/validator/duties/sync/{}", Endpoint::SyncDuties, "sync_committee_duties"),
    get("/eth/v1/beacon/states/{}/validators", Endpoint::Validators, "get_validators"),
    post("/eth/v1/beacon/states/{}/validators", Endpoint::PostValidators, "get_validators"),
    get("/eth/v1/beacon/states/{}/validators/{}", Endpoint::Validator, "get_validator"),
    get("/eth/v1/validator/attestation_data", Endpoint::AttestationData, "attestation_data"),
    post("/eth/v2/beacon/pool/attestations", Endpoint::SubmitAttestations, "submit_attestations_v2"),
    post("/eth/v1/beacon/pool/attestations", Endpoint::Retired, "submit_attestations"),
    get("/eth/v3/validator/blocks/{}", Endpoint::Proposal, "propose_block_v3"),
    get("/eth/v2/validator/blocks/{}", Endpoint::Retired, "propose_block"),
    get("/eth/v1/validator/blinded_blocks/{}", Endpoint::Retired, "propose_blinded_block"),
    post("/eth/v1/beacon/blocks", Endpoint::SubmitProposal, "submit_proposal_v1"),
    post("/eth/v2/beacon/blocks", Endpoint::SubmitProposal, "submit_proposal_v2"),
    post("/eth/v1/beacon/blinded_blocks", Endpoint::SubmitBlindedProposal, "submit_blinded_block_v1"),
    post("/eth/v2/beacon/blinded_blocks", Endpoint::SubmitBlindedProposal, "submit_blinded_block_v2"),
    post("/eth/v1/validator/register_validator", Endpoint::Swallowed, "submit_validator_registration"),
    post("/eth/v1/validator/prepare_beacon_proposer", Endpoint::Swallowed, "submit_proposal_preparations"),
    post("/eth/v1/beacon/pool/voluntary_exits", Endpoint::SubmitExit, "submit_voluntary_exit"),
    post(
        "/eth/v1/validator/beacon_committee_selections",
        Endpoint::Selections,
        "aggregate_beacon_committee_selections",
    ),
    post(
        "/eth/v1/validator/sync_committee_selections",
        Endpoint::SyncSelections,
        "aggregate_sync_committee_selections",
    ),
    get("/eth/v2/validator/aggregate_attestation", Endpoint::Aggregate, "aggregate_attestation_v2"),
    get("/eth/v1/validator/aggregate_attestation", Endpoint::Retired, "aggregate_attestation"),
    post(
        "/eth/v2/validator/aggregate_and_proofs",
        Endpoint::SubmitAggregates,
        "submit_aggregate_and_proofs_v2",
    ),
    post("/eth/v1/validator/aggregate_and_proofs", Endpoint::Retired, "submit_aggregate_and_proofs"),
    post(
        "/eth/v1/beacon/pool/sync_committees",
        Endpoint::SubmitSyncMessages,
        "submit_sync_committee_messages",
    ),
    get(
        "/eth/v1/validator/sync_committee_contribution",
        Endpoint::Contribution,
        "sync_committee_contribution",
    ),
    post(
        "/eth/v1/validator/contribution_and_proofs",
        Endpoint::SubmitContributions,
        "submit_contribution_and_proofs",
    ),
    get("/teku_proposer_config", Endpoint::Retired, "teku_proposer_config"),
    get("/proposer_config", Endpoint::Retired, "proposer_config"),
    get("/eth/v1/node/version", Endpoint::NodeVersion, "node_version"),
    // Ours: it would tell the clients of another program than the one that they talk to.
    get("/eth/v2/node/version", Endpoint::NodeVersionV2, "node_version_v2"),
    get("/eth/v1/events", Endpoint::Events, "events"),
];

impl Route {
    /// Which bodies it reads. Those of registrations are not read at all.
    pub(crate) fn media(&self) -> Media {
        match self.endpoint {
            Endpoint::SubmitProposal | Endpoint::SubmitBlindedProposal => Media::JsonOrSsz,
            Endpoint::Swallowed if self.name == "submit_validator_registration" => Media::JsonOrSsz,
            _ => Media::Json,
        }
    }

    /// The largest body.
    pub(crate) fn max_body_bytes(&self) -> usize {
        match self.endpoint {
            // Blobs: 21 of them are 6 MB in hexadecimal, a payload may have 10 MB, and forks to come want more.
            Endpoint::SubmitProposal | Endpoint::SubmitBlindedProposal => 64 << 20,
            // A thousand validators: an aggregate takes at most 35 kB in hexadecimal, anything else less than 2 kB.
            Endpoint::SubmitAggregates => 64 << 20,
            Endpoint::AttesterDuties
            | Endpoint::SyncDuties
            | Endpoint::PostValidators
            | Endpoint::SubmitAttestations
            | Endpoint::Selections
            | Endpoint::SyncSelections
            | Endpoint::SubmitSyncMessages
            | Endpoint::SubmitContributions
            | Endpoint::Swallowed => 16 << 20,
            Endpoint::SubmitExit
            | Endpoint::ProposerDuties
            | Endpoint::Validators
            | Endpoint::Validator
            | Endpoint::AttestationData
            | Endpoint::Proposal
            | Endpoint::Aggregate
            | Endpoint::Contribution
            | Endpoint::NodeVersion
            | Endpoint::NodeVersionV2
            | Endpoint::Retired
            | Endpoint::Events => 64 << 10,
        }
    }
}

/// Whether a path can be read in one way only. Servers differ in what they make of `//`, `..`, `\` and `%65`, and what
/// the table does not see there must not be something else at a beacon node.
pub(crate) fn is_plain(path: &str) -> bool {
    let parts = path.strip_prefix('/').map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let is_plain_byte =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b',' | b':' | b'~');
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(is_plain_byte);
    parts.is_some_and(|parts| parts.is_empty() || parts.split('/').all(is_part))
}

/// The row of a request, and the parts of its path that stand at `{}`. A slash at the end changes nothing.
pub(crate) fn find<'p>(method: &str, path: &'p str) -> Option<(&'static Route, Vec<&'p str>)> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let of_method = ROUTES.iter().filter(|route| route.method == method);
    of_method.filter_map(|route| Some((route, matched(route.path, path)?))).next()
}

fn matched<'p>(pattern: &str, path: &'p str) -> Option<Vec<&'p str>> {
    let mut parts = path.split('/');
    let mut found = Vec::new();
    for expected in pattern.split('/') {
        match (expected, parts.next()?) {
            ("{}", "") => return None,
            ("{}", part) => found.push(part),
            (expected, part) if expected == part => {}
            _ => return None,
        }
    }
    parts.next().is_none().then_some(found)
}

/// What metrics call the path of a request that is passed on: numbers, roots and peers are not told apart.
pub(crate) fn label(path: &str) -> String {
    /// Names of parts in the Beacon API are shorter; ids of peers are longer.
    const LONGEST_NAME: usize = 40;
    let named = path.split('/').filter(|part| !part.is_empty()).map(|part| {
        let is_hex =
            part.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        if part.bytes().all(|b| b.is_ascii_digit()) {
            "{n}"
        } else if is_hex {
            "{hex}"
        } else if part.len() > LONGEST_NAME {
            "{peer_id}"
        } else {
            part
        }
    });
    named.collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_paths_are_found() {
        let found = |method, path| find(method, path).map(|(route, parts)| (route.endpoint, parts));
        assert_eq!(
            found("GET", "/eth/v1/beacon/states/head/validators/0x12"),
            Some((Endpoint::Validator, vec!["head", "0x12"]))
        );
        assert_eq!(
            found("POST", "/eth/v1/beacon/states/17/validators"),
            Some((Endpoint::PostValidators, vec!["17"]))
        );
        for (method, path) in [
            ("PUT", "/eth/v1/node/version"),
            ("GET", "/eth/v1/node/version//"),
            ("GET", "/eth/v1/validator/duties/proposer/"),
            ("GET", "/eth/v1/validator/duties/attester/1"),
            ("GET", "//eth/v1/node/version"),
            ("GET", ""),
            ("GET", "/"),
        ] {
            assert_eq!(found(method, path), None, "{method} {path}");
        }
    }

    #[test]
    fn paths_that_can_be_read_in_two_ways_are_not_plain() {
        for path in
            ["/", "/eth/v1/node/peers/16Uiu2HA", "/eth/v1/beacon/blocks/0x12/root/", "/a.b/c~d,e:f-g_h"]
        {
            assert!(is_plain(path), "{path}");
        }
        for path in [
            "",
            "eth",
            "//eth",
            "/eth//v1",
            "/eth/../v1",
            "/./eth",
            "/eth/v1/%6eode",
            "/eth\\v1",
            "/é",
            "/a b",
        ] {
            assert!(!is_plain(path), "{path}");
        }
    }

    #[test]
    fn no_row_hides_another() {
        for (at, route) in ROUTES.iter().enumerate() {
            let path = route.path.replace("{}", "1");
            let (found, _) = find(route.method, &path).expect("its own row");
            assert!(std::ptr::eq(found, &raw const ROUTES[at]), "{path}");
        }
    }
}
