//! One input, whose panic is caught so that the input can be reported.

use super::Target;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

pub(super) enum Attempt {
    /// The class of the outcome.
    Held(String),
    /// The message of the panic.
    Failed(String),
}

thread_local! {
    static TRYING: Cell<bool> = const { Cell::new(false) };
    static WHY: RefCell<String> = const { RefCell::new(String::new()) };
}

pub(super) fn attempt(target: &Target, input: &[u8]) -> Attempt {
    record_panics();
    TRYING.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.check)(input)));
    TRYING.set(false);
    match outcome {
        Ok(class) => Attempt::Held(class),
        Err(_) => Attempt::Failed(WHY.take()),
    }
}

/// Records panics of attempts instead of printing them: shrinking an input causes hundreds.
fn record_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            if TRYING.get() {
                WHY.set(info.to_string());
            } else {
                usual(info);
            }
        }));
    });
}
