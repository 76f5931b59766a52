//! A text of YAML as documents.

/// One document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk<'a> {
    /// The line that it begins in, from 1.
    pub(super) line: usize,
    pub(super) text: &'a str,
}

/// Splits at the marks between documents: `---` at the beginning of a line, which no scalar of a
/// Kubernetes object has.
pub(super) fn split(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let (mut begin, mut begin_line) = (0, 1);
    let mut at = 0;
    let mut push = |from: usize, to: usize, line: usize| {
        if let Some(text) = text.get(from..to) {
            chunks.push(Chunk { line, text });
        }
    };
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let body = line.trim_end_matches(['\n', '\r']);
        let is_mark = body
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        let is_end = body.trim_end() == "...";
        if is_mark || is_end {
            push(begin, at, begin_line);
            begin = at + if is_mark { "---".len() } else { line.len() };
            begin_line = index + if is_mark { 1 } else { 2 };
        }
        at += line.len();
    }
    push(begin, text.len(), begin_line);
    // Nothing stands before the first mark, most times.
    chunks.retain(|chunk| !chunk.text.trim().is_empty());
    chunks
}

// === impl Chunk ===

impl Chunk<'_> {
    /// Whether it holds comments and directives at most.
    pub(super) fn is_empty(&self) -> bool {
        self.text.lines().all(|line| {
            let line = line.trim_start();
            line.is_empty() || line.starts_with('#') || line.starts_with('%')
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_marks_only() {
        let text =
            "# first\n---\na: |\n  ---\n  x\n--- # next\nb: 1\n...\n---\n\n---\nc: ----\n---x: 1\n";
        let chunks = split(text);
        let got: Vec<_> = chunks
            .iter()
            .map(|chunk| (chunk.line, chunk.text))
            .collect();
        assert_eq!(
            got,
            [
                (1, "# first\n"),
                (2, "\na: |\n  ---\n  x\n"),
                (6, " # next\nb: 1\n"),
                (11, "\nc: ----\n---x: 1\n"),
            ]
        );
        assert!(chunks[0].is_empty() && !chunks[1].is_empty());
        assert_eq!(split("a: 1").len(), 1);
        assert_eq!(split(""), []);
    }
}
