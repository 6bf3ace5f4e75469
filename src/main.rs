//! The one binary: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    coxswain::cli::main(std::env::args_os())
}
