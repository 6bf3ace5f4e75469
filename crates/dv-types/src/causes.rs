//! Errors as one line of text.

use std::error::Error;

/// An error and its causes, the outermost first. Messages of ours say each their own layer only.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the bread burns")]
    struct Burns(#[source] Hot);

    #[derive(Debug, thiserror::Error)]
    #[error("the oven is hot")]
    struct Hot;

    #[test]
    fn causes_come_after_what_they_cause() {
        assert_eq!(with_causes(&Burns(Hot)), "the bread burns: the oven is hot");
        assert_eq!(with_causes(&Hot), "the oven is hot");
    }
}
