//! The machine coxswain runs on, through the same shell scripts as any host.

use std::process::Stdio;

use tokio::process::Command;

use super::shell::Shell;

/// Starts `sh` here. It is not killed when the [`Shell`] is dropped: it ends with its standard input, after the
/// script it runs.
///
/// # Errors
/// When there is no `sh`.
pub fn start(directory: Option<&std::path::Path>) -> std::io::Result<Shell> {
    let mut child = Command::new("/bin/sh")
        .current_dir(directory.unwrap_or(std::path::Path::new(".")))
        .env_remove("ENV")
        .env_remove("BASH_ENV")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(std::io::Error::other("the shell has no streams"));
    };
    Ok(Shell::new(Box::new(stdin), Box::new(stdout), Box::new(stderr), Box::new(child)))
}
