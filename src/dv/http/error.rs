//! Why a request came to nothing, and what that says about the server.

use std::time::Duration;

use super::Method;

/// A request that came to nothing; its message says which, its source why.
#[derive(Debug, thiserror::Error)]
#[error("{} {url}", method.name())]
pub struct HttpError {
    /// What was asked.
    pub method: Method,
    /// Of whom, as it may be shown.
    pub url: String,
    /// Why nothing came of it.
    #[source]
    pub why: Why,
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// No client could be made.
    #[error("{0}")]
    Client(String),
    /// There is no connection: nothing was sent.
    #[error("no connection: {0}")]
    Connect(String),
    /// The server cannot prove who it is: nothing was sent.
    #[error("no connection: {0}")]
    Certificate(String),
    /// It broke off, or is no HTTP.
    #[error("the exchange broke off: {0}")]
    Broken(String),
    /// Time is up.
    #[error("no whole answer within {} s", _0.as_secs_f32())]
    Slow(Duration),
    /// More than is read.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The server says no.
    #[error("the answer is {status}{}{}", if excerpt.is_empty() { "" } else { ": " }, excerpt)]
    Status {
        /// Its status.
        status: u16,
        /// The beginning of what it says.
        excerpt: String,
    },
    /// Not what is expected.
    #[error("the answer is not understood: {0}")]
    Content(String),
}

impl HttpError {
    /// Whether the server may have got the request, and done it.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        match self.why {
            Why::Client(_) | Why::Connect(_) | Why::Certificate(_) => false,
            Why::Broken(_) | Why::Slow(_) | Why::TooLarge(_) | Why::Status { .. } | Why::Content(_) => true,
        }
    }

    /// Whether the server has said no by itself: it is not working on the request any more. A gateway before it cannot
    /// know.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self.why, Why::Status { status, .. } if !matches!(status, 408 | 502 | 503 | 504))
    }

    /// Whether the server has turned the request down as it is: it did nothing of it.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self.why, Why::Status { status, .. } if (300..500).contains(&status) && status != 408)
    }

    /// Whether the same request may fare better in a moment.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self.why {
            Why::Connect(_) | Why::Broken(_) | Why::Slow(_) => true,
            Why::Status { status, .. } => status == 429 || status >= 500,
            Why::Client(_) | Why::Certificate(_) | Why::TooLarge(_) | Why::Content(_) => false,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn next(&self) -> &'static str {
        match self.why {
            Why::Client(_) => "check the address, and that this machine has certificates of authorities",
            Why::Connect(_) => "check the address, the network, and that the server runs",
            Why::Certificate(_) => {
                "check the address; the certificates of your own authority are read from the file that SSL_CERT_FILE names"
            }
            Why::Broken(_) | Why::Slow(_) => "check the server, and run the command again",
            Why::TooLarge(_) | Why::Content(_) => "check that the address is that of the right server",
            Why::Status { status: 401 | 403, .. } => "check the token, or what signs the request",
            Why::Status { .. } => "check the address, and what the server says",
        }
    }
}
