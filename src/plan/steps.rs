//! From a decision to the steps of its kind.

use coxswain_model::Diagnostics;
use coxswain_model::schema::Placement;

use super::decide::{self, Decision};
use crate::resource::kind::{Action, Kind, PlanCx, Step, Verb};

/// The steps of a decision.
pub(crate) fn steps_of(
    kind: &dyn Kind,
    cx: &PlanCx<'_>,
    decision: &Decision,
) -> Result<Vec<Step>, Diagnostics> {
    let change = &decision.change;
    match decision.action {
        Action::NoOp | Action::Read | Action::Forget => Ok(Vec::new()),
        Action::Adopt
            if change.differing.is_empty()
                && !change.restart
                && kind.schema().placement != Placement::IsHost =>
        {
            // The kind says whether it can be taken over at all; nothing is left to be done.
            kind.plan(cx, change)?;
            let what = decide::identity_text(kind.schema(), cx.address, &change.identity);
            let what = what.unwrap_or_else(|| cx.address.to_string());
            Ok(vec![Step::new("adopt", Verb::Adopt, format!("take over {what}"))])
        }
        Action::Update if decision.resumed => {
            let steps = kind.plan(cx, change)?;
            // It came as far as it should: what is left is to note so.
            let what = decide::identity_text(kind.schema(), cx.address, &change.identity);
            let what = what.unwrap_or_else(|| cx.address.to_string());
            let note =
                || vec![Step::new("note", Verb::Adopt, format!("note that {what} is as it should be"))];
            Ok(if steps.is_empty() { note() } else { steps })
        }
        Action::Create | Action::Update | Action::Adopt | Action::Delete => kind.plan(cx, change),
        Action::Replace => {
            let mut steps = match &decision.removal {
                Some(removal) => kind.plan(cx, removal)?,
                None => Vec::new(),
            };
            steps.extend(kind.plan(cx, change)?);
            Ok(steps)
        }
    }
}
