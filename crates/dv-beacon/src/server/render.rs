//! What goes back to a validator client.

use bytes::Bytes;
use coxswain_dv_eth::api::ErrorBody;
use coxswain_dv_eth::beacon::Duties;
use coxswain_dv_eth::client::{Answer, Problem};
use coxswain_dv_eth::proposal::Proposal;
use serde::Serialize;

use super::accept::Wanted;
use super::route::Endpoint;

/// An answer as it goes over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// None of an empty body.
    pub(crate) content_type: Option<&'static str>,
    /// Besides the type.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

/// The worth of a block, in Wei, as a node can say it: its blocks are agreed on, not chosen by the client.
const WORTH: &str = "1";

impl Reply {
    /// Success, and nothing to say.
    pub(crate) fn done() -> Reply {
        Reply { status: 200, content_type: None, headers: Vec::new(), body: Bytes::new() }
    }

    /// A document.
    pub(crate) fn json<T: Serialize + ?Sized>(status: u16, document: &T) -> Reply {
        let body = serde_json::to_vec(document).expect("our documents have only text keys");
        Reply { status, content_type: Some("application/json"), headers: Vec::new(), body: Bytes::from(body) }
    }

    /// `{"data": …}`
    pub(crate) fn data<T: Serialize + ?Sized>(data: &T) -> Reply {
        #[derive(Serialize)]
        struct Document<'a, T: ?Sized> {
            data: &'a T,
        }
        Reply::json(200, &Document { data })
    }

    /// The error body of the Beacon API.
    pub(crate) fn problem(problem: Problem) -> Reply {
        // A status that HTTP does not have would be an answer that nobody can read.
        let status = if (400..600).contains(&problem.status) { problem.status } else { 500 };
        Reply::json(status, &ErrorBody::from(Problem { status, ..problem }))
    }
}

/// The answer to a request that was understood. One that is not of the request is a fault of the node's.
pub(crate) fn answer(endpoint: Endpoint, answer: &Answer, wanted: Wanted) -> Reply {
    match (endpoint, answer) {
        (Endpoint::AttesterDuties, Answer::AttesterDuties(duties)) => dependent(duties),
        (Endpoint::ProposerDuties, Answer::ProposerDuties(duties)) => dependent(duties),
        (Endpoint::SyncDuties, Answer::SyncDuties(duties)) => sync_duties(duties),
        (Endpoint::Validators | Endpoint::PostValidators, Answer::Validators(list)) => of_state(list),
        (Endpoint::Validator, Answer::Validators(list)) => match list.first() {
            Some(validator) => of_state(validator),
            None => Reply::problem(Problem::new(404, "the state has no such validator")),
        },
        (Endpoint::AttestationData, Answer::AttestationData(data)) => Reply::data(data),
        (Endpoint::Proposal, Answer::Proposal(proposal)) => block(proposal, wanted),
        (Endpoint::Selections, Answer::Selections(list)) => Reply::data(list),
        (Endpoint::SyncSelections, Answer::SyncSelections(list)) => Reply::data(list),
        (Endpoint::Aggregate, Answer::Aggregate { fork, attestation }) => {
            #[derive(Serialize)]
            struct Document<'a, T> {
                version: &'a str,
                data: &'a T,
            }
            let document = Document { version: fork.name(), data: attestation.as_ref() };
            with_header(Reply::json(200, &document), "eth-consensus-version", fork.name())
        }
        (Endpoint::Contribution, Answer::Contribution(contribution)) => Reply::data(contribution),
        (
            Endpoint::SubmitAttestations
            | Endpoint::SubmitProposal
            | Endpoint::SubmitBlindedProposal
            | Endpoint::SubmitAggregates
            | Endpoint::SubmitSyncMessages
            | Endpoint::SubmitContributions
            | Endpoint::SubmitExit,
            Answer::Done,
        ) => Reply::done(),
        _ => Reply::problem(Problem::new(500, "the node answered something else than what was asked")),
    }
}

fn dependent<D: Serialize>(duties: &Duties<D>) -> Reply {
    #[derive(Serialize)]
    struct Document<'a, D> {
        dependent_root: String,
        data: &'a [D],
        execution_optimistic: bool,
    }
    let dependent_root = duties.dependent_root.to_string();
    Reply::json(200, &Document { dependent_root, data: &duties.duties, execution_optimistic: false })
}

fn sync_duties<D: Serialize>(data: &[D]) -> Reply {
    #[derive(Serialize)]
    struct Document<'a, D> {
        execution_optimistic: bool,
        data: &'a [D],
    }
    Reply::json(200, &Document { execution_optimistic: false, data })
}

fn of_state<T: Serialize + ?Sized>(data: &T) -> Reply {
    #[derive(Serialize)]
    struct Document<'a, T: ?Sized> {
        data: &'a T,
        execution_optimistic: bool,
        finalized: bool,
    }
    Reply::json(200, &Document { data, execution_optimistic: false, finalized: false })
}

fn block(proposal: &Proposal, wanted: Wanted) -> Reply {
    #[derive(Serialize)]
    struct Document<'a> {
        version: &'a str,
        execution_payload_blinded: bool,
        execution_payload_value: &'a str,
        consensus_block_value: &'a str,
        data: &'a Proposal,
    }
    let (fork, is_blinded) = (proposal.fork().name(), proposal.is_blinded());
    let reply = match wanted {
        Wanted::Ssz => Reply {
            content_type: Some("application/octet-stream"),
            body: Bytes::from(proposal.to_ssz()),
            ..Reply::done()
        },
        Wanted::Json => Reply::json(
            200,
            &Document {
                version: fork,
                execution_payload_blinded: is_blinded,
                execution_payload_value: WORTH,
                consensus_block_value: WORTH,
                data: proposal,
            },
        ),
    };
    let reply = with_header(reply, "eth-consensus-version", fork);
    let reply =
        with_header(reply, "eth-execution-payload-blinded", if is_blinded { "true" } else { "false" });
    let reply = with_header(reply, "eth-execution-payload-value", WORTH);
    with_header(reply, "eth-consensus-block-value", WORTH)
}

fn with_header(mut reply: Reply, name: &'static str, value: &str) -> Reply {
    reply.headers.push((name, value.to_owned()));
    reply
}
