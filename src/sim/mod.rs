//! An embedded cluster behind the same port as a real one.
//!
//! It holds the API server ([`Api`]), controllers and nodes that are its clients
//! ([`World`]), a stand-in for helm and an internet, and puts them behind the port
//! ([`Embedded`]). It does not know who asks: steps, recorders and
//! foreign tools all come through a `kube::Client` or through HTTP.

mod api;

mod control;

mod helm;

mod net;

mod world;

mod guests;

mod fault;

mod embedded;
mod lab;
mod longhorn;

pub use api::{
    Answer, Api, Effect, Ending, Entered, Exec, Guard, Kubelets, LogLine, Matching, Options, Program, Refusal, Request,
    Review, Rule, Says, Served, StandIns, Talk, Verb, Webhook,
};
pub use control::{
    Afflicted, Ailment, Anywhere, Attach, Backoff, Behaviour, Bell, Cache, Chance, Change, Controller, File, Form,
    Image, Key, Kind, Life, Machines, Object, OnTerm, PROVISIONER, Pace, PodFilter, Process, Round, Runs, Setting,
    Span, Start, Switch, Trigger, Trouble, Volume, Watches, Write, kubelet, sha256, timing,
};
pub use embedded::Embedded;
pub use fault::{Fault, FaultError, FaultKind, Parameter, Place, Unit, faults};
pub use guests::Guests;
pub use helm::{Chart, Charts, Rendered, Rendering, StandInHelm, Templates};
pub use longhorn::{Gate, GuestLonghorn, Service};
pub use net::{Internet, Serving, Site, SiteFault, Troubled};
pub use world::{Setup, World};
