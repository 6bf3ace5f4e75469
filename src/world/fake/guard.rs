//! The guard of the model.

use super::acts::{Problem, failed};
use super::model::HostModel;
use crate::resource::act::{Act, ActDone};

/// How often a host is looked for in vain before its guard fires.
const LOOKS_UNTIL_FIRED: u32 = 3;

/// A guard that is armed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Armed {
    /// Names it.
    pub token: String,
    /// What is guarded.
    pub who: String,
    /// What the host does.
    pub revert: Vec<Act>,
}

impl HostModel {
    /// An act on the guard.
    pub(super) fn guard(&mut self, act: &Act) -> Result<ActDone, Problem> {
        let said = match act {
            Act::Arm { who, after_s, revert, .. } => match &self.armed {
                Some(armed) => format!("held {after_s} {}", armed.who),
                None => {
                    let token = format!("guard-{}", self.clock);
                    let said = format!("armed {token}");
                    self.fired = None;
                    self.armed = Some(Armed { token, who: who.clone(), revert: revert.clone() });
                    said
                }
            },
            Act::Hold { token } if self.armed.as_ref().is_none_or(|armed| armed.token != *token) => {
                return failed("its guard has fired, is gone, or has another step of it still running");
            }
            Act::Disarm { token } => {
                let word = match (self.armed.take_if(|armed| armed.token == *token), &self.fired) {
                    (Some(_), _) => "disarmed",
                    (None, Some(fired)) if fired == token => "fired",
                    (None, _) => "gone",
                };
                word.to_owned()
            }
            // Here it always counts.
            _ => String::new(),
        };
        Ok(ActDone { stdout: said, ..ActDone::default() })
    }

    /// A look at a host that cannot be reached: the third in vain is when its guard fires.
    pub(super) fn look_in_vain(&mut self) {
        self.looks += 1;
        if self.looks < LOOKS_UNTIL_FIRED {
            return;
        }
        let Some(armed) = self.armed.take() else { return };
        self.looks = 0;
        for act in &armed.revert {
            let _ = self.carry_out(act);
        }
        self.fired = Some(armed.token);
        self.unreachable = None;
    }
}
