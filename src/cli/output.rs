//! `coxswain output [NAME]`: the outputs of the root module, from the state.

use super::args::StateArgs;
use super::error::CliError;
use super::render::json;
use super::render::state::{self as render, StateView};
use super::{Cx, Exit, Format, Run};
use crate::session;

/// Show the outputs of the root module
#[derive(Debug, clap::Parser)]
#[command(
    name = "output",
    after_help = "Examples:\n  coxswain output\n  coxswain output enr\n  coxswain output --json\n\n\
        One text output is written as it is, for scripts. Sensitive outputs are not kept in clear."
)]
pub(super) struct Output {
    /// Only this one
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    state: StateArgs,
}

impl Run for Output {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let view = StateView::of(&session::read_state(&self.state.options(cx))?);
        cx.terminal.out(&text(&view, self.name.as_deref(), cx.format)?);
        Ok(Exit::Done)
    }
}

fn text(view: &StateView, name: Option<&str>, format: Format) -> Result<String, CliError> {
    let Some(name) = name else {
        return Ok(match format {
            Format::Json => json::pretty(&serde_json::json!(view.outputs)),
            Format::Text => render::outputs(view),
        });
    };
    let value = view.outputs.get(name).ok_or_else(|| {
        let known: Vec<&str> = view.outputs.keys().map(String::as_str).collect();
        let next = match coxswain_model::diagnostic::suggest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "outputs are there after coxswain apply".to_owned(),
            None => format!("there are: {}", known.join(", ")),
        };
        CliError::other(format!("reading the output `{name}`"), "the state has none of this name", next)
    })?;
    let hidden = ["$sensitive", "$digest"].iter().any(|mark| value.get(mark).is_some());
    if hidden {
        return Err(CliError::other(
            format!("reading the output `{name}`"),
            "it is sensitive or very long, and the state keeps nothing but its digest",
            "read it where it is made",
        ));
    }
    Ok(match format {
        Format::Json => json::pretty(value),
        Format::Text => render::raw(value),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn outputs_are_for_people_and_scripts() {
        let mut view = StateView::default();
        view.outputs.insert("enr".into(), json!("enr:-x"));
        view.outputs.insert("key".into(), json!({"$digest": "x"}));
        let text = |name, format| text(&view, name, format);
        assert_eq!(text(None, Format::Text).expect("text"), "enr = \"enr:-x\"\nkey = (kept as a digest)\n");
        assert_eq!(text(Some("enr"), Format::Text).expect("text"), "enr:-x\n");
        assert_eq!(text(Some("enr"), Format::Json).expect("text"), "\"enr:-x\"\n");
        let wrong = super::super::error::json(&text(Some("enx"), Format::Text).expect_err("unknown"));
        assert!(wrong.contains("did you mean `enr`?"), "{wrong}");
        assert!(text(Some("key"), Format::Text).is_err());
    }
}
