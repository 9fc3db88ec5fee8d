use std::fmt::Write as _;

use super::Graph;
use super::folding::{Cells, Fold, LineKind, Ties, fold, name};
use super::text::{heading, kind};

/// The plan in Mermaid's language, which many forges draw inside Markdown.
pub fn mermaid(graph: &Graph) -> String {
    let folds = fold(graph, Cells::Apart);
    let mut out = String::from("flowchart LR\n");
    for fold in &folds {
        draw(graph, fold, 1, &mut out);
    }
    for tie in &Ties::of(graph, &folds).all {
        let line = match tie.kind {
            LineKind::Need => "-->",
            LineKind::End => "-.->",
            LineKind::Until => "-. until .->",
        };
        writeln!(out, "  s{} {line} s{}", tie.from.at(), tie.to.at()).expect("a String takes text");
    }
    out
}

fn draw(graph: &Graph, fold: &Fold, depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    let (at, label) = (fold.step().at(), quoted(&name(graph, fold.step())));
    let kind = quoted(&kind(graph, fold));
    if fold.inside.is_empty() {
        let (open, close) = if fold.clean_up { ("([", "])") } else { ("[", "]") };
        writeln!(out, "{pad}s{at}{open}\"{label}<br/>{kind}\"{close}").expect("a String takes text");
        return;
    }
    let heading = quoted(&heading(graph, fold));
    writeln!(out, "{pad}subgraph s{at} [\"{heading}\"]").expect("a String takes text");
    for inner in &fold.inside {
        draw(graph, inner, depth + 1, out);
    }
    writeln!(out, "{pad}end").expect("a String takes text");
}

/// A text as it may stand between Mermaid's double quotes, which have no escape but entities.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' | '#' | '&' | '<' | '>' | '`' | '\\' => {
                write!(out, "#{};", u32::from(c)).expect("a String takes text");
            }
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::graph::tests::{SAMPLE, graph};

    #[test]
    fn a_plan_for_mermaid() {
        insta::assert_snapshot!(mermaid(&graph(SAMPLE)), @r#"
        flowchart LR
          subgraph s0 ["install"]
            s1["crds<br/>apply"]
            s2["chart<br/>helm-install"]
          end
          s3["download<br/>download"]
          subgraph s4 ["volumes"]
            subgraph s5 ["volumes[one]"]
              s6["pod<br/>apply"]
              s7["ready<br/>wait"]
            end
            subgraph s8 ["volumes[two]"]
              s9["pod<br/>apply"]
              s10["ready<br/>wait"]
            end
          end
          s11["io<br/>steady-io"]
          subgraph s12 ["restart: 2 rounds"]
            s14["kill<br/>pod-kill"]
            s15["back<br/>wait"]
          end
          s19["verify<br/>exec"]
          s20(["logs<br/>collect"])
          s21(["remove<br/>helm-uninstall"])
          s22(["tidy<br/>delete"])
          s0 --> s4
          s1 --> s2
          s3 --> s19
          s4 --> s11
          s6 --> s7
          s9 --> s10
          s11 --> s12
          s12 --> s19
          s14 --> s15
          s19 --> s21
          s19 -.-> s20
          s19 -.-> s22
          s11 -. until .-> s12
        "#);
    }

    #[test]
    fn a_cell_s_text_stays_inside_its_quotes() {
        let drawn = mermaid(&graph("v cells\n v[\"]<b>] sleep"));
        assert!(drawn.contains(r#""v[#34;]#60;b#62;]<br/>sleep""#), "{drawn}");
    }
}
