use std::fmt::Write as _;

use super::folding::{Cells, Fold, fold, name};
use super::{Graph, StepIx};
use crate::event::{NodeKind, When};

/// The plan as an indented list, for people: what each step is, and what it comes after.
///
/// Rounds of a repeat are written once, since they are the same steps.
pub fn text(graph: &Graph) -> String {
    let mut rows = Vec::new();
    for fold in fold(graph, Cells::Together) {
        write_down(graph, &fold, 0, &mut rows);
    }
    let width = |column: fn(&Row) -> &str| {
        let widths = rows.iter().map(|row| column(row).chars().count());
        widths.max().unwrap_or(0)
    };
    let (names, kinds) = (width(|row| &row.name), width(|row| &row.kind));
    let mut out = String::new();
    for row in &rows {
        let line = format!("{:names$}  {:kinds$}  {}", row.name, row.kind, row.order);
        writeln!(out, "{}", line.trim_end()).expect("a String takes text");
    }
    out
}

struct Row {
    name: String,
    kind: String,
    order: String,
}

fn write_down(graph: &Graph, fold: &Fold, depth: usize, rows: &mut Vec<Row>) {
    rows.push(Row {
        name: format!("{:1$}{2}", "", depth * 2, name(graph, fold.step())),
        kind: kind(graph, fold),
        order: order(graph, fold.step()),
    });
    for inner in &fold.inside {
        write_down(graph, inner, depth + 1, rows);
    }
}

/// What stands there: `wait`, `group`, `3 rounds`, `cells one, two of exec`.
pub(super) fn kind(graph: &Graph, fold: &Fold) -> String {
    let mut parts = Vec::new();
    if !fold.cells.is_empty() {
        parts.push(format!("cells {}", fold.cells.join(", ")));
    }
    if let Some(rounds) = fold.rounds {
        parts.push(crate::text::count(rounds, "round"));
    }
    match (fold.verb(graph), parts.is_empty()) {
        (Some(verb), true) => verb.to_owned(),
        (Some(verb), false) => format!("{} of {verb}", parts.join(", ")),
        (None, false) => parts.join(", "),
        (None, true) => match graph.node(fold.step()).kind {
            NodeKind::Cells if fold.inside.is_empty() => "no cells".to_owned(),
            NodeKind::Repeat if fold.inside.is_empty() => "no rounds".to_owned(),
            NodeKind::Cells => "cells".to_owned(),
            NodeKind::Verb(_) | NodeKind::Group | NodeKind::Repeat => "group".to_owned(),
        },
    }
}

/// What stands over a frame: a name, with what it is if that is not plain to see.
pub(super) fn heading(graph: &Graph, fold: &Fold) -> String {
    let name = name(graph, fold.step());
    if fold.rounds.is_none() && fold.cells.is_empty() { name } else { format!("{name}: {}", kind(graph, fold)) }
}

/// When it runs, in words.
fn order(graph: &Graph, step: StepIx) -> String {
    let node = graph.node(step);
    let mut parts = Vec::new();
    match node.when {
        When::Passed => {}
        When::Always => parts.push("always".to_owned()),
        When::Failed => parts.push("on failure".to_owned()),
    }
    let needs: Vec<String> = graph.needs(step).iter().map(|&need| name(graph, need)).collect();
    if !needs.is_empty() {
        parts.push(format!("after {}", crate::text::and(&needs)));
    } else if node.when != When::Passed {
        parts.push("at the end".to_owned());
    }
    if let Some(until) = graph.until(step) {
        parts.push(format!("beside others until {}", name(graph, until)));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::graph::tests::{SAMPLE, graph};

    #[test]
    fn a_plan_reads_from_top_to_bottom() {
        insta::assert_snapshot!(text(&graph(SAMPLE)), @r"
        install   group
          crds    apply
          chart   helm-install    after crds
        download  download
        volumes   cells one, two  after install
          pod     apply
          ready   wait            after pod
        io        steady-io       after volumes and install, beside others until restart
        restart   2 rounds        after io and volumes
          kill    pod-kill
          back    wait            after kill
        verify    exec            after restart and download
        logs      collect         on failure, at the end
        remove    helm-uninstall  always, after verify
        tidy      delete          always, at the end
        ");
    }
}
