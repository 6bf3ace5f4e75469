//! Kinds whose objects live on hosts and whose steps are rows of acts: everything about them is pure, and running
//! a step is one thing for all of them.

use async_trait::async_trait;
use coxswain_model::{Address, Diagnostic, Diagnostics, Object, Schema};

use super::act::{Act, ActDone};
use super::kind::{
    Answers, Change, Discovery, Facts, GateState, HostView, Kind, KindError, Observation, Outcome, PlanCx,
    Step, StepCx,
};

/// A kind whose objects live on hosts and whose steps are rows of acts: everything is pure.
pub trait HostKind: Send + Sync {
    /// As [`Kind::schema`].
    fn schema(&self) -> &'static Schema;
    /// As [`Kind::check`].
    fn check(&self, _args: &Object) -> Diagnostics {
        Diagnostics::new()
    }
    /// As [`Kind::observe`].
    fn observe(&self, identity: &Object, facts: &Facts, got: &Answers) -> Observation;
    /// As [`Kind::discover`].
    fn discover(&self, _facts: &Facts, _got: &Answers) -> Discovery {
        Discovery::Nothing
    }
    /// As [`Kind::portray`].
    fn portray(&self, observed: &Object) -> Object {
        observed.clone()
    }
    /// As [`Kind::plan`].
    ///
    /// # Errors
    /// What makes the change impossible.
    fn plan(&self, cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics>;
    /// The acts of a step, with all values known.
    ///
    /// # Errors
    /// What makes the change impossible.
    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError>;
    /// As [`Kind::gate`].
    fn gate(&self, _name: &str, _identity: &Object, _got: &Answers) -> GateState {
        GateState::Open
    }
    /// As [`Kind::revert`].
    fn revert(&self, _change: &Change, _step: &Step) -> Vec<Act> {
        Vec::new()
    }
    /// As [`Kind::judge`].
    fn judge(&self, _host: &HostView<'_>) -> Vec<(Address, Diagnostic)> {
        Vec::new()
    }
    /// The computed attributes that the step has made, once its acts are done; none for most kinds.
    fn made(&self, _change: &Change, _step: &Step) -> Object {
        Object::new()
    }
}

/// Lines of a failed program's output that an error shows.
const ERROR_LINES: usize = 40;

/// A program as an error names it: of `sh -c SCRIPT NAME ARGUMENTS`, what follows the script.
fn shown_program(argv: &[String]) -> String {
    match argv {
        [shell, flag, _script, name @ ..] if shell == "sh" && flag == "-c" && !name.is_empty() => {
            name.join(" ")
        }
        all => all.join(" "),
    }
}

/// The last lines a failed program wrote: its errors, or where there are none its output.
fn last_words(done: &ActDone) -> String {
    let errors = done.stderr.trim();
    let text = if errors.is_empty() { done.stdout.trim() } else { errors };
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(ERROR_LINES)..].join("\n")
}

#[async_trait]
impl<T: HostKind> Kind for T {
    fn schema(&self) -> &'static Schema {
        HostKind::schema(self)
    }
    fn check(&self, args: &Object) -> Diagnostics {
        HostKind::check(self, args)
    }
    fn observe(&self, identity: &Object, facts: &Facts, got: &Answers) -> Observation {
        HostKind::observe(self, identity, facts, got)
    }
    fn discover(&self, facts: &Facts, got: &Answers) -> Discovery {
        HostKind::discover(self, facts, got)
    }
    fn portray(&self, observed: &Object) -> Object {
        HostKind::portray(self, observed)
    }
    fn plan(&self, cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        HostKind::plan(self, cx, change)
    }
    fn gate(&self, name: &str, identity: &Object, got: &Answers) -> GateState {
        HostKind::gate(self, name, identity, got)
    }
    fn revert(&self, change: &Change, step: &Step) -> Vec<Act> {
        HostKind::revert(self, change, step)
    }
    fn judge(&self, host: &HostView<'_>) -> Vec<(Address, Diagnostic)> {
        HostKind::judge(self, host)
    }
    async fn run(&self, cx: &StepCx<'_>, step: &Step) -> Result<Outcome, KindError> {
        let acts = self.acts(cx.change, step)?;
        let done = cx.world.act(cx.endpoint, &acts, cx.timeout, cx.progress).await?;
        for (act, done) in acts.iter().zip(&done) {
            if let Act::Run { argv, ok, .. } = act
                && !ok.contains(&done.code)
            {
                return Err(KindError::Program {
                    title: step.title.clone(),
                    program: shown_program(argv),
                    code: done.code,
                    stderr: last_words(done),
                });
            }
        }
        Ok(Outcome::Done(self.made(cx.change, step)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_do_not_show_scripts() {
        let argv = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            shown_program(&argv(&["sh", "-c", "exec \"$0\" \"$@\"", "systemctl", "start"])),
            "systemctl start"
        );
        assert_eq!(shown_program(&argv(&["useradd", "eth"])), "useradd eth");
    }

    #[test]
    fn errors_show_the_last_lines() {
        let done =
            |stdout: &str, stderr: &str| ActDone { code: 1, stdout: stdout.into(), stderr: stderr.into() };
        assert_eq!(last_words(&done("out", "\nerror\n")), "error");
        assert_eq!(last_words(&done("out\n", "\n")), "out");
        let long: Vec<String> = (0..ERROR_LINES + 5).map(|n| n.to_string()).collect();
        assert!(last_words(&done("", &long.join("\n"))).starts_with("5\n"));
    }
}
