//! Versions of objects (`metadata.resourceVersion`).

/// Whether one version of a kind is the other or a newer one. Kubernetes' own API server gives
/// decimal numbers that rise, and says so since 1.35 ("resource version comparison"); anything
/// else can only be the same or another.
pub(crate) fn reaches(have: &str, want: &str) -> bool {
    let number = |text: &str| {
        !text.is_empty() && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit())
    };
    have == want || (number(have) && number(want) && (have.len(), have) >= (want.len(), want))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_versions_as_kubernetes_says() {
        for (have, want, reached) in [
            ("10", "9", true),
            ("9", "10", false),
            ("340282366920938463463374607431768211456", "9", true),
            ("abc", "abc", true),
            ("abc", "abb", false),
            ("", "1", false),
            ("010", "9", false),
        ] {
            assert_eq!(reaches(have, want), reached, "{have} {want}");
        }
    }
}
