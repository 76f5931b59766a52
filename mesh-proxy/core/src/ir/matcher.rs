//! Compiled string matchers.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

/// Compares a string (Istio: StringMatch).
#[derive(Clone, Debug)]
pub enum StringMatch {
    /// Equal.
    Exact(Box<str>),
    /// Starts with these bytes.
    Prefix(Box<str>),
    /// The whole string matches the expression.
    Regex(FullRegex),
    /// Is there, whatever its value.
    Present,
}

/// A regular expression that must match from start to end (RE2's `FullMatch`, as Envoy's safe
/// regex does).
#[derive(Clone)]
pub struct FullRegex {
    full: Regex,
    pattern: Box<str>,
}

/// Why an expression cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is no usable regular expression: {why}")]
pub struct BadRegex {
    pattern: String,
    why: String,
}

/// Bound on the size of one compiled expression, in bytes: a configuration must not be able to
/// take a proxy's memory.
const SIZE_LIMIT: usize = 1 << 20;

// === impl StringMatch ===

impl StringMatch {
    /// Whether the value matches.
    pub fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(text) => text.as_bytes() == value,
            Self::Prefix(text) => value.starts_with(text.as_bytes()),
            Self::Regex(regex) => regex.is_match(value),
            Self::Present => true,
        }
    }

    /// Whether the value matches without regard to ASCII case. Expressions stay as they are:
    /// Istio's `ignoreUriCase` is for exact and prefix only.
    pub fn matches_ignoring_case(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(text) => text.as_bytes().eq_ignore_ascii_case(value),
            Self::Prefix(text) => value
                .get(..text.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(text.as_bytes())),
            Self::Regex(_) | Self::Present => self.matches(value),
        }
    }
}

impl fmt::Display for StringMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => write!(f, "exact `{text}`"),
            Self::Prefix(text) => write!(f, "prefix `{text}`"),
            Self::Regex(regex) => write!(f, "regex `{}`", regex.pattern()),
            Self::Present => f.write_str("present"),
        }
    }
}

// === impl FullRegex ===

impl FullRegex {
    /// Compiles an expression.
    ///
    /// Character classes are ASCII and `.` is a byte, as in RE2 over header bytes; an expression
    /// that needs Unicode (a class with letters beyond ASCII) gets it.
    ///
    /// # Errors
    /// If the syntax is bad, or the compiled form is larger than 1 MiB.
    pub fn new(pattern: &str) -> Result<Self, BadRegex> {
        // Compiled alone first: `a)|(b` is no expression, but would become one between the
        // parentheses of the anchored form, and would not be anchored there.
        compile(pattern)?;
        let full = compile(&format!("^(?:{pattern})$"))?;
        Ok(Self {
            full,
            pattern: pattern.into(),
        })
    }

    /// Whether the whole value matches.
    pub fn is_match(&self, value: &[u8]) -> bool {
        self.full.is_match(value)
    }

    /// The expression as written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }
}

impl fmt::Debug for FullRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FullRegex").field(&self.pattern()).finish()
    }
}

pub(super) fn compile(pattern: &str) -> Result<Regex, BadRegex> {
    let build = |unicode| {
        RegexBuilder::new(pattern)
            .unicode(unicode)
            .size_limit(SIZE_LIMIT)
            .nest_limit(64)
            .build()
    };
    build(false)
        .or_else(|_| build(true))
        .map_err(|error| BadRegex {
            pattern: pattern.chars().take(128).collect(),
            why: error
                .to_string()
                .lines()
                .last()
                .unwrap_or_default()
                .trim()
                .to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regex_is_a_full_match() {
        for (pattern, text, want) in [
            ("a|b", "a", true),
            ("a|b", "ab", false),
            ("a|bc", "xbc", false),
            ("/v[0-9]+/.*", "/v1/x", true),
            ("/v[0-9]+/.*", "/x/v1/", false),
            (".*", "", true),
            ("(?i)curl.*", "CURL/8", true),
            ("é+", "éé", true),
            ("[é]", "é", true),
        ] {
            assert_eq!(
                FullRegex::new(pattern).unwrap().is_match(text.as_bytes()),
                want,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn regex_cannot_escape_its_anchors_nor_grow_without_bound() {
        for pattern in [
            "a)|(b",
            "(",
            "a{1000}{1000}",
            "((((a{99}){99}){99}){99})",
            "[",
            "*",
        ] {
            assert!(FullRegex::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn trap_09_prefix_is_bytes_and_empty_is_not_exact() {
        assert!(StringMatch::Prefix("/foo".into()).matches(b"/foobar"));
        assert!(StringMatch::Present.matches(b""));
        assert!(!StringMatch::Exact("".into()).matches(b"x"));
        assert!(StringMatch::Prefix("/Foo".into()).matches_ignoring_case(b"/fOObar"));
        assert!(!StringMatch::Prefix("/Foo".into()).matches_ignoring_case(b"/fo"));
        assert!(StringMatch::Exact("/Foo".into()).matches_ignoring_case(b"/FOO"));
    }
}
