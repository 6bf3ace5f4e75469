//! `coxswain init`: starts a configuration.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use super::error::CliError;
use super::render::json;
use super::{Cx, Exit, Format, Run};

/// The first configuration: one file on this machine, so that the first apply needs no host.
const MAIN: &str = r#"# A configuration of coxswain: every *.hcl file of this directory belongs to it.
#
#   coxswain plan     shows what differs from the world
#   coxswain apply    makes it so

coxswain {
  edition = 2026
}

variable "greeting" {
  type    = string
  default = "Hello from coxswain"
}

# Without `host`, a file is one of this machine; the path is relative to this directory.
file "hello" {
  path    = "hello.txt"
  content = "${var.greeting}\n"
}

# With a host it is a file there, reached over ssh with your own keys and configuration:
#
# host "web" {
#   address = "192.0.2.10"
#   user    = "ubuntu"
#   sudo    = true
# }
#
# file "motd" {
#   host    = host.web
#   path    = "/etc/motd"
#   mode    = "0644"
#   content = "Kept by coxswain.\n"
# }

output "path" {
  value = file.hello.path
}
"#;

/// What must not come into a repository: state and keys, and plans.
const GITIGNORE: &str = ".coxswain/\n*.coxplan\n";

/// Start a configuration in this directory
#[derive(Debug, clap::Parser)]
#[command(
    name = "init",
    after_help = "Examples:\n  coxswain init\n  coxswain init --chdir cluster\n\nWrites main.hcl and .gitignore; refuses to overwrite."
)]
pub(super) struct Init {}

impl Run for Init {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let created = create(&cx.root)?;
        cx.terminal.out(&match cx.format {
            Format::Json => json::pretty(&serde_json::json!({ "created": created })),
            Format::Text => {
                let lines: String = created.iter().map(|name| format!("created {name}\n")).collect();
                lines + "Next: coxswain plan\n"
            }
        });
        Ok(Exit::Done)
    }
}

/// Writes the files of a new configuration and names them. An existing `.gitignore` is left alone.
fn create(root: &Path) -> Result<Vec<String>, CliError> {
    let failed = |name: &str, error: io::Error| {
        let what = format!("writing {}", root.join(name).display());
        match error.kind() {
            io::ErrorKind::AlreadyExists => CliError::other(
                what,
                "it exists already, and nothing is overwritten",
                "this directory has a configuration: coxswain plan",
            ),
            _ => CliError::other(what, error, "check that the directory exists and can be written"),
        }
    };
    std::fs::create_dir_all(root).map_err(|e| failed("", e))?;
    let mut created = Vec::new();
    for (name, text) in [("main.hcl", MAIN), (".gitignore", GITIGNORE)] {
        let opened = OpenOptions::new().write(true).create_new(true).open(root.join(name));
        match opened.and_then(|mut file| file.write_all(text.as_bytes())) {
            Ok(()) => created.push(name.to_owned()),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && name == ".gitignore" => {}
            Err(e) => return Err(failed(name, e)),
        }
    }
    Ok(created)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_once_and_never_overwrites() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().join("new");
        assert_eq!(create(&root).expect("starts"), ["main.hcl", ".gitignore"]);
        std::fs::write(root.join("main.hcl"), "mine").expect("writes");
        assert!(create(&root).is_err());
        assert_eq!(std::fs::read_to_string(root.join("main.hcl")).expect("reads"), "mine");
    }

    #[test]
    fn an_existing_gitignore_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join(".gitignore"), "x").expect("writes");
        assert_eq!(create(dir.path()).expect("starts"), ["main.hcl"]);
    }
}
