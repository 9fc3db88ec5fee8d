//! An embedded cluster behind the same port as a real one.
//!
//! It holds the API server ([`Api`]). It does not know who asks: steps, recorders and
//! foreign tools all come through a `kube::Client` or through HTTP.

mod api;
mod helm;

pub use api::{
    Answer, Api, Effect, Ending, Exec, Guard, Matching, Options, Program, Refusal, Request, Rule, Says, Served,
    StandIns, Talk, Verb,
};
pub use helm::{Chart, Charts, Rendered, Rendering, StandInHelm, Templates};
