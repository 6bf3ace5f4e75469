//! Answers and errors of the Beacon API.

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use coxswain_dv_eth::bytes::Bytes32;
use coxswain_dv_eth::client::Problem;
use coxswain_dv_eth::fork::Fork;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Which fork a body is of.
pub(super) const VERSION: HeaderName = HeaderName::from_static("eth-consensus-version");
/// Whether a block is blinded.
pub(super) const BLINDED: HeaderName = HeaderName::from_static("eth-execution-payload-blinded");
/// What the execution layer pays.
pub(super) const EXECUTION_VALUE: HeaderName = HeaderName::from_static("eth-execution-payload-value");
/// What the chain pays.
pub(super) const CONSENSUS_VALUE: HeaderName = HeaderName::from_static("eth-consensus-block-value");

/// The type of SSZ bodies.
const OCTETS: &str = "application/octet-stream";
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What a handler answers.
pub(super) type Answer = Result<Response, Refused>;

/// A problem as an answer: `{"code":…,"message":…}`, and `failures` of requests with several items.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Problem);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Refused {
        Refused(problem)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Problem { status, message, failures } = self.0;
        let mut body = json!({"code": status, "message": message});
        if !failures.is_empty() {
            let failure = |(index, message)| json!({"index": index, "message": message});
            body["failures"] = failures.into_iter().map(failure).collect();
        }
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        respond(status, body.to_string().into_bytes())
    }
}

fn respond(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// JSON as it is.
pub(super) fn document(value: &impl Serialize) -> Answer {
    let body =
        serde_json::to_vec(value).map_err(|e| Problem::new(500, format!("an answer has no JSON: {e}")))?;
    Ok(respond(StatusCode::OK, body))
}

/// `{"data":…}`
pub(super) fn data(value: &impl Serialize) -> Answer {
    document(&json!({"data": to_value(value)?}))
}

/// `{"data":…}` with what answers about states have.
pub(super) fn of_state(value: &impl Serialize) -> Answer {
    document(&json!({"execution_optimistic": false, "finalized": false, "data": to_value(value)?}))
}

/// `{"data":…}` with what answers about duties have.
pub(super) fn of_duties(dependent_root: Option<Bytes32>, value: &impl Serialize) -> Answer {
    let mut body = json!({"execution_optimistic": false, "data": to_value(value)?});
    if let Some(root) = dependent_root {
        body["dependent_root"] = json!(root);
    }
    document(&body)
}

/// `{"version":…,"data":…}` and the header.
pub(super) fn of_fork(fork: Fork, value: &impl Serialize) -> Answer {
    let mut response = document(&json!({
        "version": fork.name(), "execution_optimistic": false, "finalized": false, "data": to_value(value)?,
    }))?;
    response.headers_mut().insert(VERSION, HeaderValue::from_static(fork.name()));
    Ok(response)
}

/// SSZ of a fork.
pub(super) fn ssz(fork: Fork, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(OCTETS));
    headers.insert(VERSION, HeaderValue::from_static(fork.name()));
    response
}

/// JSON that is written already.
pub(super) fn raw_json(body: Vec<u8>) -> Response {
    respond(StatusCode::OK, body)
}

/// An answer without a body.
pub(super) fn done() -> Answer {
    Ok(StatusCode::OK.into_response())
}

fn to_value(value: &impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(value).map_err(|e| Problem::new(500, format!("an answer has no JSON: {e}")))
}

// -------------------------------------------------------------------------------------------------- requests

/// Reads a part of a path, or a parameter.
pub(super) fn parse<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::new(400, format!("{name} is {text:?}, which is none")))
}

/// Reads a JSON body.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|e| Problem::new(400, format!("the body cannot be read: {e}")))
}

/// The fork that a request says its body is of.
pub(super) fn fork_of(headers: &HeaderMap) -> Result<Fork, Problem> {
    let text = headers
        .get(VERSION)
        .ok_or_else(|| Problem::new(400, "the header Eth-Consensus-Version is missing"))?;
    let fork = text.to_str().ok().and_then(|text| Fork::named(&text.to_ascii_lowercase()));
    fork.ok_or_else(|| {
        Problem::new(400, format!("the header Eth-Consensus-Version names no known fork: {text:?}"))
    })
}

/// Whether the body of a request is SSZ.
pub(super) fn is_ssz(headers: &HeaderMap) -> bool {
    let text = headers.get(CONTENT_TYPE).and_then(|text| text.to_str().ok()).unwrap_or_default();
    text.trim_start().to_ascii_lowercase().starts_with(OCTETS)
}

/// Whether a client would rather have SSZ than JSON.
pub(super) fn prefers_ssz(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|text| text.to_str().ok());
    let mut quality = (0.0_f32, 0.0_f32);
    for range in accepted.flat_map(|text| text.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let q = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
        match kind.as_str() {
            OCTETS => quality.0 = q,
            "application/json" => quality.1 = q,
            _ => {}
        }
    }
    quality.0 > quality.1
}

/// Parameters of a query, in order; some are there several times.
#[derive(Debug, Clone, Default)]
pub(super) struct Parameters(pub(super) Vec<(String, String)>);

impl Parameters {
    /// The values of a parameter: repeated, or separated by commas.
    pub(super) fn all<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p str> {
        let of_name = self.0.iter().filter(move |(known, _)| known == name);
        of_name.flat_map(|(_, value)| value.split(',')).filter(|value| !value.is_empty())
    }

    /// The value of a parameter.
    pub(super) fn one<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.all(name).next().map(|text| parse(name, text)).transpose()
    }

    /// The value of a parameter that has to be there.
    pub(super) fn needed<T: std::str::FromStr>(&self, name: &str) -> Result<T, Problem> {
        self.one(name)?.ok_or_else(|| Problem::new(400, format!("the parameter {name} is missing")))
    }
}

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Parameters {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, state: &S) -> Result<Self, Refused> {
        let query = axum::extract::Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let query = query.map_err(|e| Problem::new(400, format!("the query cannot be read: {e}")))?;
        Ok(Parameters(query.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: &'static str, expected: &str) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        let found = if prefers_ssz(&headers) { "SSZ" } else { "JSON" };
        assert_eq!(found, expected, "{accept}");
    }

    #[test]
    fn what_clients_accept_is_understood() {
        check("application/octet-stream;q=1,application/json;q=0.9", "SSZ");
        check("application/octet-stream", "SSZ");
        check("application/octet-stream;q=1.0,application/json;q=0.9, */*;q=0.1", "SSZ");
        check("application/json", "JSON");
        check("*/*", "JSON");
        check("application/json;q=1, application/octet-stream;q=0.5", "JSON");
        assert!(!prefers_ssz(&HeaderMap::new()));
    }
}
