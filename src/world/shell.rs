//! A persistent `sh` that is given scripts on its standard input, one at a time.
//!
//! It does not know what is at the other end: a process here or a channel to a host. A shell that broke its word
//! (died, timed out, printed junk without end) is never used again; the owner drops it and starts another.

use std::any::Any;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::script::frames::{FrameError, Seen};
use super::script::{Frame, Frames, Nonce};

/// Bytes read at once.
const READ_SIZE: usize = 64 * 1024;

/// Both streams of one script, and what was said outside the marks.
#[derive(Debug)]
pub struct Transcript {
    /// Parts of standard output.
    pub out: Vec<Frame>,
    /// Parts of standard error.
    pub err: Vec<Frame>,
}

/// Why a script has no transcript.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShellError {
    /// The shell ended.
    #[error("the shell ended{}", if said.is_empty() { String::new() } else { format!(": {said}") })]
    Ended {
        /// The last it said.
        said: String,
    },
    /// No end within the limit.
    #[error("no answer within {} s", limit.as_secs())]
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// It prints junk.
    #[error(transparent)]
    Noise(#[from] FrameError),
}

/// A running shell.
pub struct Shell {
    stdin: Box<dyn AsyncWrite + Send + Unpin>,
    stdout: Box<dyn AsyncRead + Send + Unpin>,
    stderr: Box<dyn AsyncRead + Send + Unpin>,
    /// Ends the process or channel when dropped.
    _guard: Box<dyn Any + Send>,
}

/// One request to a shell.
pub struct Request<'a> {
    /// The script.
    pub text: &'a str,
    /// Its nonce.
    pub nonce: &'a Nonce,
    /// What a part's output is cut to.
    pub limit_bytes: usize,
    /// The limit on the whole.
    pub limit: Duration,
    /// Where lines of running parts go.
    pub progress: &'a (dyn Fn(&str) + Send + Sync),
}

impl Shell {
    /// Takes over the streams of a shell that was started.
    pub fn new(
        stdin: Box<dyn AsyncWrite + Send + Unpin>,
        stdout: Box<dyn AsyncRead + Send + Unpin>,
        stderr: Box<dyn AsyncRead + Send + Unpin>,
        guard: Box<dyn Any + Send>,
    ) -> Shell {
        Shell { stdin, stdout, stderr, _guard: guard }
    }

    /// Gives the shell a script and waits for both streams to end it. After an error the shell must not be used.
    ///
    /// # Errors
    /// See [`ShellError`].
    pub async fn run(&mut self, request: &Request<'_>) -> Result<Transcript, ShellError> {
        match tokio::time::timeout(request.limit, self.exchange(request)).await {
            Ok(result) => result,
            Err(_) => Err(ShellError::Timeout { limit: request.limit }),
        }
    }

    async fn exchange(&mut self, request: &Request<'_>) -> Result<Transcript, ShellError> {
        let write = async {
            // A shell that ends while it is written to shows at the read side, with what it said.
            if self.stdin.write_all(request.text.as_bytes()).await.is_ok() {
                let _ = self.stdin.flush().await;
            }
        };
        let out = listen(&mut self.stdout, request);
        let err = listen(&mut self.stderr, request);
        let ((), out, err) = tokio::join!(write, out, err);
        let (out, err) = (out?, err?);
        if out.is_complete() && err.is_complete() {
            return Ok(Transcript { out: out.into_frames(), err: err.into_frames() });
        }
        let said = [err.said(), out.said()].into_iter().find(|said| !said.is_empty()).unwrap_or_default();
        Err(ShellError::Ended { said: last_lines(&said) })
    }
}

async fn listen(
    from: &mut Box<dyn AsyncRead + Send + Unpin>,
    request: &Request<'_>,
) -> Result<Frames, ShellError> {
    let mut frames = Frames::new(request.nonce, request.limit_bytes);
    let mut buffer = vec![0; READ_SIZE];
    let mut line = Vec::new();
    while !frames.is_complete() {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        if read == 0 {
            break;
        }
        frames.feed(&buffer[..read], &mut |seen| match seen {
            Seen::Output(bytes) => report_lines(&mut line, &bytes, request.progress),
            Seen::LineEnd => report_lines(&mut line, b"\n", request.progress),
            Seen::End => line.clear(),
        })?;
    }
    Ok(frames)
}

/// Reports whole lines; an endless line is not gathered.
fn report_lines(line: &mut Vec<u8>, bytes: &[u8], progress: &(dyn Fn(&str) + Send + Sync)) {
    for piece in bytes.split_inclusive(|b| matches!(b, b'\n' | b'\r')) {
        if line.len() < 512 {
            line.extend_from_slice(&piece[..piece.len().min(512)]);
        }
        if piece.ends_with(b"\n") || piece.ends_with(b"\r") {
            let text = String::from_utf8_lossy(line);
            let text = text.trim();
            if !text.is_empty() {
                progress(text);
            }
            line.clear();
        }
    }
}

/// The last lines of what was said, cut.
pub fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let from = lines.len().saturating_sub(5);
    lines[from..].join("; ").chars().take(500).collect()
}
