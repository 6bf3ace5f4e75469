//! Programs for `sh` that change something: files below `src/resource/run/`, run with arguments that hold nothing
//! secret.

use super::act::{Act, Content};

/// A program for `sh`. Its arguments are `$1` and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// What errors and logs call it: "ufw add".
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// The [`Program`] in the file `run/FILE.sh`, which errors call `name`.
macro_rules! program {
    ($file:literal, $name:literal) => {
        $crate::resource::program::Program {
            name: $name,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/resource/run/", $file, ".sh")),
        }
    };
}
pub(crate) use program;

impl Program {
    /// The act that runs it; any exit code but 0 is a failure.
    pub fn act<S: Into<String>>(self, words: impl IntoIterator<Item = S>) -> Act {
        let head = ["sh".to_owned(), "-c".to_owned(), self.text.to_owned(), self.name.to_owned()];
        Act::Run {
            argv: head.into_iter().chain(words.into_iter().map(Into::into)).collect(),
            env: Vec::new(),
            input: None,
            ok: vec![0],
        }
    }

    /// The same, with something to read that may be secret.
    pub fn act_with<S: Into<String>>(self, words: impl IntoIterator<Item = S>, input: Content) -> Act {
        let mut act = self.act(words);
        if let Act::Run { input: given, .. } = &mut act {
            *given = Some(input);
        }
        act
    }
}
