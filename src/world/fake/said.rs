//! What programs that only read say at a fake host.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::resource::answer::{Answer, SaidAnswer};

/// What a program says: text and exit code 0, or both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Said {
    /// All is well.
    Text(String),
    /// As it is.
    Answer(SaidAnswer),
}

/// What a program says of these words.
pub(super) fn answer(says: &BTreeMap<String, Said>, program: &str, words: &[String]) -> Answer {
    let asked: Vec<&str> = std::iter::once(program).chain(words.iter().map(String::as_str)).collect();
    match says.get(&asked.join(" ")) {
        Some(Said::Text(text)) => Answer::Said(SaidAnswer { code: 0, text: text.clone() }),
        Some(Said::Answer(answer)) => Answer::Said(answer.clone()),
        None => Answer::Unknown(format!("the model does not say `{}`", asked.join(" "))),
    }
}
