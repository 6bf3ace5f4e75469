//! A line that a program of this machine makes: `ssh`, or a shell in tests.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Line;

/// How long a program may take to end after its input has.
const END_LIMIT: Duration = Duration::from_secs(2);
/// What is kept of what it says on standard error.
const SAID_BYTES: usize = 4096;

/// What the program reads; with it the program ends.
struct Input {
    stdin: Option<ChildStdin>,
    child: Child,
}

impl Write for Input {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.stdin {
            Some(stdin) => stdin.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let start = Instant::now();
        while !matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
            if start.elapsed() > END_LIMIT {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// What the program prints; silence has a limit.
struct Output {
    stdout: ChildStdout,
    limit: Duration,
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = Timespec {
            tv_sec: i64::try_from(self.limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(self.limit.subsec_nanos()),
        };
        let mut fds = [PollFd::new(&self.stdout, PollFlags::IN)];
        if poll(&mut fds, Some(&limit))? == 0 {
            let text = format!("no answer within {} s", self.limit.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        self.stdout.read(buffer)
    }
}

/// The end of what the program says, read beside everything else so that it never waits for us.
fn listen(mut stderr: ChildStderr, said: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 512];
    while let Ok(n @ 1..) = stderr.read(&mut buffer) {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend_from_slice(&buffer[..n]);
        let too_much = said.len().saturating_sub(SAID_BYTES);
        said.drain(..too_much);
    }
}

impl Line {
    /// Starts the program, in a process group of its own, so that a Ctrl-C meant for us does not cut the line that the
    /// end of the run is written over. `limit` is how long it may be silent while an answer is awaited.
    ///
    /// # Errors
    /// When it does not start.
    pub fn to(mut command: Command, limit: Duration) -> io::Result<Line> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = streams else {
            return Err(io::Error::other("the program has no streams"));
        };
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let listener = std::thread::Builder::new()
            .name("state-said".to_owned())
            .spawn(move || listen(stderr, &heard))?;
        let last = move || {
            // Its last words come with its end.
            let start = Instant::now();
            while !listener.is_finished() && start.elapsed() < END_LIMIT {
                std::thread::sleep(Duration::from_millis(1));
            }
            let said = said.lock().unwrap_or_else(PoisonError::into_inner);
            String::from_utf8_lossy(&said).trim().replace("\r\n", "\n")
        };
        Ok(Line {
            input: Box::new(Input { stdin: Some(stdin), child }),
            output: Box::new(Output { stdout, limit }),
            said: Box::new(last),
        })
    }
}
