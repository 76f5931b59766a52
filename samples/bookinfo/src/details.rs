//! The `details` service: what is known about the book.

use http::{Method, StatusCode};
use serde_json::json;

use crate::{
    app::Head,
    reply::{self, Reply},
};

pub(crate) fn handle(head: &Head) -> Reply {
    match (&head.method, head.segments().as_slice()) {
        (&Method::GET, ["health"]) => {
            reply::json(StatusCode::OK, &json!({ "status": "Details is healthy" }))
        }
        (&Method::GET, ["details", id]) => match id.parse::<u64>() {
            Ok(id) => reply::json(
                StatusCode::OK,
                &json!({
                    "id": id,
                    "author": "William Shakespeare",
                    "year": 1595,
                    "type": "paperback",
                    "pages": 200,
                    "publisher": "PublisherA",
                    "language": "English",
                    "ISBN-10": "1234567890",
                    "ISBN-13": "123-1234567890",
                }),
            ),
            Err(_) => reply::error(StatusCode::BAD_REQUEST, "please provide numeric product id"),
        },
        (_, ["health"] | ["details", _]) => reply::method_not_allowed("GET"),
        _ => reply::not_found(),
    }
}
