use std::io::IsTerminal as _;

use super::args::{ColorArg, ProgressArg, ShowArgs};
use crate::report::{Asked, ColorChoice, Look, ProgressChoice, Surroundings};

/// How a run is shown here: the flags, and where stderr goes.
pub(super) fn look(show: &ShowArgs) -> Look {
    let asked = Asked {
        progress: match show.progress {
            ProgressArg::Auto => ProgressChoice::Auto,
            ProgressArg::Bars => ProgressChoice::Bars,
            ProgressArg::Plain => ProgressChoice::Plain,
            ProgressArg::Json => ProgressChoice::Json,
        },
        color: choice(show.color),
        quiet: show.quiet,
        verbose: show.verbose,
    };
    Look::decide(asked, &surroundings())
}

/// Whether a command's own output is coloured.
pub(super) fn color(color: ColorArg) -> bool {
    let asked = Asked { progress: ProgressChoice::Bars, color: choice(color), quiet: false, verbose: 0 };
    Look::decide(asked, &surroundings()).color
}

fn choice(color: ColorArg) -> ColorChoice {
    match color {
        ColorArg::Auto => ColorChoice::Auto,
        ColorArg::Always => ColorChoice::Always,
        ColorArg::Never => ColorChoice::Never,
    }
}

fn surroundings() -> Surroundings {
    Surroundings::new(std::io::stderr().is_terminal(), |name| std::env::var(name).ok())
}
