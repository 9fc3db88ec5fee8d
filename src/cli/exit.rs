use std::process::ExitCode;

use crate::event::{CancelReason, Verdict};

/// How the process ends. The numbers are a promise to scripts and CI systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: the run passed, or the command did what it says.
    Ok,
    /// 1: the verdict is *fail*: a definite no.
    Failed,
    /// 2: the plan or the command line is wrong; nothing was touched.
    Usage,
    /// 3: the verdict is *inconclusive*: not everything that matters was seen.
    Inconclusive,
    /// 4: Lariat could not do its part: no cluster, no permission, a full disk.
    Error,
    /// 130: cancelled by Ctrl-C.
    Interrupted,
    /// 143: cancelled by SIGTERM.
    Terminated,
}

impl Exit {
    /// The process's exit status.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Inconclusive => 3,
            Self::Error => 4,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// How a run with this verdict ends the process.
    ///
    /// A cancelled run that has a worse verdict besides keeps the worse one's code.
    pub fn of(verdict: Verdict, cancelled: Option<CancelReason>) -> Self {
        match (verdict, cancelled) {
            (Verdict::Pass, _) => Self::Ok,
            (Verdict::Fail, _) => Self::Failed,
            (Verdict::Inconclusive, _) => Self::Inconclusive,
            (Verdict::Error, _) => Self::Error,
            (Verdict::Cancelled, Some(CancelReason::Terminate)) => Self::Terminated,
            (Verdict::Cancelled, _) => Self::Interrupted,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verdict_has_its_code() {
        let table = [
            (Verdict::Pass, None, 0),
            (Verdict::Fail, None, 1),
            (Verdict::Fail, Some(CancelReason::Interrupt), 1),
            (Verdict::Inconclusive, None, 3),
            (Verdict::Error, None, 4),
            (Verdict::Cancelled, Some(CancelReason::Interrupt), 130),
            (Verdict::Cancelled, Some(CancelReason::Terminate), 143),
        ];
        for (verdict, cancelled, code) in table {
            assert_eq!(Exit::of(verdict, cancelled).code(), code, "{verdict} {cancelled:?}");
        }
    }
}
