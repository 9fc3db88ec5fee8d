//! The binary: reads the command line, builds the runtime, and ends with the
//! command's exit code.

use std::process::ExitCode;

/// A run makes and drops small JSON values all the time: a quarter of it was spent in the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    lariat::cli::main()
}
