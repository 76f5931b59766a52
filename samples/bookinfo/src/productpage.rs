//! The `productpage` service: the web page, and the API behind it.

mod backend;
mod book;
mod index;
mod markup;
mod page;
mod session;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use hyper::body::Incoming;
use tokio::time::Instant;

use self::{
    backend::{Backend, Failure, Fetched},
    page::Page,
    session::User,
};
use crate::{
    app::{App, Head, read_body},
    forward::{self, END_USER},
    reply::{self, Reply},
    urlencoded,
};

const PAGE: &str = "/productpage";

pub(crate) async fn handle(app: &App, head: &Head, body: Incoming) -> Reply {
    let segments = head.segments();
    match (&head.method, segments.as_slice()) {
        (&Method::GET, [] | ["index.html"]) => reply::html(index::render(&app.settings)),
        (&Method::GET, ["productpage"]) => page(app, head).await,
        (&Method::POST, ["login"]) => login(body).await,
        (&Method::GET, ["logout"]) => signed(&User::forget()),
        (&Method::GET, ["health"]) => reply::text("Product page is healthy"),
        (&Method::GET, ["api", "v1", "products"]) => reply::json(StatusCode::OK, &book::products()),
        (&Method::GET, ["api", "v1", "products", id]) => api(app, head, Backend::Details, id).await,
        (&Method::GET, ["api", "v1", "products", id, "reviews"]) => {
            api(app, head, Backend::Reviews, id).await
        }
        (&Method::GET, ["api", "v1", "products", id, "ratings"]) => {
            api(app, head, Backend::Ratings, id).await
        }
        (_, ["login"]) => reply::method_not_allowed("POST"),
        (_, [] | ["index.html" | "productpage" | "logout" | "health"])
        | (_, ["api", "v1", "products", ..]) => reply::method_not_allowed("GET"),
        _ => reply::not_found(),
    }
}

async fn page(app: &App, head: &Head) -> Reply {
    let start = Instant::now();
    let user = User::from_headers(&head.headers);
    let headers = outgoing(&head.headers, user.as_ref());
    let (details, reviews) = tokio::join!(
        backend::fetch(app, Backend::Details, book::ID, headers.clone()),
        backend::fetch(app, Backend::Reviews, book::ID, headers),
    );
    let page = Page {
        settings: &app.settings,
        user: user.as_ref(),
        details: &details,
        reviews: &reviews,
        took: start.elapsed(),
    };
    reply::html(page.to_string())
}

async fn api(app: &App, head: &Head, backend: Backend, id: &str) -> Reply {
    let Ok(id) = id.parse() else {
        return reply::error(StatusCode::BAD_REQUEST, "please provide numeric product ID");
    };
    let user = User::from_headers(&head.headers);
    let headers = outgoing(&head.headers, user.as_ref());
    match backend::fetch(app, backend, id, headers).await {
        Ok(Fetched { json, .. }) => reply::json(StatusCode::OK, &json),
        Err(Failure {
            status, message, ..
        }) => reply::error(status, message),
    }
}

/// The headers for the calls that a request leads to. `end-user` is who signed in here, and
/// nothing else.
fn outgoing(incoming: &HeaderMap, user: Option<&User>) -> HeaderMap {
    let mut headers = forward::passed_on(incoming);
    headers.remove(END_USER);
    if let Some(value) = user.and_then(User::header_value) {
        headers.insert(END_USER, value);
    }
    headers
}

async fn login(body: Incoming) -> Reply {
    let body = match read_body(body).await {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    let user = urlencoded::form_field(&body, "username").and_then(|name| User::parse(&name));
    match user {
        Some(user) => signed(&user.remember()),
        None => reply::error(
            StatusCode::BAD_REQUEST,
            "please provide a username of 1 to 64 bytes without control characters",
        ),
    }
}

/// Back to the page, with another session. Not to the `Referer`, as in the original: that
/// may be any site.
fn signed(cookie: &str) -> Reply {
    let reply = reply::redirect(PAGE);
    match HeaderValue::from_str(cookie) {
        Ok(cookie) => reply::with_header(reply, header::SET_COOKIE, cookie),
        Err(_) => reply,
    }
}
