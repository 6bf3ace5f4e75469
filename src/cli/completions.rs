//! `coxswain completions SHELL`: completion scripts.

use clap_complete::Shell;

use super::error::CliError;
use super::{Cx, Exit, Run, command};

/// Write a completion script for a shell
#[derive(Debug, clap::Parser)]
#[command(
    name = "completions",
    after_help = "Examples:\n  coxswain completions bash > ~/.local/share/bash-completion/completions/coxswain\n  \
        coxswain completions zsh > ~/.zfunc/_coxswain\n  \
        coxswain completions fish > ~/.config/fish/completions/coxswain.fish"
)]
pub(super) struct Completions {
    /// Which shell
    shell: Shell,
}

impl Run for Completions {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        cx.terminal.out(&script(self.shell));
        Ok(Exit::Done)
    }
}

fn script(shell: Shell) -> String {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut command(), "coxswain", &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_completes_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish] {
            let script = script(shell);
            for command in command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell} misses {}", command.get_name());
            }
        }
    }
}
