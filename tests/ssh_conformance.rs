//! The suite of every backend, for a state at another machine over a real sshd.

#[path = "../state/tests/support/mod.rs"]
mod state;
mod support;

use std::io;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use coxswain_state::{Backend, Dial, KEEPER_COMMAND, Line, RemoteBackend};
use libtest_mimic::{Arguments, Trial};
use state::conformance::{Cut, Made, Place, trials};
use support::sshlab::Lab;

static PLACES: &[Made] = &[
    Made { name: "ssh_cut", make: || Ssh::make(Fault::Cut), begin: PROGRAM, stride: 1009, fine: 97 },
    Made {
        name: "ssh_connection_killed",
        make: || Ssh::make(Fault::Kill),
        begin: PROGRAM,
        stride: 1511,
        fine: 151,
    },
];

/// About the bytes of the program that the other end is told first.
const PROGRAM: usize = 3950;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// After so many bytes the client ends.
    Cut,
    /// After so many bytes sshd's process for the connection is killed.
    Kill,
}

/// One laboratory for all of them; none where this machine cannot have it.
fn lab() -> Option<&'static Lab> {
    static LAB: OnceLock<Option<Lab>> = OnceLock::new();
    LAB.get_or_init(|| Lab::start(1)).as_ref()
}

static NEXT: AtomicUsize = AtomicUsize::new(0);
/// The test whose connections may be killed runs alone: the laboratory's host is one.
struct Ssh {
    dir: String,
    fault: Fault,
}

impl Ssh {
    fn make(fault: Fault) -> Option<Box<dyn Place>> {
        lab()?;
        let dir = format!("/root/states/{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Some(Box::new(Ssh { dir, fault }))
    }
}

impl Place for Ssh {
    fn client(&self) -> Box<dyn Backend> {
        let dial = Lines { fault: None, is_dead: AtomicBool::new(false) };
        Box::new(RemoteBackend::new("ssh://h0", self.dir.clone(), dial))
    }
    fn dying(&self, after: usize) -> Box<dyn Backend> {
        let dial = Lines { fault: Some((self.fault, after)), is_dead: AtomicBool::new(false) };
        Box::new(RemoteBackend::new("ssh://h0", self.dir.clone(), dial))
    }
}

struct Lines {
    fault: Option<(Fault, usize)>,
    is_dead: AtomicBool,
}

impl Dial for Lines {
    fn dial(&self) -> io::Result<Line> {
        if self.fault.is_some() && self.is_dead.swap(true, Ordering::Relaxed) {
            return Err(io::Error::other("the client is dead"));
        }
        let lab = lab().expect("it was there before");
        let mut command: Command = lab.inside("ssh");
        command.arg("-F").arg(lab.ssh_config()).args(["-T", "root@h0", KEEPER_COMMAND]);
        let line = Line::to(command, Duration::from_secs(20))?;
        let Some((fault, left)) = self.fault else { return Ok(line) };
        let end = move || {
            if fault == Fault::Kill {
                lab.host(0).kill_connections();
            }
        };
        Ok(Line { input: Box::new(Cut::after(left, line.input, end)), ..line })
    }
}

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let all: Vec<Trial> = PLACES.iter().flat_map(trials).collect();
    libtest_mimic::run(&arguments, all).exit();
}
