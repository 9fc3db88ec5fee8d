//! Runs in virtual time are apart from the machine.

use std::cell::Cell;

thread_local! {
    static APART: Cell<bool> = const { Cell::new(false) };
}

/// While this is held, nothing on its thread starts a program or opens a socket: both take real time, which
/// no seed decides. A step that would is refused before it comes so far; what comes so far is a bug.
#[derive(Debug)]
#[must_use = "a run is apart for as long as this is held"]
pub struct Apart(());

impl Apart {
    /// From now on.
    pub fn begin() -> Self {
        APART.set(true);
        Self(())
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        APART.set(false);
    }
}

/// Said wherever a program is started or a socket opened, right before.
pub fn reaches_out(how: &str) {
    assert!(!APART.get(), "a run in virtual time {how}, which no seed decides");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Program;

    #[tokio::test]
    async fn a_program_is_not_started_while_apart() {
        let start = || std::panic::catch_unwind(|| Program::new("true", [""; 0]).start().map(drop));
        let apart = Apart::begin();
        let told = start().expect_err("it is a bug");
        let told = told.downcast_ref::<String>().expect("a panic has a text");
        assert_eq!(told, "a run in virtual time starts a program, which no seed decides");
        drop(apart);
        assert!(start().expect("it is none").is_ok());
    }
}
