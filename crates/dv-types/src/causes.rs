//! An error with everything that is behind it, in one line for people.

use std::error::Error;

/// The error's own message and those of its causes, the nearest first: `opening the store: no space left`. Some libraries
/// say their cause themselves; it is not said again.
#[must_use]
pub fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let more = deeper.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = deeper.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn all_causes_are_told_once() {
        let error = Layer("a", Some(Box::new(Layer("b", Some(Box::new(Layer("c", None)))))));
        assert_eq!(in_full(&error), "a: b: c");
        assert_eq!(in_full(&Layer("alone", None)), "alone");
        assert_eq!(in_full(&Layer("a of b", Some(Box::new(Layer("b", None))))), "a of b");
    }
}
