//! ProxyConfig (Istio: networking/v1beta1/proxy_config.proto).

use mesh_api::v1::Severity;

use super::metadata::match_labels;
use crate::model::{Meta, ProxyConfigObject};
use crate::yaml::{Fields, Labels, Report, Value};

/// Characters that a variable may have (Istio: the kind's definition).
const LONGEST_VARIABLE: usize = 2048;

/// One without a spec: it says nothing, but takes its level's place.
pub(super) fn empty(meta: Meta) -> ProxyConfigObject {
    ProxyConfigObject {
        meta,
        selector: None,
        concurrency: None,
        environment: Labels::new(),
    }
}

/// Reads the spec (Istio: ValidateProxyConfig).
pub(super) fn read(meta: Meta, spec: &mut Fields<'_>, r: &mut Report) -> ProxyConfigObject {
    let selects = spec.get("selector").is_some();
    let selector = selects.then(|| match_labels(spec, r));
    image(spec, r);
    ProxyConfigObject {
        meta,
        selector,
        concurrency: concurrency(spec, r),
        environment: environment(spec, r),
    }
}

/// An `Int32Value` from 0.
fn concurrency(spec: &mut Fields<'_>, r: &mut Report) -> Option<u32> {
    let node = spec.get("concurrency")?;
    let number = match node.value {
        Value::Int(number) => i32::try_from(number).ok(),
        _ => None,
    };
    let threads = number.and_then(|number| u32::try_from(number).ok());
    if threads.is_none() {
        let text = format!(
            "{}: it must be a whole number, greater than or equal to 0, found {}",
            spec.path("concurrency"),
            node.kind()
        );
        r.error(node.place, text);
    }
    threads
}

fn environment(spec: &mut Fields<'_>, r: &mut Report) -> Labels {
    const NAME: &str = "environmentVariables";
    let path = spec.path(NAME);
    let mut variables = Labels::new();
    for (name, node) in spec.entries(NAME, r) {
        let name = name.text;
        match node.text() {
            Some(text) if text.chars().count() <= LONGEST_VARIABLE => {
                variables.insert(name, text.to_owned());
            }
            Some(_) => r.error(
                node.place,
                format!("{path}.{name}: it may have {LONGEST_VARIABLE} characters at most"),
            ),
            None => r.error(
                node.place,
                format!(
                    "{path}.{name}: expected a string, found {}; put it in quotes",
                    node.kind()
                ),
            ),
        }
    }
    variables
}

/// There is one image of the proxy, and it is the default one.
fn image(spec: &mut Fields<'_>, r: &mut Report) {
    let Some(mut image) = spec.child("image", r) else {
        return;
    };
    if let Some(word) = image.word("imageType", r)
        && !matches!(word.text.as_str(), "" | "default")
    {
        let text = format!(
            "{}: `{}` has no effect: there is one image of the proxy",
            image.path("imageType"),
            word.text
        );
        r.push(Severity::Warning, word.place, text, "unsupported");
    }
    image.close(r);
}
