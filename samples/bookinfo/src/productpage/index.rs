//! The start page: what this application is, and where to go.

use std::fmt;

use super::markup::{Document, Escaped};
use crate::settings::Settings;

struct Content<'a>(&'a Settings);

struct Footer<'a>(&'a Settings);

pub(super) fn render(settings: &Settings) -> String {
    Document {
        title: "Bookinfo",
        aside: &"",
        content: Content(settings),
        footer: &Footer(settings),
    }
    .to_string()
}

impl fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let upstreams = &self.0.upstreams;
        write!(
            f,
            r#"<section class="intro">
<h1>Bookinfo</h1>
<p class="lead">A page about one book, put together by four small services. It is made for
watching what a service mesh does between them.</p>
<p><a class="button" href="/productpage">Open the product page</a></p>
</section>
<section aria-labelledby="services">
<h2 id="services">The services</h2>
<div class="scroll"><table>
<thead><tr><th scope="col">Service</th><th scope="col">Called at</th><th scope="col">What it does</th></tr></thead>
<tbody>
<tr><th scope="row">productpage</th><td>this one</td><td>Makes the page; calls details and reviews.</td></tr>
<tr><th scope="row">details</th><td><code>{details}</code></td><td>Knows the book.</td></tr>
<tr><th scope="row">reviews</th><td><code>{reviews}</code></td><td>v1 has no stars, v2 black stars, v3 red stars; v2 and v3 call ratings.</td></tr>
<tr><th scope="row">ratings</th><td><code>{ratings}</code></td><td>Knows how many stars each reviewer gave.</td></tr>
</tbody>
</table></div>
</section>
<section aria-labelledby="api">
<h2 id="api">The API</h2>
<ul class="plain">
<li><a href="/api/v1/products"><code>/api/v1/products</code></a></li>
<li><a href="/api/v1/products/0"><code>/api/v1/products/0</code></a></li>
<li><a href="/api/v1/products/0/reviews"><code>/api/v1/products/0/reviews</code></a></li>
<li><a href="/api/v1/products/0/ratings"><code>/api/v1/products/0/ratings</code></a></li>
</ul>
</section>"#,
            details = Escaped(&upstreams.details),
            reviews = Escaped(&upstreams.reviews),
            ratings = Escaped(&upstreams.ratings),
        )
    }
}

impl fmt::Display for Footer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings {
            pod_name, version, ..
        } = self.0;
        write!(
            f,
            "<p>Page served by: {} ({})</p>",
            Escaped(pod_name),
            Escaped(version)
        )
    }
}
