//! The `ratings` service: how many stars each reviewer gave, kept in memory.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use http::{Method, StatusCode};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

use crate::{
    app::{App, Head, read_body},
    reply::{self, Reply},
};

/// How many products can have ratings of their own.
const MAX_PRODUCTS: usize = 1000;

/// Ratings that were set by `POST`, by product.
#[derive(Debug, Default)]
pub(crate) struct Store {
    set: Mutex<BTreeMap<u64, Map<String, Value>>>,
}

pub(crate) async fn handle(app: &App, head: &Head, body: Incoming) -> Reply {
    let segments = head.segments();
    match (&head.method, segments.as_slice()) {
        (&Method::GET, ["health"]) => {
            reply::json(StatusCode::OK, &json!({ "status": "Ratings is healthy" }))
        }
        (&Method::GET | &Method::POST, ["ratings", id]) => {
            let Ok(id) = id.parse() else {
                return reply::error(StatusCode::BAD_REQUEST, "please provide numeric product ID");
            };
            if head.method == Method::POST {
                post(app, id, body).await
            } else {
                reply::json(StatusCode::OK, &app.ratings.get(id))
            }
        }
        (_, ["health"]) => reply::method_not_allowed("GET"),
        (_, ["ratings", _]) => reply::method_not_allowed("GET, POST"),
        _ => reply::not_found(),
    }
}

async fn post(app: &App, id: u64, body: Incoming) -> Reply {
    let body = match read_body(body).await {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    let Ok(ratings) = serde_json::from_slice(&body) else {
        return reply::error(StatusCode::BAD_REQUEST, "please provide valid ratings JSON");
    };
    if app.ratings.set(id, ratings) {
        reply::json(StatusCode::OK, &app.ratings.get(id))
    } else {
        reply::error(
            StatusCode::INSUFFICIENT_STORAGE,
            "too many products have ratings",
        )
    }
}

// === impl Store ===

impl Store {
    fn get(&self, id: u64) -> Value {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        match set.get(&id) {
            Some(ratings) => json!({ "id": id, "ratings": ratings }),
            None => json!({ "id": id, "ratings": { "Reviewer1": 5, "Reviewer2": 4 } }),
        }
    }

    /// False when there is no room for another product.
    fn set(&self, id: u64, ratings: Map<String, Value>) -> bool {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let room = set.len() < MAX_PRODUCTS || set.contains_key(&id);
        if room {
            set.insert(id, ratings);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_bounded() {
        let store = Store::default();
        for id in 0..MAX_PRODUCTS as u64 {
            assert!(store.set(id, Map::new()));
        }
        assert!(!store.set(MAX_PRODUCTS as u64, Map::new()));
        assert!(store.set(0, Map::from_iter([("Reviewer1".to_owned(), json!(1))])));
        assert_eq!(
            store.get(0),
            json!({ "id": 0, "ratings": { "Reviewer1": 1 } })
        );
    }
}
