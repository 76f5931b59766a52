//! Answers that a real API server gives only now and then.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Request, Response};
use kube::client::Body as ClientBody;
use tower::service_fn;

use super::*;
use crate::kubernetes::KubernetesSettings;

/// What is asked, by parts of its address, and the answer.
type Script = Vec<(&'static [&'static str], u16, &'static str)>;

const GONE: &str = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"too old","reason":"Expired","code":410}"#;
const REFUSED: &str = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"pods is forbidden","reason":"Forbidden","code":403}"#;

fn client(script: Script) -> Client {
    let script = Arc::new(Mutex::new(VecDeque::from(script)));
    let service = service_fn(move |request: Request<ClientBody>| {
        let step = script.lock().unwrap().pop_front();
        async move {
            let Some((parts, code, body)) = step else {
                // The end: silence.
                return std::future::pending().await;
            };
            let address = request.uri().to_string();
            for part in parts {
                assert!(address.contains(part), "{address}: {part}");
            }
            assert!(parts.contains(&"continue") || !address.contains("continue"));
            let response = Response::builder().status(code).body(Body::from(body));
            Ok::<_, Infallible>(response.unwrap())
        }
    });
    Client::new(service, "default")
}

/// What a watch of pods tells, in short.
async fn told(script: Script, count: usize) -> Vec<String> {
    let all = Watched::all(&KubernetesSettings::default());
    let pods = all.into_iter().find(|watched| watched.kind.kind == "Pod");
    let (sender, mut events) = mpsc::channel(1);
    let (_served, served) = watch::channel(Served::default());
    let watch = Watch::new(0, pods.unwrap(), client(script), served, sender);
    let running = tokio::spawn(watch.run());
    let mut told = Vec::new();
    while told.len() < count {
        let next = timeout(Duration::from_secs(30), events.recv()).await;
        let (_, event) = next.expect("an event in time").unwrap();
        let name = |Received(object): &Received| {
            assert_eq!(object["kind"], "Pod");
            assert_eq!(object["apiVersion"], "v1");
            object["metadata"]["name"].as_str().unwrap().to_owned()
        };
        told.push(match event {
            Event::Listing => "listing".to_owned(),
            Event::Listed(objects) => objects.iter().map(name).collect::<Vec<_>>().join(" "),
            Event::Complete(version) => format!("complete {version}"),
            Event::Following => "following".to_owned(),
            Event::Changed(object) => format!("changed {}", name(&object)),
            Event::Gone(object) => format!("gone {}", name(&object)),
            Event::Passed(version) => format!("passed {version}"),
            Event::Unserved => "unserved".to_owned(),
            Event::Failing(failure) => {
                format!("failing {} {}", failure.forbidden, failure.reason)
            }
        });
    }
    running.abort();
    told
}

#[tokio::test]
async fn lists_in_pages_and_begins_anew_when_its_place_is_lost() {
    let script: Script = vec![
        (
            &["/api/v1/pods?", "limit=250"],
            200,
            r#"{"metadata":{"continue":"c1"},"items":[{"metadata":{"name":"a"}}]}"#,
        ),
        (&["continue", "continue=c1"], 410, GONE),
        (
            &["limit=250"],
            200,
            r#"{"metadata":{"continue":"c2"},"items":[{"metadata":{"name":"a"}}]}"#,
        ),
        (
            &["continue", "continue=c2"],
            200,
            r#"{"metadata":{"resourceVersion":"10"},"items":[{"metadata":{"name":"b"}}]}"#,
        ),
        (
            &[
                "watch=true",
                "resourceVersion=10",
                "allowWatchBookmarks=true",
            ],
            200,
            concat!(
                r#"{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1","metadata":{"name":"c","resourceVersion":"11"}}}"#,
                "\n",
                r#"{"type":"DELETED","object":{"kind":"Pod","apiVersion":"v1","metadata":{"name":"b","resourceVersion":"12"}}}"#,
                "\n",
                r#"{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"15"}}}"#,
                "\n",
            ),
        ),
        (
            &["watch=true", "resourceVersion=15"],
            200,
            concat!(
                r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","message":"too old","reason":"Expired","code":410}}"#,
                "\n"
            ),
        ),
        (
            &["limit=250"],
            200,
            r#"{"metadata":{"resourceVersion":"20"},"items":null}"#,
        ),
    ];
    let told = told(script, 13).await;
    assert_eq!(
        told,
        [
            "listing",
            "a", // and then its place in the list is lost
            "listing",
            "a",
            "b",
            "complete 10", // and what is there is followed
            "following",
            "changed c",
            "gone b",
            "passed 15", // until the server hangs up
            "following", // and has forgotten that version
            "listing",
            "complete 20",
        ]
    );
}

#[tokio::test]
async fn tries_again_when_it_is_refused() {
    let script: Script = vec![
        (&["limit=250"], 403, REFUSED),
        (&["limit=250"], 500, "{}"),
        (
            &["limit=250"],
            200,
            r#"{"metadata":{"resourceVersion":"7"},"items":[]}"#,
        ),
    ];
    let told = told(script, 6).await;
    assert_eq!(told[..2], ["listing", "failing true pods is forbidden"]);
    assert!(told[3].starts_with("failing false"), "{told:?}");
    assert_eq!(told[4..], ["listing", "complete 7"]);
}
