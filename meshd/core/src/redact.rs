//! Texts that may be kept.

use std::borrow::Cow;

use crate::yaml::{self, Node};

/// A file's text without its Secrets, for keeping it outside of the configuration: each YAML
/// document that holds one is blank, and every other line stands where it stood. What is no YAML
/// may hold anything, and is blank, too.
///
/// ```
/// let text = "kind: Service\n---\nkind: Secret\nstringData: { tls.key: a }\n";
/// assert_eq!(meshd_core::without_secrets(text), "kind: Service\n\n\n\n");
/// ```
pub fn without_secrets(text: &str) -> Cow<'_, str> {
    let mut kept = String::new();
    let mut from = 0;
    for document in yaml::parse(text) {
        let secret = match &document.roots {
            Ok(roots) => roots.iter().any(holds_secret),
            Err(_) => true,
        };
        let at = text.get(from..).and_then(|rest| rest.find(document.text));
        let Some(at) = at.map(|at| from + at) else {
            continue;
        };
        if secret {
            kept.push_str(text.get(from..at).unwrap_or_default());
            kept.extend(document.text.matches('\n'));
            from = at + document.text.len();
        } else {
            let end = at + document.text.len();
            kept.push_str(text.get(from..end).unwrap_or_default());
            from = end;
        }
    }
    kept.push_str(text.get(from..).unwrap_or_default());
    if kept == text {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(kept)
    }
}

fn holds_secret(node: &Node) -> bool {
    let kind = node.get("kind").and_then(Node::text).unwrap_or_default();
    kind == "Secret"
        || kind == "SecretList"
        || node
            .get("items")
            .is_some_and(|items| items.items().iter().any(holds_secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_documents_with_secrets_go() {
        for (text, want) in [
            ("kind: Service\n", "kind: Service\n"),
            (
                "# head\n---\nkind: Service\n--- # x\nkind: Gateway",
                "# head\n---\nkind: Service\n--- # x\nkind: Gateway",
            ),
            (
                "a: 1\n---\nkind: Secret\ndata: { a: b }\n---\nc: 2\n",
                "a: 1\n\n\n\n---\nc: 2\n",
            ),
            (
                "kind: List\nitems:\n- kind: Secret\n  data: {}\n- kind: Service\n---\nb: 1\n",
                "\n\n\n\n\n---\nb: 1\n",
            ),
            ("kind: Secret\n  : broken", "\n"),
        ] {
            assert_eq!(without_secrets(text), want);
            assert!(without_secrets(text).lines().count() <= text.lines().count());
        }
    }
}
