//! The binary: reads the command line, builds the runtime, and ends with the
//! command's exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    lariat::cli::main()
}
