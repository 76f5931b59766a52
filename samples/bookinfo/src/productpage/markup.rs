//! The pieces of HTML that both pages are made of.

use std::fmt;

/// The pages' style, put into each page: they load nothing else.
const STYLE: &str = include_str!("page.css");

/// Text from outside, safe between tags and in quoted attributes.
pub(super) struct Escaped<T>(pub(super) T);

/// A page around its content.
pub(super) struct Document<'a, T> {
    pub(super) title: &'a str,
    /// What stands at the right of the header.
    pub(super) aside: &'a dyn fmt::Display,
    pub(super) content: T,
    pub(super) footer: &'a dyn fmt::Display,
}

struct Escape<'a, 'b>(&'a mut fmt::Formatter<'b>);

// === impl Escaped ===

impl<T: fmt::Display> fmt::Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::write(&mut Escape(f), format_args!("{}", self.0))
    }
}

impl fmt::Write for Escape<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '&' => self.0.write_str("&amp;"),
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '"' => self.0.write_str("&quot;"),
            '\'' => self.0.write_str("&#39;"),
            c => fmt::Write::write_char(self.0, c),
        })
    }
}

// === impl Document ===

impl<T: fmt::Display> fmt::Display for Document<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            title,
            aside,
            content,
            footer,
        } = self;
        write!(
            f,
            r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{STYLE}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header class="bar">
<div class="wrap">
<a class="brand" href="/"><span class="mark" aria-hidden="true"></span>Bookinfo</a>
{aside}
</div>
</header>
<main id="content" class="wrap">
{content}
</main>
<footer class="wrap">
{footer}
</footer>
</body>
</html>
"##,
            title = Escaped(title),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping() {
        let text = Escaped(r#"<a href='x' title="y">R&D</a> ★"#).to_string();
        let safe = "&lt;a href=&#39;x&#39; title=&quot;y&quot;&gt;R&amp;D&lt;/a&gt; ★";
        assert_eq!(text, safe);
    }
}
