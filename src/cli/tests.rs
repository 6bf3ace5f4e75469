//! The command line as a whole: what it accepts, and that every command explains itself.

use clap::Command;

use super::*;

#[test]
fn the_definitions_are_sound() {
    command().debug_assert();
}

#[test]
fn the_help_says_what_it_is_for() {
    assert!(command().render_help().to_string().starts_with("Takes an Ethereum staking cluster"));
}

fn check_examples(command: &Command, path: &str) {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    assert!(help.contains("Examples:\n"), "{path} has no example in its help");
    assert!(help.contains(path), "the example of {path} does not show it");
    for sub in command.get_subcommands() {
        check_examples(sub, &format!("{path} {}", sub.get_name()));
    }
}

#[test]
fn every_command_has_an_example_in_its_help() {
    check_examples(&command(), "coxswain");
}

#[test]
fn every_example_parses() {
    fn walk(command: &Command, lines: &mut Vec<String>) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let help = help.replace("\\\n", " ");
        lines.extend(help.lines().filter_map(|l| l.strip_prefix("  coxswain ")).map(String::from));
        command.get_subcommands().for_each(|sub| walk(sub, lines));
    }
    let mut lines = Vec::new();
    walk(&command(), &mut lines);
    assert!(lines.len() > 20);
    for line in lines {
        let line = line.split(['|', '>']).next().unwrap_or_default();
        let words = line.split_whitespace().map(|w| w.trim_matches('\'').to_owned());
        let args = std::iter::once("coxswain".to_owned()).chain(words);
        if let Err(error) = command().try_get_matches_from(args) {
            panic!("{line}: {error}");
        }
    }
}

#[track_caller]
fn accepted(line: &str) -> ArgMatches {
    command().try_get_matches_from(line.split(' ')).expect("accepted")
}

#[track_caller]
fn refused(line: &str) -> String {
    command().try_get_matches_from(line.split(' ')).expect_err("refused").to_string()
}

#[test]
fn globals_stand_anywhere() {
    for line in [
        "coxswain --json --chdir x plan",
        "coxswain plan --json --chdir x",
        "coxswain state list --json --chdir x",
    ] {
        let matches = accepted(line);
        assert!(matches.get_flag("json"), "{line}");
        assert_eq!(matches.get_one::<PathBuf>("chdir"), Some(&PathBuf::from("x")));
    }
}

#[test]
fn yes_takes_a_word_only_after_an_equals_sign() {
    accepted("coxswain apply --yes file.coxplan");
    accepted("coxswain apply --yes=all");
    assert!(refused("coxswain apply --yes=some").contains("all"));
}

#[test]
fn nonsense_is_explained() {
    assert!(refused("coxswain plan --target host").contains("is not an address"));
    assert!(refused("coxswain plan --var x").contains("KEY=VALUE"));
    assert!(refused("coxswain apply f --target host.a").contains("cannot be used with"));
    assert!(refused("coxswain plan --parallelism 0").contains("0 is not in"));
    assert!(refused("coxswain aply").contains("apply"));
}

#[test]
fn the_worse_end_wins() {
    let order = [Exit::Done, Exit::Pending, Exit::Waiting, Exit::Partly, Exit::Busy, Exit::Error];
    for (i, a) in order.iter().enumerate() {
        for (j, b) in order.iter().enumerate() {
            assert_eq!(a.worse(*b), order[i.max(j)]);
        }
    }
}
