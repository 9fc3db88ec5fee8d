/// What was asked for on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// `--progress`.
    pub progress: ProgressChoice,
    /// `--color`.
    pub color: ColorChoice,
    /// `--quiet`: the same as `--progress quiet`, unless events were asked for.
    pub quiet: bool,
    /// How often `-v` was given.
    pub verbose: u8,
}

/// The values of `--progress`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProgressChoice {
    /// Bars where they can be drawn, else plain.
    #[default]
    Auto,
    /// Live rows above a footer.
    Bars,
    /// One line for each fact.
    Plain,
    /// Events as JSON lines on standard output.
    Json,
    /// Failures and the last line.
    Quiet,
}

/// The values of `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorChoice {
    /// On a terminal, as the environment says.
    #[default]
    Auto,
    /// On, whatever the environment says.
    Always,
    /// Off, whatever the environment says.
    Never,
}

/// What the process was started in, as far as it decides how things look.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent facts, and all that is asked of the environment"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Whether standard error is a terminal.
    pub stderr_is_terminal: bool,
    /// Whether `TERM` is `dumb`: no cursor movement, no colour.
    pub dumb: bool,
    /// Whether `CI` is set: a terminal there is recorded, not watched.
    pub ci: bool,
    /// Whether `NO_COLOR` is set and not empty.
    pub no_color: bool,
    /// Whether `CLICOLOR_FORCE` or `FORCE_COLOR` is set, and neither empty nor `0`.
    pub force_color: bool,
}

/// How a run is shown. Decided once, before anything is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// In which way.
    pub mode: Mode,
    /// Whether in colour, which never changes a word.
    pub color: bool,
    /// How much.
    pub detail: Detail,
}

/// Ways to show a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Lines above live rows.
    Bars,
    /// Lines.
    Plain,
    /// Events on standard output, failures and the last line on standard error.
    Json,
    /// Failures and the last line.
    Quiet,
}

/// How much is shown. Each level holds the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Changes of state.
    States,
    /// With `-v`: notes, and each change of what a step waits for.
    Notes,
    /// With `-vv`: requests that were sent again, and longer texts in full.
    Requests,
}

impl Surroundings {
    /// Reads the environment through a function, so that a test needs none.
    pub fn new(stderr_is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> Self {
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        let on = |name: &str| given(name).is_some_and(|value| value != "0" && value != "false");
        Self {
            stderr_is_terminal,
            dumb: given("TERM").as_deref() == Some("dumb"),
            ci: on("CI"),
            no_color: given("NO_COLOR").is_some(),
            force_color: on("CLICOLOR_FORCE") || on("FORCE_COLOR"),
        }
    }
}

impl Look {
    /// The decision, in this order:
    ///
    /// | mode | when |
    /// |---|---|
    /// | json | `--progress json` |
    /// | quiet | `--quiet` or `--progress quiet` |
    /// | plain | `--progress plain`; or no terminal; or `TERM=dumb`; or `CI` with `--progress auto` |
    /// | bars | else |
    ///
    /// | colour | when |
    /// |---|---|
    /// | as asked | `--color always` or `--color never` |
    /// | off | `NO_COLOR` |
    /// | on | `CLICOLOR_FORCE` or `FORCE_COLOR` |
    /// | on | a terminal that is not dumb, unless the mode is plain: what is plain has no escape byte |
    /// | off | else |
    pub fn decide(asked: Asked, around: &Surroundings) -> Self {
        let screen = around.stderr_is_terminal && !around.dumb;
        let mode = match asked.progress {
            ProgressChoice::Json => Mode::Json,
            ProgressChoice::Quiet => Mode::Quiet,
            ProgressChoice::Auto | ProgressChoice::Bars | ProgressChoice::Plain if asked.quiet => Mode::Quiet,
            ProgressChoice::Bars if screen => Mode::Bars,
            ProgressChoice::Auto if screen && !around.ci => Mode::Bars,
            ProgressChoice::Auto | ProgressChoice::Bars | ProgressChoice::Plain => Mode::Plain,
        };
        let color = match asked.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto if around.no_color => false,
            ColorChoice::Auto if around.force_color => true,
            ColorChoice::Auto => screen && mode != Mode::Plain,
        };
        let detail = match asked.verbose {
            0 => Detail::States,
            1 => Detail::Notes,
            _ => Detail::Requests,
        };
        Self { mode, color, detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `flags | environment` and the look as `mode`, with `+color` and one `v` for each level.
    fn look(case: &str) -> String {
        let (flags, environment) = case.split_once('|').unwrap();
        let mut asked = Asked::default();
        for flag in flags.split_whitespace() {
            match flag {
                "bars" => asked.progress = ProgressChoice::Bars,
                "plain" => asked.progress = ProgressChoice::Plain,
                "json" => asked.progress = ProgressChoice::Json,
                "quiet" => asked.progress = ProgressChoice::Quiet,
                "-q" => asked.quiet = true,
                "-v" => asked.verbose += 1,
                "always" => asked.color = ColorChoice::Always,
                "never" => asked.color = ColorChoice::Never,
                other => panic!("{other}"),
            }
        }
        let words: Vec<&str> = environment.split_whitespace().collect();
        let variable = |name: &str| {
            let find =
                |word: &&str| word.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned());
            words.iter().find_map(find)
        };
        let look = Look::decide(asked, &Surroundings::new(words.contains(&"tty"), variable));
        let mode = format!("{:?}", look.mode).to_lowercase();
        mode + if look.color { "+color" } else { "" } + [" ", " v", " vv"][look.detail as usize].trim_end()
    }

    #[test]
    fn the_truth_table() {
        for (case, expected) in [
            ("| tty TERM=xterm", "bars+color"),
            ("|", "plain"),
            ("| TERM=xterm", "plain"),
            ("| tty TERM=dumb", "plain"),
            ("| tty CI=true", "plain"),
            ("| tty CI=1", "plain"),
            ("| tty CI=", "bars+color"),
            ("| tty CI=false", "bars+color"),
            ("bars | tty CI=true", "bars+color"),
            ("bars |", "plain"),
            ("bars | tty TERM=dumb", "plain"),
            ("plain | tty", "plain"),
            ("plain always | tty", "plain+color"),
            ("plain | tty CLICOLOR_FORCE=1", "plain+color"),
            ("json | tty", "json+color"),
            ("json |", "json"),
            ("json -q |", "json"),
            ("quiet | tty", "quiet+color"),
            ("-q | tty", "quiet+color"),
            ("-q bars | tty", "quiet+color"),
            ("-q |", "quiet"),
            // NO_COLOR hides no bars.
            ("| tty NO_COLOR=1", "bars"),
            ("| tty NO_COLOR=0", "bars"),
            ("| tty NO_COLOR=", "bars+color"),
            ("| tty NO_COLOR=1 CLICOLOR_FORCE=1", "bars"),
            ("always | tty NO_COLOR=1", "bars+color"),
            ("always | tty TERM=dumb", "plain+color"),
            ("always |", "plain+color"),
            ("never | tty", "bars"),
            ("never | CLICOLOR_FORCE=1", "plain"),
            ("| CLICOLOR_FORCE=1", "plain+color"),
            ("| CLICOLOR_FORCE=0", "plain"),
            ("| FORCE_COLOR=3", "plain+color"),
            ("| FORCE_COLOR=0", "plain"),
            ("-v |", "plain v"),
            ("-v -v |", "plain vv"),
            ("-v -v -v |", "plain vv"),
        ] {
            assert_eq!(look(case), expected, "{case}");
        }
    }
}
