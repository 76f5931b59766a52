//! The `reviews` service. Version 1 shows no stars; versions 2 and 3 ask `ratings` and show
//! black and red ones.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tracing::warn;

use crate::{
    app::{App, Head},
    forward,
    reply::{self, Reply},
    settings::Settings,
};

const REVIEWS: [(&str, &str); 2] = [
    (
        "Reviewer1",
        "Two pairs of twins, one bewildered town, and not a dull minute. The slapstick is \
         as fresh as on the first night.",
    ),
    (
        "Reviewer2",
        "Great fun from start to finish, although it does not go as deep as the plays that \
         came after it.",
    ),
];

/// The stars of one version, and how long it waits for them.
struct Stars {
    color: &'static str,
    timeout: Duration,
}

pub(crate) async fn handle(app: &App, head: &Head) -> Reply {
    match (&head.method, head.segments().as_slice()) {
        (&Method::GET, ["health"]) => {
            reply::json(StatusCode::OK, &json!({ "status": "Reviews is healthy" }))
        }
        (&Method::GET, ["reviews", id]) => match id.parse() {
            Ok(id) => reply::json(StatusCode::OK, &reviews(app, id, head).await),
            Err(_) => reply::not_found(),
        },
        (_, ["health"] | ["reviews", _]) => reply::method_not_allowed("GET"),
        _ => reply::not_found(),
    }
}

async fn reviews(app: &App, id: u64, head: &Head) -> Value {
    let stars = stars(&app.settings);
    let ratings = match &stars {
        Some(stars) => ratings(app, id, head, stars.timeout).await,
        None => None,
    };
    let reviews: Vec<Value> = REVIEWS
        .into_iter()
        .map(|(reviewer, text)| {
            let mut review = json!({ "reviewer": reviewer, "text": text });
            if let (Some(stars), Some(review)) = (&stars, review.as_object_mut()) {
                let given = ratings
                    .as_ref()
                    .and_then(|ratings| ratings.get(reviewer)?.as_i64());
                review.insert("rating".to_owned(), rating(given, stars));
            }
            review
        })
        .collect();
    json!({
        // A string here, unlike in the other services: so it is in the original.
        "id": id.to_string(),
        "podname": app.settings.pod_name,
        "clustername": app.settings.cluster_name.as_deref().unwrap_or("null"),
        "reviews": reviews,
    })
}

fn stars(settings: &Settings) -> Option<Stars> {
    match settings.version.as_str() {
        "v2" => Some(Stars {
            color: "black",
            timeout: settings.timeouts.black_stars,
        }),
        "v3" => Some(Stars {
            color: "red",
            timeout: settings.timeouts.red_stars,
        }),
        _ => None,
    }
}

fn rating(given: Option<i64>, stars: &Stars) -> Value {
    match given {
        Some(given) => json!({ "stars": given, "color": stars.color }),
        None => json!({ "error": "Ratings service is currently unavailable" }),
    }
}

/// What `ratings` answers: reviewer to stars.
async fn ratings(app: &App, id: u64, head: &Head, timeout: Duration) -> Option<Value> {
    let headers = forward::passed_on(&head.headers);
    let target = &app.settings.upstreams.ratings;
    match app
        .client
        .get(target, &format!("/ratings/{id}"), headers, timeout)
        .await
    {
        Ok(answer) if answer.status == StatusCode::OK => {
            let mut answer: Value = serde_json::from_slice(&answer.body)
                .inspect_err(|error| warn!("{target} did not answer JSON: {error}"))
                .ok()?;
            Some(answer.get_mut("ratings")?.take())
        }
        Ok(answer) => {
            let reason = answer.header("x-mesh-reason").unwrap_or("none given");
            warn!(
                "{target} answered {}; the mesh's reason: {reason}",
                answer.status
            );
            None
        }
        Err(error) => {
            warn!("{target}: {error}");
            None
        }
    }
}
