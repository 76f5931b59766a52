//! Patterns of policies: exact, `prefix*`, `*suffix`, `*`, and path templates.

use mesh_api::SpiffeId;

use crate::ir::Mesh;

/// A string pattern (Istio: authorization matchers).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Equal.
    Exact(Box<str>),
    /// `text*`
    Prefix(Box<str>),
    /// `*text`
    Suffix(Box<str>),
    /// `*`: is there and not empty.
    Present,
}

/// A pattern over a principal, `<trust-domain>/ns/<namespace>/sa/<account>`. A pattern whose
/// trust domain is the mesh's own, an alias of it, or `cluster.local` stands for all of the
/// mesh's own names (Istio: trustDomainAliases).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalPattern {
    whole: Pattern,
    // The trust domain and the rest, if the pattern has all parts.
    parts: Option<(Pattern, Pattern)>,
}

/// A namespace with `*` anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespacePattern {
    pieces: Vec<Box<str>>,
}

/// A path pattern or a path template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    /// exact, prefix, suffix or present.
    Plain(Pattern),
    /// Segments, `{*}` for one and `{**}` for any number.
    Template(Template),
}

/// A path with placeholders (Istio: `{*}` is one segment, `{**}` any number and the last
/// placeholder).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    head: Vec<Segment>,
    // What must stand at the end, if there is a `{**}` between.
    tail: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    One,
}

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no path template: a segment is literal, {{*}}, or once, after all {{*}}, {{**}}")]
pub struct BadTemplate(String);

// === impl Pattern ===

impl Pattern {
    /// Reads a pattern: a star at the end, at the begin, or alone.
    pub fn new(text: &str) -> Self {
        if text == "*" {
            Self::Present
        } else if let Some(suffix) = text.strip_prefix('*') {
            Self::Suffix(suffix.into())
        } else if let Some(prefix) = text.strip_suffix('*') {
            Self::Prefix(prefix.into())
        } else {
            Self::Exact(text.into())
        }
    }

    /// Whether the value matches.
    pub fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(text) => text.as_bytes() == value,
            Self::Prefix(text) => value.starts_with(text.as_bytes()),
            Self::Suffix(text) => value.ends_with(text.as_bytes()),
            Self::Present => !value.is_empty(),
        }
    }

    /// Whether the value matches without regard to ASCII case.
    pub fn matches_ignoring_case(&self, value: &str) -> bool {
        let value = value.as_bytes();
        match self {
            Self::Exact(text) => text.as_bytes().eq_ignore_ascii_case(value),
            Self::Prefix(text) => value
                .get(..text.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(text.as_bytes())),
            Self::Suffix(text) => {
                let start = value.len().checked_sub(text.len());
                let tail = start.and_then(|start| value.get(start..));
                tail.is_some_and(|tail| tail.eq_ignore_ascii_case(text.as_bytes()))
            }
            Self::Present => !value.is_empty(),
        }
    }

    /// Whether a Host matches: as sent, or without its port (Istio: HostMatcher, hardened: a
    /// client cannot get around a policy by naming the port).
    pub fn matches_host(&self, host: &str) -> bool {
        let bare = crate::filter::without_port(host);
        // The root's dot makes a name no other one (RFC 1034 section 3.1).
        let name = bare.strip_suffix('.').unwrap_or(bare);
        self.matches_ignoring_case(host)
            || bare.len() < host.len() && self.matches_ignoring_case(bare)
            || name.len() < bare.len() && self.matches_ignoring_case(name)
    }
}

// === impl PrincipalPattern ===

impl PrincipalPattern {
    /// Reads a pattern.
    pub fn new(text: &str) -> Self {
        let full_form = text.split('/').count() == 5;
        let parts = text
            .split_once('/')
            .filter(|(domain, _)| full_form && *domain != "*");
        Self {
            whole: Pattern::new(text),
            parts: parts.map(|(domain, rest)| (Pattern::new(domain), Pattern::new(rest))),
        }
    }

    /// `ns/<namespace>/sa/<account>` of the one principal that it stands for, in whatever trust
    /// domain.
    pub(super) fn exact(&self) -> Option<&str> {
        match (&self.whole, &self.parts) {
            (Pattern::Exact(_), Some((_, Pattern::Exact(rest)))) => Some(rest),
            _ => None,
        }
    }

    /// How every principal ends that matches, in whatever trust domain.
    pub(super) fn ending(&self) -> Option<&str> {
        let pattern = match &self.parts {
            Some((_, rest)) => rest,
            None => &self.whole,
        };
        match pattern {
            Pattern::Exact(text) | Pattern::Suffix(text) => Some(text),
            Pattern::Prefix(_) | Pattern::Present => None,
        }
    }

    /// The namespace of every principal that matches, if the pattern begins with it.
    pub(super) fn namespace(&self) -> Option<&str> {
        let Pattern::Prefix(text) = &self.whole else {
            return None;
        };
        let mut pieces = text.split('/');
        let (_, ns, namespace) = (pieces.next()?, pieces.next()?, pieces.next()?);
        // The slash behind it says that it is whole.
        pieces.next()?;
        (ns == "ns").then_some(namespace)
    }

    /// Whether the identity matches.
    pub fn matches(&self, identity: &SpiffeId, mesh: &Mesh) -> bool {
        let domain = identity.trust_domain();
        match &self.parts {
            Some((pattern, rest)) if is_own(pattern, mesh) => {
                let tail = identity
                    .principal()
                    .get(domain.len() + 1..)
                    .unwrap_or_default();
                let own = mesh.is_own_domain(domain) && rest.matches(tail.as_bytes());
                own || !matches!(pattern, Pattern::Exact(_)) && self.matches_whole(identity)
            }
            _ => self.matches_whole(identity),
        }
    }

    fn matches_whole(&self, identity: &SpiffeId) -> bool {
        self.whole.matches(identity.principal().as_bytes())
    }
}

fn is_own(pattern: &Pattern, mesh: &Mesh) -> bool {
    pattern.matches(b"cluster.local")
        || mesh
            .domains()
            .any(|domain| pattern.matches(domain.as_bytes()))
}

// === impl NamespacePattern ===

impl NamespacePattern {
    /// Reads a pattern.
    pub fn new(text: &str) -> Self {
        Self {
            pieces: text.split('*').map(Into::into).collect(),
        }
    }

    /// The one namespace that it stands for.
    pub(super) fn exact(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// A pattern that every namespace matches that matches this one; none if that says nothing.
    pub(super) fn ends(&self) -> Option<Pattern> {
        match self.pieces.as_slice() {
            [only] => Some(Pattern::Exact(only.clone())),
            [first, ..] if !first.is_empty() => Some(Pattern::Prefix(first.clone())),
            [.., last] if !last.is_empty() => Some(Pattern::Suffix(last.clone())),
            _ => None,
        }
    }

    /// Whether the namespace matches.
    pub fn matches(&self, namespace: &str) -> bool {
        let Some((first, rest)) = self.pieces.split_first() else {
            return false;
        };
        let Some((last, middle)) = rest.split_last() else {
            return **first == *namespace;
        };
        let Some(mut left) = namespace.strip_prefix(&**first) else {
            return false;
        };
        for piece in middle {
            // The leftmost place is as good as any: what follows only needs room.
            let Some(at) = left.find(&**piece) else {
                return false;
            };
            left = left.get(at + piece.len()..).unwrap_or_default();
        }
        left.ends_with(&**last)
    }
}

// === impl PathPattern ===

impl PathPattern {
    /// Reads a pattern; it is a template if it has a placeholder.
    ///
    /// # Errors
    /// If a template is malformed.
    pub fn new(text: &str) -> Result<Self, BadTemplate> {
        if text.contains("{*}") || text.contains("{**}") {
            Template::new(text).map(Self::Template)
        } else {
            Ok(Self::Plain(Pattern::new(text)))
        }
    }

    /// Whether the normalised path matches.
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Plain(pattern) => pattern.matches(path.as_bytes()),
            Self::Template(template) => template.matches(path),
        }
    }
}

/// The first segment of all paths that match; none if they differ.
pub(super) fn leading_segment(pattern: &PathPattern) -> Option<&str> {
    match pattern {
        PathPattern::Plain(Pattern::Exact(path)) => {
            let rest = path.strip_prefix('/')?;
            Some(rest.split_once('/').map_or(rest, |(first, _)| first))
        }
        PathPattern::Plain(Pattern::Prefix(path)) => {
            let (first, _) = path.strip_prefix('/')?.split_once('/')?;
            Some(first)
        }
        PathPattern::Plain(Pattern::Suffix(_) | Pattern::Present) => None,
        PathPattern::Template(template) => match template.head.first()? {
            Segment::Literal(text) => Some(text),
            Segment::One => None,
        },
    }
}

// === impl Template ===

impl Template {
    fn new(text: &str) -> Result<Self, BadTemplate> {
        let bad = || BadTemplate(text.chars().take(128).collect());
        let (before, after) = match text.split_once("{**}") {
            // The placeholder stands for itself between slashes.
            Some((before, after))
                if before.ends_with('/') && (after.is_empty() || after.starts_with('/')) =>
            {
                (before.trim_end_matches('/'), Some(after))
            }
            Some(_) => return Err(bad()),
            None => (text, None),
        };
        if after.is_some_and(|after| after.contains(['{', '}', '*'])) || !text.starts_with('/') {
            return Err(bad());
        }
        let mut head = Vec::new();
        for segment in before.split('/').skip(1) {
            match segment {
                "{*}" => head.push(Segment::One),
                literal if literal.contains(['{', '}', '*']) => return Err(bad()),
                literal => head.push(Segment::Literal(literal.into())),
            }
        }
        Ok(Self {
            head,
            tail: after.map(Into::into),
        })
    }

    /// A pattern that every path matches that matches the template.
    pub(super) fn ends(&self) -> Pattern {
        if let Some(tail) = self.tail.as_ref().filter(|tail| !tail.is_empty()) {
            return Pattern::Suffix(tail.clone());
        }
        let literal = |segment: &Segment| match segment {
            Segment::Literal(text) => Some(format!("/{text}")),
            Segment::One => None,
        };
        let begin: String = self.head.iter().map_while(literal).collect();
        match self.head.last().and_then(literal) {
            _ if !begin.is_empty() => Pattern::Prefix(begin.into()),
            Some(last) if self.tail.is_none() => Pattern::Suffix(last.into()),
            _ => Pattern::Present,
        }
    }

    fn matches(&self, path: &str) -> bool {
        let mut left = path;
        for segment in &self.head {
            let Some(rest) = left.strip_prefix('/') else {
                return false;
            };
            let end = rest.find('/').unwrap_or(rest.len());
            let (this, after) = (
                rest.get(..end).unwrap_or_default(),
                rest.get(end..).unwrap_or_default(),
            );
            let matches = match segment {
                Segment::Literal(text) => **text == *this,
                Segment::One => !this.is_empty(),
            };
            if !matches {
                return false;
            }
            left = after;
        }
        match &self.tail {
            None => left.is_empty(),
            Some(tail) => left
                .strip_prefix('/')
                .is_some_and(|rest| rest.ends_with(&**tail)),
        }
    }
}
