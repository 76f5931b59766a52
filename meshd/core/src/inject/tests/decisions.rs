//! Who gets a proxy.

use std::collections::BTreeMap;

use super::*;

fn labels(pairs: &[(&str, &str)]) -> Value {
    let pairs = pairs.iter();
    Value::Object(
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).into()))
            .collect(),
    )
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn sidecar() -> Decision {
    Decision::Inject(vec!["sidecar".to_owned()])
}

const INJECT: &str = "sidecar.istio.io/inject";
const REV: &str = "istio.io/rev";
const NS: &str = "istio-injection";

type Labels<'a> = &'a [(&'a str, &'a str)];

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn trap_74_follows_istio_s_precedence() {
    use SkipReason::{NamespaceDisabled, NotSelected, OtherRevision, PodDisabled};
    let other = |revision: &str| Decision::Skip(OtherRevision(revision.to_owned()));
    let skip = Decision::Skip;
    // Labels of the namespace, labels and annotations of the pod, whether this is the default.
    let cases: &[(Labels, Labels, Labels, bool, Decision)] = &[
        (&[], &[], &[], true, skip(NotSelected)),
        (&[(NS, "enabled")], &[], &[], true, sidecar()),
        (&[(NS, "enabled")], &[], &[], false, other("default")),
        (
            &[(NS, "disabled")],
            &[(INJECT, "true")],
            &[],
            true,
            skip(NamespaceDisabled),
        ),
        (
            &[(NS, "disabled"), (REV, "mesh")],
            &[(INJECT, "true")],
            &[],
            true,
            skip(NamespaceDisabled),
        ),
        // The old label beats the revision.
        (
            &[(NS, "enabled"), (REV, "other")],
            &[],
            &[],
            true,
            sidecar(),
        ),
        (
            &[(NS, "enabled"), (REV, "mesh")],
            &[],
            &[],
            false,
            other("default"),
        ),
        (&[(REV, "mesh")], &[], &[], false, sidecar()),
        (&[(REV, "canary")], &[], &[], false, sidecar()),
        (&[(REV, "other")], &[], &[], true, other("other")),
        (&[(REV, "default")], &[], &[], true, sidecar()),
        (&[(REV, "default")], &[], &[], false, other("default")),
        // The namespace's revision beats the pod's.
        (
            &[(REV, "other")],
            &[(REV, "mesh"), (INJECT, "true")],
            &[],
            true,
            other("other"),
        ),
        (&[(REV, "mesh")], &[(REV, "other")], &[], true, sidecar()),
        (&[], &[(REV, "mesh")], &[], false, sidecar()),
        (
            &[],
            &[(REV, "mesh"), (INJECT, "true")],
            &[],
            false,
            sidecar(),
        ),
        (
            &[],
            &[(REV, "other"), (INJECT, "true")],
            &[],
            true,
            other("other"),
        ),
        (&[], &[(INJECT, "true")], &[], true, sidecar()),
        (&[], &[(INJECT, "true")], &[], false, other("default")),
        (&[], &[(INJECT, "yes")], &[], true, skip(NotSelected)),
        // An annotation does not select.
        (&[], &[], &[(INJECT, "true")], true, skip(NotSelected)),
        (
            &[(NS, "enabled")],
            &[(INJECT, "false")],
            &[],
            true,
            skip(PodDisabled),
        ),
        (
            &[(REV, "mesh")],
            &[(REV, "mesh"), (INJECT, "false")],
            &[],
            true,
            skip(PodDisabled),
        ),
        (
            &[(NS, "enabled")],
            &[],
            &[(INJECT, "false")],
            true,
            skip(PodDisabled),
        ),
        (
            &[(NS, "enabled")],
            &[(INJECT, "true")],
            &[(INJECT, "false")],
            true,
            sidecar(),
        ),
        (
            &[(NS, "enabled")],
            &[(INJECT, "false")],
            &[(INJECT, "true")],
            true,
            skip(PodDisabled),
        ),
        (
            &[(NS, "enabled")],
            &[(INJECT, "maybe")],
            &[(INJECT, "false")],
            true,
            sidecar(),
        ),
    ];
    for (namespace, pod_labels, annotations, default, want) in cases {
        let settings = InjectSettings {
            default_revision: *default,
            tags: vec!["canary".to_owned()],
            ..settings()
        };
        let pod = pod(labels(pod_labels), labels(annotations));
        let got = decide(&pod, "shop", &map(namespace), &settings);
        assert_eq!(
            got, *want,
            "namespace {namespace:?} pod {pod_labels:?} {annotations:?} default {default}"
        );
    }
}

/// The selectors of the webhook configurations (Istio's `mutatingwebhook.yaml`): for each entry
/// what the namespace's and the pod's labels must be.
fn webhooks(revision: &str, is_default: bool) -> Vec<(LabelSelector, LabelSelector)> {
    let selector = |text: &str| -> LabelSelector { serde_saphyr::from_str(text).unwrap() };
    let not_false =
        "matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ['false']}]";
    let mut all = vec![
        (
            selector(&format!(
                "matchExpressions: [{{key: istio.io/rev, operator: In, values: [{revision}]}}, {{key: istio-injection, operator: DoesNotExist}}]"
            )),
            selector(not_false),
        ),
        (
            selector(
                "matchExpressions: [{key: istio.io/rev, operator: DoesNotExist}, {key: istio-injection, operator: DoesNotExist}]",
            ),
            selector(&format!(
                "matchExpressions: [{{key: sidecar.istio.io/inject, operator: NotIn, values: ['false']}}, {{key: istio.io/rev, operator: In, values: [{revision}]}}]"
            )),
        ),
    ];
    if is_default {
        all.extend(webhooks("default", false));
        all.push((
            selector("matchExpressions: [{key: istio-injection, operator: In, values: [enabled]}]"),
            selector(not_false),
        ));
        all.push((
            selector("matchExpressions: [{key: istio-injection, operator: DoesNotExist}, {key: istio.io/rev, operator: DoesNotExist}]"),
            selector("matchExpressions: [{key: sidecar.istio.io/inject, operator: In, values: ['true']}, {key: istio.io/rev, operator: DoesNotExist}]"),
        ));
    }
    all
}

#[test]
fn agrees_with_the_selectors_of_the_webhooks() {
    let choices = |key: &'static str, values: &'static [&'static str]| {
        std::iter::once(None).chain(values.iter().map(move |value| Some((key, *value))))
    };
    let mut seen = 0;
    for is_default in [true, false] {
        let settings = InjectSettings {
            default_revision: is_default,
            ..settings()
        };
        let hooks = webhooks("mesh", is_default);
        for ns in choices(NS, &["enabled", "disabled"]) {
            for rev in choices(REV, &["mesh", "default", "other"]) {
                for pod_rev in choices(REV, &["mesh", "default", "other"]) {
                    for asked in choices(INJECT, &["true", "false", "x"]) {
                        let namespace: Vec<_> = [ns, rev].into_iter().flatten().collect();
                        let pod_labels: Vec<_> = [pod_rev, asked].into_iter().flatten().collect();
                        let find = |list: &[(&'static str, &'static str)], key: &str| {
                            let found = list.iter().find(|(known, _)| *known == key);
                            found.map(|(_, value)| *value)
                        };
                        let chosen = hooks.iter().any(|(of_namespace, of_pod)| {
                            of_namespace.matches(|key| find(&namespace, key))
                                && of_pod.matches(|key| find(&pod_labels, key))
                        });
                        let pod = pod(labels(&pod_labels), json!({}));
                        let decided = decide(&pod, "shop", &map(&namespace), &settings);
                        assert_eq!(
                            matches!(decided, Decision::Inject(_)),
                            chosen,
                            "{namespace:?} {pod_labels:?} default {is_default}: {decided:?}"
                        );
                        seen += 1;
                    }
                }
            }
        }
    }
    assert_eq!(seen, 2 * 3 * 4 * 4 * 4);
}

#[test]
fn never_where_it_would_break() {
    let enabled = map(&[(NS, "enabled")]);
    let decided = |pod: &Value, namespace: &str| decide(pod, namespace, &enabled, &settings());
    let mut host = pod(json!({(INJECT): "true"}), json!({}));
    host["spec"]["hostNetwork"] = true.into();
    assert_eq!(
        decided(&host, "shop"),
        Decision::Skip(SkipReason::HostNetwork)
    );
    let plain = pod(json!({}), json!({}));
    for namespace in ["kube-system", "kube-public", "kube-node-lease"] {
        let want = Decision::Skip(SkipReason::IgnoredNamespace);
        assert_eq!(decided(&plain, namespace), want);
    }
}

#[test]
fn selectors_of_the_installation() {
    let app = |name: &str| LabelSelector {
        match_labels: map(&[("app", name)]),
        ..LabelSelector::default()
    };
    let enabled = map(&[(NS, "enabled")]);
    let settings = InjectSettings {
        never_inject_selector: vec![LabelSelector::default(), app("db")],
        always_inject_selector: vec![app("web"), app("db")],
        auto_inject: false,
        ..settings()
    };
    let decided = |name: &str, annotations: Value| {
        decide(
            &pod(json!({"app": name}), annotations),
            "shop",
            &enabled,
            &settings,
        )
    };
    assert_eq!(decided("web", json!({})), sidecar());
    assert_eq!(
        decided("db", json!({})),
        Decision::Skip(SkipReason::NeverSelector)
    );
    assert_eq!(decided("db", json!({(INJECT): "true"})), sidecar());
    assert_eq!(
        decided("other", json!({})),
        Decision::Skip(SkipReason::NotSelected)
    );
}

#[test]
fn a_copied_status_is_no_proxy() {
    let status = r#"{"initContainers":["istio-init","istio-proxy"],"containers":null}"#;
    let copied = pod(json!({}), json!({(STATUS_ANNOTATION): status}));
    assert_eq!(decide_selected(&copied, "shop", &settings()), sidecar());
    let garbage = pod(json!({}), json!({(STATUS_ANNOTATION): "injected"}));
    assert_eq!(decide_selected(&garbage, "shop", &settings()), sidecar());
    let mut real = copied;
    real["spec"]["initContainers"] = json!([{"name": "istio-init"}, {"name": "istio-proxy"}]);
    let want = Decision::Skip(SkipReason::AlreadyInjected);
    assert_eq!(decide_selected(&real, "shop", &settings()), want);
}
