use std::fmt::Write as _;

use super::folding::LineKind;
use super::layout::{Layout, Tile};

/// A plain drawing of a layout, to be looked at by itself. Reports draw their own.
pub fn svg(layout: &Layout) -> String {
    let (width, height) = (layout.width, layout.height);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"ui-monospace, monospace\" font-size=\"12\">\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#555\"/></marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    let mut line = |text: std::fmt::Arguments<'_>| {
        writeln!(out, "{text}").expect("a String takes text");
    };
    for frame in &layout.frames {
        line(format_args!("{}", rect(frame, "#f4f6f8", "#b8c0c8")));
        let label = escape(&frame.heading);
        let (x, y) = (frame.x + 10.0, frame.y + 15.0);
        line(format_args!("<text x=\"{x}\" y=\"{y}\" fill=\"#555\">{label}</text>"));
    }
    for edge in &layout.edges {
        let mut points = edge.points.iter().enumerate();
        let path = points.try_fold(String::new(), |mut path, (at, point)| {
            let letter = if at == 0 { 'M' } else { 'L' };
            write!(path, "{letter}{} {}", point.x, point.y).map(|()| path)
        });
        let path = path.expect("a String takes text");
        let dash = match edge.kind {
            LineKind::Need => "",
            LineKind::End => " stroke-dasharray=\"6 4\"",
            LineKind::Until => " stroke-dasharray=\"2 3\"",
        };
        line(format_args!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"#555\" stroke-linejoin=\"round\"{dash} marker-end=\"url(#tip)\"/>"
        ));
    }
    for node in &layout.nodes {
        line(format_args!("{}", rect(node, "#fff", "#333")));
        let x = node.x + node.width / 2.0;
        let (y, below) = (node.y + 18.0, node.y + 33.0);
        let (label, detail) = (escape(&node.label), escape(&node.detail));
        line(format_args!(
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{label}</text>\
             <text x=\"{x}\" y=\"{below}\" text-anchor=\"middle\" fill=\"#666\">{detail}</text>"
        ));
    }
    out + "</svg>\n"
}

fn rect(tile: &Tile, fill: &str, stroke: &str) -> String {
    let Tile { x, y, width, height, .. } = tile;
    let dash = if tile.clean_up { " stroke-dasharray=\"4 3\"" } else { "" };
    format!(
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"{fill}\" stroke=\"{stroke}\"{dash}/>"
    )
}

/// A text as it may stand in XML; what XML can't hold at all is replaced.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::graph::tests::graph;

    #[test]
    fn names_can_not_break_the_drawing() {
        let graph = graph("v cells\n v[</text><script>&\u{1}] sleep\n after sleep needs=v");
        let drawn = svg(&graph.layout().unwrap());
        assert!(drawn.contains("v[&lt;/text&gt;&lt;script&gt;&amp;\u{fffd}]"), "{drawn}");
        assert!(!drawn.contains("<script"));
        assert_eq!(drawn.matches("<path d=\"M").count(), 2);
    }
}
