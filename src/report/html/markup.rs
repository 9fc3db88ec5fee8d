use std::fmt::Display;

use crate::report::clean;

/// A page in the making.
///
/// What is not text of the program itself can only come in through `text` and
/// through the values of attributes, and both are escaped: there is no way to put
/// a computed string in as markup.
#[derive(Default)]
pub(super) struct Markup(String);

/// Names and values of attributes.
pub(super) type With<'a> = &'a [(&'static str, &'a dyn Display)];

impl Markup {
    /// Markup as written in the source.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text, whatever it holds.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        escape(text, &mut self.0);
        self
    }

    /// An opening tag.
    pub(super) fn open(&mut self, tag: &'static str, with: With<'_>) -> &mut Self {
        self.begin(tag, with).raw(">")
    }

    /// An element that can't hold anything. The page is well-formed XML too, so
    /// that any parser can check it.
    pub(super) fn void(&mut self, tag: &'static str, with: With<'_>) -> &mut Self {
        self.begin(tag, with).raw("/>")
    }

    fn begin(&mut self, tag: &'static str, with: With<'_>) -> &mut Self {
        self.0.push('<');
        self.0.push_str(tag);
        for (name, value) in with {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            escape(&value.to_string(), &mut self.0);
            self.0.push('"');
        }
        self
    }

    /// A closing tag.
    pub(super) fn close(&mut self, tag: &'static str) -> &mut Self {
        self.0.push_str("</");
        self.0.push_str(tag);
        self.0.push('>');
        self
    }

    /// An element with nothing but text in it.
    pub(super) fn element(&mut self, tag: &'static str, with: With<'_>, text: &str) -> &mut Self {
        self.open(tag, with).text(text).close(tag)
    }

    /// Text in which words between backticks are code.
    pub(super) fn prose(&mut self, text: &str) -> &mut Self {
        let mut parts = text.split('`').peekable();
        let mut is_code = false;
        while let Some(part) = parts.next() {
            if is_code && parts.peek().is_some() {
                self.element("code", &[], part);
            } else if is_code {
                // A backtick without a second is no quotation.
                self.text("`").text(part);
            } else {
                self.text(part);
            }
            is_code = !is_code;
        }
        self
    }

    /// A part that was made in the same way.
    pub(super) fn part(&mut self, part: &Self) -> &mut Self {
        self.0.push_str(&part.0);
        self
    }

    /// Whether nothing was written.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The page.
    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// The one place where text becomes markup. Fit for text nodes and for quoted
/// attributes alike.
fn escape(text: &str, out: &mut String) {
    for c in clean::clean(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let mut page = Markup::default();
        page.element("p", &[("title", &"\"><script>"), ("width", &1.5)], "</p><!-- \x1b[31m&amp;");
        assert_eq!(
            page.into_string(),
            "<p title=\"&quot;&gt;&lt;script&gt;\" width=\"1.5\">&lt;/p&gt;&lt;!-- &amp;amp;</p>"
        );
    }

    #[test]
    fn backticks_make_code() {
        for (text, html) in [
            ("`a` and `<b>`", "<code>a</code> and <code>&lt;b&gt;</code>"),
            ("one ` alone", "one ` alone"),
            ("`a` then `b", "<code>a</code> then `b"),
        ] {
            let mut page = Markup::default();
            page.prose(text);
            assert_eq!(page.into_string(), html);
        }
    }
}
