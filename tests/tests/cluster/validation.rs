//! Configuration that cannot be used is refused when it is applied, in the same words that
//! `meshctl analyze` has for it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, ensure};
use meshctl::cluster::documents;

use crate::place::{self, Place};

const CASES: [(&str, &str); 3] = [
    (
        "spec.http[0].timeout",
        "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: broken, namespace: NAMESPACE}
spec:
  hosts: [reviews]
  http:
    - timeout: soon
      route: [{destination: {host: reviews}}]
",
    ),
    (
        "spec.http[0].route",
        "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: broken, namespace: NAMESPACE}
spec:
  hosts: [reviews]
  http:
    - route:
        - {destination: {host: reviews, subset: v1}, weight: -1}
        - {destination: {host: reviews, subset: v2}, weight: 30}
",
    ),
    (
        "ipBlocks",
        "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: broken, namespace: NAMESPACE}
spec:
  action: DENY
  rules:
    - from: [{source: {ipBlocks: [not-an-address]}}]
",
    ),
];

#[test]
fn a_refusal_says_what_analyze_says() -> anyhow::Result<()> {
    place::run("validation", validation)
}

async fn validation(place: &Place) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    for (field, text) in CASES {
        let text = text.trim_start().replace("NAMESPACE", &place.namespace);
        let object = documents(&text)?;
        let object = object.first().context("one document")?;
        let refusal = match place.cluster.apply(object, false).await {
            Ok(()) => anyhow::bail!("the API server has taken this:\n{text}"),
            Err(error) => format!("{error:#}"),
        };
        let file = directory.path().join("broken.yaml");
        fs::write(&file, &text)?;
        let mut command = place.meshctl();
        command.arg("analyze").arg(&file);
        let (passed, printed) = place.run(command, Duration::from_secs(30)).await?;
        ensure!(
            !passed,
            "meshctl analyze finds nothing wrong with\n{text}\n{printed}"
        );
        // FILE:LINE:COLUMN: error: MESSAGE
        let messages = printed
            .lines()
            .filter_map(|line| line.split_once(": error: "))
            .map(|(_, message)| message.trim())
            .collect::<Vec<_>>();
        ensure!(
            !messages.is_empty(),
            "meshctl analyze prints no error:\n{printed}"
        );
        for message in &messages {
            ensure!(message.contains(field), "`{message}` does not name {field}");
            ensure!(
                refusal.contains(message),
                "different words\nAPI server: {refusal}\nanalyze: {message}"
            );
        }
        println!("validation: refused with {}", messages.join("; "));
    }
    Ok(())
}
