use super::args::{ColorArg, GraphArgs, GraphFormat};
use super::screen::{err, out};
use super::{Exit, door};
use crate::graph::{self, Graph};

/// Draws a plan's graph.
pub(super) fn graph(args: &GraphArgs) -> Exit {
    let plan = match door::load(&args.plan, ColorArg::Auto) {
        Ok(plan) => plan,
        Err(exit) => return exit,
    };
    let graph = Graph::new(&plan.nodes());
    out(&match args.output {
        GraphFormat::Text => graph::text(&graph),
        GraphFormat::Dot => graph::dot(&graph),
        GraphFormat::Mermaid => graph::mermaid(&graph),
        GraphFormat::Svg => match graph.layout() {
            Some(layout) => graph::svg(&layout),
            None => {
                err("lariat: the graph has too many steps for a picture; `-o text` and `-o dot` draw it");
                return Exit::Usage;
            }
        },
    });
    Exit::Ok
}
