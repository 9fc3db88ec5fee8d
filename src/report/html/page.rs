use ring::digest::{SHA256, digest};

use super::markup::Markup;
use super::{banner, checks, environment, failures, footer, graph, lanes, mark, steps, timeline};
use crate::view::RunView;

/// The page's only style sheet.
const CSS: &str = include_str!("page.css");

/// The run as one HTML file.
///
/// The same events give the same bytes: it asks no clock, draws no lots and reads
/// no file.
pub fn html(view: &RunView) -> String {
    let mut page = Markup::default();
    page.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n");
    page.void("meta", &[("http-equiv", &"Content-Security-Policy"), ("content", &policy())]);
    page.raw("\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n");
    page.raw("<meta name=\"color-scheme\" content=\"light dark\"/>\n");
    page.raw("<meta name=\"referrer\" content=\"no-referrer\"/>\n");
    let title = format!("{}: {}", banner::verdict(view), view.start.plan);
    page.element("title", &[], &title);
    page.raw("\n<style>").raw(CSS).raw("</style>\n</head>\n<body>\n");
    page.raw("<a class=\"jump\" href=\"#failures\">Jump to what failed</a>\n");
    page.raw(mark::SYMBOLS).raw("\n");
    banner::write(&mut page, view);
    page.raw("<main>\n");
    failures::write(&mut page, view);
    checks::write(&mut page, view);
    lanes::write(&mut page, view);
    graph::write(&mut page, view);
    timeline::write(&mut page, view);
    steps::write(&mut page, view);
    environment::write(&mut page, view);
    page.raw("</main>\n");
    footer::write(&mut page, view);
    page.raw("</body>\n</html>\n");
    page.into_string()
}

/// Nothing may be loaded or run; the one style sheet is named by its digest.
fn policy() -> String {
    let digest = base64(digest(&SHA256, CSS.as_bytes()).as_ref());
    format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut bits = 0_u32;
        for n in 0..3 {
            bits = bits << 8 | u32::from(chunk.get(n).copied().unwrap_or(0));
        }
        for n in 0..4 {
            let digit = (bits >> (18 - 6 * n)) & 63;
            out.push(if n <= chunk.len() { char::from(DIGITS[digit as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_as_the_standard_has_it() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(super::base64(bytes.as_bytes()), text);
        }
    }
}
