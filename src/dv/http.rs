//! Requests over HTTP and TLS: to APIs, key managers, execution clients.
//!
//! ```text
//! Request ─one of six clients (redirects, proxy)→ exchange, bounded in time and size → Answer, or HttpError
//! ```
//!
//! # What must never happen
//!
//! - A secret is in an error: not a token, not the password of a URL, not its query, not what a server repeats of them.
//! - A server makes this process wait, or hold bytes, without a limit.
//! - What is secret goes to another server than the one that was named.

mod error;

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::redirect::{Attempt, Policy};
use url::{Host, Url};
use zeroize::Zeroizing;

pub use self::error::{HttpError, Why};

/// What a request may take if nothing else is said: Obol's API, definitions.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer if nothing else is said: a definition has at most as much.
pub const MAX_ANSWER_BYTES: usize = 16 << 20;
/// What is read of an answer that says no.
const MAX_REFUSAL_BYTES: usize = 64 << 10;
/// What an error repeats of it.
const MAX_EXCERPT_CHARS: usize = 300;
/// What is shorter is no secret, and hiding it would only garble the text.
const MIN_SECRET: usize = 4;
/// Parts of a URL that may be a key have at least as many characters.
const MIN_HIDDEN_PART: usize = 8;
/// Bodies are this if nothing else is said.
const JSON: &str = "application/json";
/// As Go's client, which charon has.
const MAX_REDIRECTS: usize = 10;

/// What is asked of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Sends.
    Post,
    /// Removes.
    Delete,
}

impl Method {
    /// As it is in a request.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        }
    }
}

/// Which redirects are followed. `Authorization` never goes to another origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// Up to ten of any kind; for what is only read.
    Follow,
    /// Up to ten that repeat the request as it is (307, 308). Others would make it a `GET`, whose success says nothing.
    Repeat,
    /// None: what is sent is for this server alone.
    Never,
}

/// What an error shows of a URL. Credentials and the query never are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// All up to the path.
    Path,
    /// Scheme, host and port: the paths of rented endpoints are keys.
    Origin,
}

/// A request. It has no `Debug`: there are secrets in it.
#[derive(Clone)]
pub struct Request<'a> {
    /// What is asked.
    pub method: Method,
    /// Of whom.
    pub url: &'a Url,
    /// The whole value of `Authorization`, as `Bearer …`; a secret.
    pub authorization: Option<&'a str>,
    /// Others; nothing in them is secret.
    pub headers: &'a [(&'static str, String)],
    /// What is sent.
    pub body: Option<Zeroizing<Vec<u8>>>,
    /// What it is.
    pub content_type: &'static str,
    /// For everything from the name of the host to the last byte of the answer.
    pub timeout: Duration,
    /// Largest answer.
    pub max_answer_bytes: usize,
    /// Which are followed.
    pub redirects: Redirects,
    /// In errors.
    pub shown: Shown,
    /// Secrets of the body, which a server may repeat and an error may not.
    pub hidden: &'a [Zeroizing<String>],
}

impl<'a> Request<'a> {
    fn new(method: Method, url: &'a Url, redirects: Redirects) -> Request<'a> {
        Request {
            method,
            url,
            authorization: None,
            headers: &[],
            body: None,
            content_type: JSON,
            timeout: TIMEOUT,
            max_answer_bytes: MAX_ANSWER_BYTES,
            redirects,
            shown: Shown::Path,
            hidden: &[],
        }
    }
    /// Reads what is there.
    #[must_use]
    pub fn get(url: &'a Url) -> Request<'a> {
        Request::new(Method::Get, url, Redirects::Follow)
    }
    /// Sends JSON.
    #[must_use]
    pub fn post(url: &'a Url, json: impl Into<Vec<u8>>) -> Request<'a> {
        let body = Some(Zeroizing::new(json.into()));
        Request { body, ..Request::new(Method::Post, url, Redirects::Repeat) }
    }
    /// Removes what is there.
    #[must_use]
    pub fn delete(url: &'a Url) -> Request<'a> {
        Request::new(Method::Delete, url, Redirects::Repeat)
    }
    /// With the value of `Authorization`.
    #[must_use]
    pub fn authorized(self, authorization: &'a str) -> Request<'a> {
        Request { authorization: Some(authorization), ..self }
    }

    fn failed(&self, why: Why) -> HttpError {
        HttpError { method: self.method, url: self.show(self.url), why }
    }

    fn show(&self, url: &Url) -> String {
        match self.shown {
            Shown::Path => shown(url),
            Shown::Origin => url.origin().ascii_serialization(),
        }
    }

    /// The error of an answer that is taken for a refusal.
    #[must_use]
    pub fn refused(&self, answer: &Answer) -> HttpError {
        self.failed(Why::Status { status: answer.status, excerpt: answer.excerpt.clone() })
    }

    /// What a server says, without the secrets of this request.
    #[must_use]
    pub fn without_secrets(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let token = self.authorization.map(|value| value.strip_prefix("Bearer ").unwrap_or(value));
        let url = self.url;
        let path = url.path_segments().filter(|_| self.shown == Shown::Origin).into_iter().flatten();
        let query = url.query().into_iter().flat_map(|query| query.split(['&', '=']));
        let parts = path.chain(query).filter(|part| part.len() >= MIN_HIDDEN_PART);
        let secrets = self.hidden.iter().map(|secret| secret.as_str());
        for secret in secrets.chain(token).chain(url.password()).chain(parts) {
            if secret.len() >= MIN_SECRET {
                text = text.replace(secret, "(hidden)");
            }
        }
        text
    }

    /// The same for an error: short, and in one line.
    fn excerpt(&self, body: &[u8]) -> String {
        let text = self.without_secrets(&String::from_utf8_lossy(body));
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match text.char_indices().nth(MAX_EXCERPT_CHARS) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }
}

/// What a server answered, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The whole body; of an answer that says no, its beginning.
    pub body: Vec<u8>,
    /// What an error may repeat of it.
    excerpt: String,
}

impl Answer {
    /// Whether the status is one of success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Whether what was sent is new to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is.
    New,
    /// The server had it already (409).
    AlreadyThere,
}

/// Reads a URL of a server; only `http` and `https` are.
///
/// # Errors
/// Why it is none. The message repeats nothing of the text, which may have a password in it.
pub fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|e| e.to_string())?;
    match (url.scheme(), url.host()) {
        ("http" | "https", Some(_)) => Ok(url),
        _ => Err("it does not begin with http:// or https:// and a host".to_owned()),
    }
}

/// A URL as it may be shown to anybody.
#[must_use]
pub fn shown(url: &Url) -> String {
    let origin = url.origin().ascii_serialization();
    format!("{origin}{}{}", url.path(), if url.query().is_some() { "?…" } else { "" })
}

/// Makes ring the provider of TLS; only the first call in a process does something.
pub fn install_tls() {
    // An error says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The edge to HTTP. Connections are kept as long as it lives, which is within one runtime.
#[derive(Debug, Default)]
pub struct Client {
    /// By [`Redirects`]: three that never use a proxy, and three that may.
    clients: [OnceLock<reqwest::Client>; 6],
}

impl Client {
    /// A client without connections.
    #[must_use]
    pub fn new() -> Client {
        install_tls();
        Client::default()
    }

    /// Sends a request, and takes an answer of any status that is not followed.
    ///
    /// # Errors
    /// [`HttpError`] where there is no whole answer within the limits.
    pub async fn send(&self, request: &Request<'_>) -> Result<Answer, HttpError> {
        match tokio::time::timeout(request.timeout, self.exchange(request)).await {
            Ok(answer) => answer.map_err(|why| request.failed(why)),
            Err(_) => Err(request.failed(Why::Slow(request.timeout))),
        }
    }

    /// Sends a request, and takes the body of a success.
    ///
    /// # Errors
    /// [`HttpError`], [`Why::Status`] among them.
    pub async fn fetch(&self, request: &Request<'_>) -> Result<Vec<u8>, HttpError> {
        let answer = self.send(request).await?;
        if answer.is_success() { Ok(answer.body) } else { Err(request.refused(&answer)) }
    }

    /// As [`Client::fetch`]; nothing where the server says that there is nothing (404).
    ///
    /// # Errors
    /// As [`Client::fetch`].
    pub async fn find(&self, request: &Request<'_>) -> Result<Option<Vec<u8>>, HttpError> {
        let answer = self.send(request).await?;
        match answer.status {
            404 => Ok(None),
            _ if answer.is_success() => Ok(Some(answer.body)),
            _ => Err(request.refused(&answer)),
        }
    }

    /// Sends what the server is to keep; what it has already (409) is fine.
    ///
    /// # Errors
    /// As [`Client::fetch`].
    pub async fn publish(&self, request: &Request<'_>) -> Result<Sent, HttpError> {
        let answer = self.send(request).await?;
        match answer.status {
            409 => Ok(Sent::AlreadyThere),
            _ if answer.is_success() => Ok(Sent::New),
            _ => Err(request.refused(&answer)),
        }
    }

    /// As [`Client::fetch`], and reads the body as JSON.
    ///
    /// # Errors
    /// As [`Client::fetch`], and [`Why::Content`].
    pub async fn fetch_json<T: serde::de::DeserializeOwned>(
        &self,
        request: &Request<'_>,
    ) -> Result<T, HttpError> {
        let body = self.fetch(request).await?;
        serde_json::from_slice(&body).map_err(|e| not_understood(request, &e))
    }

    async fn exchange(&self, request: &Request<'_>) -> Result<Answer, Why> {
        let client = self.client(request)?;
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut url = request.url.clone();
        let mut value = None;
        if let Some(authorization) = request.authorization {
            // Two of them would be one too many.
            let _ = (url.set_username(""), url.set_password(None));
            let mut header = HeaderValue::from_str(authorization)
                .map_err(|_| Why::Client("the token has characters that no header can have".to_owned()))?;
            header.set_sensitive(true);
            value = Some(header);
        }
        let mut building = client.request(method, url);
        if let Some(value) = value {
            building = building.header(AUTHORIZATION, value);
        }
        for (name, value) in request.headers {
            building = building.header(*name, value);
        }
        if let Some(body) = &request.body {
            // The bytes are wiped when they are sent.
            let body = bytes::Bytes::from_owner(body.clone());
            building = building.header(CONTENT_TYPE, request.content_type).body(body);
        }
        let mut response = building.send().await.map_err(why_not)?;
        let status = response.status();
        let is_success = status.is_success();
        let limit = if is_success { request.max_answer_bytes } else { MAX_REFUSAL_BYTES };
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(why_not)? {
            if body.len() + chunk.len() > limit {
                if is_success {
                    return Err(Why::TooLarge(limit));
                }
                body.extend_from_slice(&chunk[..limit - body.len()]);
                break;
            }
            body.extend_from_slice(&chunk);
        }
        let excerpt = match response.headers().get(LOCATION).filter(|_| status.is_redirection()) {
            Some(place) => {
                let place = place.to_str().ok().and_then(|place| request.url.join(place).ok());
                place.map_or_else(String::new, |url| format!("it points to {}", request.show(&url)))
            }
            None => request.excerpt(&body),
        };
        Ok(Answer { status: status.as_u16(), body, excerpt })
    }

    fn client(&self, request: &Request<'_>) -> Result<reqwest::Client, Why> {
        let is_direct = is_loopback(request.url);
        let at = request.redirects as usize + if is_direct { 0 } else { 3 };
        if let Some(client) = self.clients[at].get() {
            return Ok(client.clone());
        }
        let builder = || {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("coxswain/", env!("CARGO_PKG_VERSION")))
                .referer(false)
                .redirect(match request.redirects {
                    Redirects::Follow => Policy::limited(MAX_REDIRECTS),
                    Redirects::Repeat => Policy::custom(repeat),
                    Redirects::Never => Policy::none(),
                });
            if is_direct { builder.no_proxy() } else { builder }
        };
        let built = match builder().build() {
            Ok(client) => Ok(self.clients[at].get_or_init(|| client).clone()),
            // A machine without certificates of authorities can still speak HTTP without TLS.
            Err(_) if request.url.scheme() == "http" => builder().tls_certs_only([]).build(),
            Err(error) => Err(error),
        };
        built.map_err(|error| Why::Client(root_cause(error)))
    }
}

/// What cannot be read as what it should be. The reason repeats pieces of the text.
fn not_understood(request: &Request<'_>, error: &serde_json::Error) -> HttpError {
    request.failed(Why::Content(request.excerpt(error.to_string().as_bytes())))
}

fn repeat(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let is_repeated = matches!(attempt.status().as_u16(), 307 | 308);
    if is_repeated { Policy::limited(MAX_REDIRECTS).redirect(attempt) } else { attempt.stop() }
}

/// Whether it is on this machine: a proxy could not reach it, and must not see it.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn why_not(error: reqwest::Error) -> Why {
    if is_of_a_certificate(&error) {
        Why::Certificate(root_cause(error))
    } else if error.is_connect() {
        Why::Connect(root_cause(error))
    } else if error.is_builder() {
        Why::Client(root_cause(error))
    } else {
        Why::Broken(root_cause(error))
    }
}

/// Whether it is the server's certificate that is refused.
fn is_of_a_certificate(error: &reqwest::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if matches!(inner.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        // An error of the system's kind does not give what it wraps as its source.
        let wrapped = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => inner.source(),
        };
    }
    false
}

/// The innermost reason. What is around it names layers of libraries, and the URL with all that is in it.
fn root_cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
