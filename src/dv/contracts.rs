//! Signatures of contracts, asked of an execution client.
//!
//! ```text
//! what verification leaves open ─eth_call at the latest block→ valid, or the problem it is otherwise
//! ```
//!
//! ERC-1271 over JSON-RPC. What is asked and how an answer is read: `dv-types`, `cluster::contract`. A call that fails and
//! an address without a contract are no answer: nothing is taken for valid, and nothing for refused.

use std::time::Duration;

use coxswain_dv_types::cluster::{Answer, ContractQuestion, Problem, read_answer};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use url::Url;

use super::http::{Client, HttpError, Request, Shown};

/// How long a client that was named may take until it answers at all, as charon waits.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How often a call is made whose request comes to nothing.
const ATTEMPTS: usize = 3;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(250);
/// Largest answer to a call: an answer has 32 bytes, and an error some text.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// What is shown of a client's own error.
const MAX_ERROR_CHARS: usize = 300;

/// Who answers for contracts.
pub enum Contracts {
    /// Nobody: what only a contract could explain is wrong.
    Nobody,
    /// The execution client at this address, which may have a key in it.
    Asked(Url),
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The request.
    #[error("{0}: {why}", why = _0.why)]
    Http(#[from] HttpError),
    /// The client's own error, or the contract's.
    #[error("{endpoint}: error {code}: {message}")]
    Call {
        /// The client, as it may be shown.
        endpoint: String,
        /// JSON-RPC's number.
        code: i64,
        /// What it says.
        message: String,
    },
    /// No JSON-RPC.
    #[error("{endpoint}: the answer is no JSON-RPC: {why}")]
    Content {
        /// The client, as it may be shown.
        endpoint: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Why a signature does not hold.
#[derive(Debug, thiserror::Error)]
pub enum Unsettled {
    /// Nobody can be asked; it may be a contract's.
    #[error("{0}")]
    NotAsked(Problem),
    /// The contract says that it is not its own.
    #[error("{problem} (its contract {signer} says no)")]
    Refused {
        /// What is wrong.
        problem: Problem,
        /// The contract.
        signer: String,
    },
    /// There is no contract.
    #[error("{problem} (there is no contract at {signer})")]
    NoContract {
        /// What is wrong.
        problem: Problem,
        /// The address.
        signer: String,
    },
    /// There is no answer.
    #[error("{path}: asking the contract {signer}: {source}")]
    Unknown {
        /// Where the signature stands.
        path: String,
        /// The contract.
        signer: String,
        /// Why there is none.
        source: AskError,
    },
}

impl Unsettled {
    /// What to do about it.
    #[must_use]
    pub fn next(&self) -> &'static str {
        match self {
            Unsettled::NotAsked(_) => {
                "if a contract signs there (a Safe, for one), name an execution client of the network with \
                 --execution-client-rpc-endpoint; otherwise ask for the file again: it is not as its creator made it"
            }
            Unsettled::Refused { .. } | Unsettled::NoContract { .. } => {
                "check that the execution client is of the cluster's network, and whose address it is"
            }
            Unsettled::Unknown { .. } => "check the execution client, and run the command again",
        }
    }
}

/// An answer of JSON-RPC 2.0.
#[derive(Deserialize)]
struct Rpc {
    result: Option<Json>,
    error: Option<RpcError>,
}

#[derive(Deserialize)]
struct RpcError {
    code: i64,
    message: String,
}

impl Contracts {
    /// Whom to ask: the execution client at an address, once it has answered.
    ///
    /// # Errors
    /// It does not, within the patience.
    pub async fn connect(endpoint: Url, patience: Duration) -> Result<Contracts, AskError> {
        let client = Client::new();
        let end = tokio::time::Instant::now() + patience;
        loop {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            let failed = match call(&client, &endpoint, "web3_clientVersion", &json!([]), left).await {
                // What it is called does not matter; that it answers does.
                Ok(_) => return Ok(Contracts::Asked(endpoint)),
                Err(error) => error,
            };
            let is_over = tokio::time::Instant::now() + PAUSE >= end;
            if is_over || !is_worth_another(&failed) {
                return Err(failed);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Answers what verification has left open.
    ///
    /// # Errors
    /// The first signature that does not hold, or of which it is not known.
    pub async fn settle(&self, questions: &[ContractQuestion]) -> Result<(), Unsettled> {
        let client = Client::new();
        for question in questions {
            self.settle_one(&client, question).await?;
        }
        Ok(())
    }

    async fn settle_one(&self, client: &Client, question: &ContractQuestion) -> Result<(), Unsettled> {
        let problem = question.otherwise.clone();
        let Contracts::Asked(endpoint) = self else { return Err(Unsettled::NotAsked(problem)) };
        let signer = question.signer.to_string();
        match ask(client, endpoint, question).await {
            Ok(Answer::Valid) => Ok(()),
            Ok(Answer::Invalid) => Err(Unsettled::Refused { problem, signer }),
            Ok(Answer::NoContract) => Err(Unsettled::NoContract { problem, signer }),
            Err(source) => Err(Unsettled::Unknown { path: problem.path, signer, source }),
        }
    }
}

async fn ask(client: &Client, endpoint: &Url, question: &ContractQuestion) -> Result<Answer, AskError> {
    let data = format!("0x{}", hex::encode(question.call_data()));
    let params = json!([{ "to": question.signer.to_string(), "data": data }, "latest"]);
    let mut attempt = 1;
    let result = loop {
        match call(client, endpoint, "eth_call", &params, PATIENCE).await {
            Err(error) if attempt < ATTEMPTS && is_worth_another(&error) => attempt += 1,
            done => break done?,
        }
        tokio::time::sleep(PAUSE).await;
    };
    let returned = result.as_str().and_then(|text| text.strip_prefix("0x"));
    match returned.and_then(|digits| hex::decode(digits).ok()) {
        Some(bytes) => Ok(read_answer(&bytes)),
        None => Err(content(endpoint, "the result of the call is no text of bytes in hex")),
    }
}

/// Whether the same request may fare better: a client's own error would only come again.
fn is_worth_another(error: &AskError) -> bool {
    match error {
        AskError::Http(error) => error.is_passing(),
        AskError::Call { .. } | AskError::Content { .. } => false,
    }
}

fn content(endpoint: &Url, why: impl Into<String>) -> AskError {
    AskError::Content { endpoint: endpoint.origin().ascii_serialization(), why: why.into() }
}

async fn call(
    client: &Client,
    endpoint: &Url,
    method: &str,
    params: &Json,
    timeout: Duration,
) -> Result<Json, AskError> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let request = Request {
        timeout,
        max_answer_bytes: MAX_ANSWER_BYTES,
        shown: Shown::Origin,
        ..Request::post(endpoint, body)
    };
    let answer: Rpc = client.fetch_json(&request).await?;
    match answer {
        Rpc { error: Some(RpcError { code, message }), .. } => Err(AskError::Call {
            endpoint: endpoint.origin().ascii_serialization(),
            code,
            message: message.chars().take(MAX_ERROR_CHARS).collect(),
        }),
        Rpc { result: Some(result), error: None } => Ok(result),
        Rpc { result: None, error: None } => Err(content(endpoint, "it has neither a result nor an error")),
    }
}
