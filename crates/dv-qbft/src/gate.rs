//! Which duties of peers are let in.

use coxswain_dv_eth::duty::Duty;
use coxswain_dv_eth::time::{Clock, Time};

use crate::refusal::Refusal;

/// Epochs after the current one whose duties are let in: clocks differ, and what comes later would wait for long.
pub const FUTURE_EPOCHS: u64 = 2;

/// Lets a duty in that is not too far ahead. What is over is not refused here.
///
/// # Errors
/// [`Refusal::Future`]; trying again helps only when its epoch is nearer.
pub fn check(duty: &Duty, now: Time, clock: &Clock) -> Result<(), Refusal> {
    let current = clock.slot_at(now).map_or(0, |slot| clock.epoch_of(slot));
    let epoch = clock.epoch_of(duty.slot);
    if epoch > current.saturating_add(FUTURE_EPOCHS) {
        return Err(Refusal::Future { epoch, current });
    }
    Ok(())
}
