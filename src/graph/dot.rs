use std::fmt::Write as _;

use super::folding::{Cells, Fold, LineKind, Ties, fold, name};
use super::text::{heading, kind};
use super::{Graph, StepIx};

/// The plan in Graphviz's language.
pub fn dot(graph: &Graph) -> String {
    let folds = fold(graph, Cells::Apart);
    let ties = Ties::of(graph, &folds);
    let mut out = String::from("digraph plan {\n");
    out.push_str("  rankdir=LR; compound=true;\n");
    out.push_str("  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n");
    out.push_str("  graph [style=rounded, fontname=\"sans-serif\"];\n");
    for fold in &folds {
        draw(graph, fold, 1, &mut out);
    }
    for tie in &ties.all {
        // Graphviz draws lines between boxes and cuts them off at a frame's edge.
        let ends = |step| find(&folds, step).expect("lines are between what is drawn");
        let (from, to) = (ends(tie.from), ends(tie.to));
        let exit = from.exits(&ties)[0].step();
        let entry = to.entries(&ties)[0].step();
        let mut marks = Vec::new();
        if exit != tie.from {
            marks.push(format!("ltail=cluster_{}", tie.from.at()));
        }
        if entry != tie.to {
            marks.push(format!("lhead=cluster_{}", tie.to.at()));
        }
        match tie.kind {
            LineKind::Need => {}
            LineKind::End => marks.push("style=dashed".to_owned()),
            LineKind::Until => marks.push("style=dotted, label=\"until\"".to_owned()),
        }
        let marks = if marks.is_empty() { String::new() } else { format!(" [{}]", marks.join(", ")) };
        writeln!(out, "  s{} -> s{}{marks};", exit.at(), entry.at()).expect("a String takes text");
    }
    out + "}\n"
}

fn draw(graph: &Graph, fold: &Fold, depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    let (at, label) = (fold.step().at(), quoted(&name(graph, fold.step())));
    let (kind, heading) = (quoted(&kind(graph, fold)), quoted(&heading(graph, fold)));
    let style = if fold.clean_up { ", style=\"rounded,dashed\"" } else { "" };
    let line = if fold.inside.is_empty() {
        writeln!(out, "{pad}s{at} [label=\"{label}\\n{kind}\"{style}];")
    } else {
        writeln!(out, "{pad}subgraph cluster_{at} {{\n{pad}  label=\"{heading}\";")
    };
    line.expect("a String takes text");
    if !fold.inside.is_empty() {
        for inner in &fold.inside {
            draw(graph, inner, depth + 1, out);
        }
        writeln!(out, "{pad}}}").expect("a String takes text");
    }
}

/// A text as it may stand between double quotes.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " ")
}

/// The fold that is drawn as a step.
pub(super) fn find(folds: &[Fold], step: StepIx) -> Option<&Fold> {
    folds.iter().find_map(|fold| if fold.step() == step { Some(fold) } else { find(&fold.inside, step) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::graph::tests::{SAMPLE, graph};

    #[test]
    fn a_plan_for_graphviz() {
        insta::assert_snapshot!(dot(&graph(SAMPLE)), @r#"
        digraph plan {
          rankdir=LR; compound=true;
          node [shape=box, style=rounded, fontname="sans-serif"];
          graph [style=rounded, fontname="sans-serif"];
          subgraph cluster_0 {
            label="install";
            s1 [label="crds\napply"];
            s2 [label="chart\nhelm-install"];
          }
          s3 [label="download\ndownload"];
          subgraph cluster_4 {
            label="volumes";
            subgraph cluster_5 {
              label="volumes[one]";
              s6 [label="pod\napply"];
              s7 [label="ready\nwait"];
            }
            subgraph cluster_8 {
              label="volumes[two]";
              s9 [label="pod\napply"];
              s10 [label="ready\nwait"];
            }
          }
          s11 [label="io\nsteady-io"];
          subgraph cluster_12 {
            label="restart: 2 rounds";
            s14 [label="kill\npod-kill"];
            s15 [label="back\nwait"];
          }
          s19 [label="verify\nexec"];
          s20 [label="logs\ncollect", style="rounded,dashed"];
          s21 [label="remove\nhelm-uninstall", style="rounded,dashed"];
          s22 [label="tidy\ndelete", style="rounded,dashed"];
          s2 -> s6 [ltail=cluster_0, lhead=cluster_4];
          s1 -> s2;
          s3 -> s19;
          s7 -> s11 [ltail=cluster_4];
          s6 -> s7;
          s9 -> s10;
          s11 -> s14 [lhead=cluster_12];
          s15 -> s19 [ltail=cluster_12];
          s14 -> s15;
          s19 -> s21;
          s19 -> s20 [style=dashed];
          s19 -> s22 [style=dashed];
          s11 -> s14 [lhead=cluster_12, style=dotted, label="until"];
        }
        "#);
    }

    #[test]
    fn a_cell_s_text_stays_inside_its_quotes() {
        let graph = graph("v cells\n v[\"];x\\] sleep");
        let drawn = dot(&graph);
        assert!(drawn.contains(r#"[label="v[\"];x\\]\nsleep"];"#), "{drawn}");
    }
}
