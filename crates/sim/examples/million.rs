//! Many worlds, and what they came to.
//!
//! ```sh
//! cargo run -p coxswain-sim --example million -- 1000000            # slots; seeds from 0 on
//! cargo run -p coxswain-sim --example million -- 200000 7000        # seeds from 7000 on
//! cargo run -p coxswain-sim --example million -- seed 4711          # one world, with what happens in it
//! ```

#![expect(clippy::print_stdout, reason = "its results are its output")]

use std::process::ExitCode;

use coxswain_sim::{Counts, Setting, Tracing, Vault, run};

/// Acts of a world, each of 40 slots.
const ACTS: u64 = 5;
/// Worlds between two lines that say how far it is.
const TELL_EVERY: u64 = 250;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| args.get(at).and_then(|text| text.parse::<u64>().ok());
    match args.first().map(String::as_str) {
        Some("seed") => one(number(1).unwrap_or(0)),
        _ => many(number(0).unwrap_or(10_000), number(1).unwrap_or(0)),
    }
}

fn one(seed: u64) -> ExitCode {
    let outcome = run(seed, ACTS, &mut Vault::new(), Tracing::On);
    for line in &outcome.trace {
        println!("{line}");
    }
    println!("{:#?}\n{}", Setting::of(seed, ACTS), outcome.counts);
    end(outcome.broken.as_ref().map(ToString::to_string))
}

fn many(slots: u64, first: u64) -> ExitCode {
    let (mut vault, mut counts, mut seed) = (Vault::new(), Counts::default(), first);
    while counts.get("slots") < slots {
        let outcome = run(seed, ACTS, &mut vault, Tracing::Off);
        counts.merge(&outcome.counts);
        if let Some(broken) = outcome.broken {
            println!("{counts}\n{:#?}", Setting::of(seed, ACTS));
            let again = format!("cargo run -p coxswain-sim --example million -- seed {seed}");
            return end(Some(format!("{broken}\nagain, with a trace: {again}")));
        }
        seed += 1;
        if seed.is_multiple_of(TELL_EVERY) {
            println!("seeds {first} to {}, {} slots", seed - 1, counts.get("slots"));
        }
    }
    println!("seeds {first} to {}\n{counts}", seed - 1);
    end(None)
}

fn end(broken: Option<String>) -> ExitCode {
    match broken {
        Some(what) => {
            println!("{what}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}
