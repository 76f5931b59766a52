//! `/productpage`: the book, its reviews, and which workloads they came from.

use std::{fmt, time::Duration};

use serde_json::{Map, Value};

use super::{
    backend::{Failure, Fetched},
    book,
    markup::{Document, Escaped},
    session::User,
};
use crate::settings::Settings;

/// The best rating.
const MAX_STARS: usize = 5;

/// All that the page shows.
pub(super) struct Page<'a> {
    pub(super) settings: &'a Settings,
    pub(super) user: Option<&'a User>,
    pub(super) details: &'a Result<Fetched, Failure>,
    pub(super) reviews: &'a Result<Fetched, Failure>,
    /// How long fetching it took.
    pub(super) took: Duration,
}

struct SignIn<'a>(Option<&'a User>);
struct Content<'a>(&'a Page<'a>);
struct Footer<'a>(&'a Page<'a>);
struct Details<'a>(&'a Fetched);
struct Reviews<'a>(&'a Fetched);
struct Card<'a>(&'a Value);
struct Rating<'a>(&'a Value);
struct Alert<'a> {
    what: &'a str,
    failure: &'a Failure,
}
struct ServedBy<'a> {
    what: &'a str,
    pod: Option<&'a str>,
    version: Option<&'a str>,
    cluster: Option<&'a str>,
}
/// A JSON scalar as text; anything else as JSON.
struct Text<'a>(&'a Value);

// === impl Page ===

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Document {
            title: &format!("{} – Bookinfo", book::TITLE),
            aside: &SignIn(self.user),
            content: Content(self),
            footer: &Footer(self),
        }
        .fmt(f)
    }
}

impl fmt::Display for SignIn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(user) => write!(
                f,
                r#"<p class="account">Signed in as <strong>{}</strong> <a class="quiet" href="/logout">Sign out</a></p>"#,
                Escaped(user.name())
            ),
            None => f.write_str(
                r#"<form class="account" method="post" action="/login">
<label for="username">User name</label>
<input id="username" name="username" type="text" required maxlength="64" autocomplete="username" autocapitalize="none" spellcheck="false" placeholder="jason">
<button type="submit">Sign in</button>
</form>"#,
            ),
        }
    }
}

impl fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Page {
            details, reviews, ..
        } = self.0;
        write!(
            f,
            r#"<section class="book">
<div class="cover" aria-hidden="true"><span>The<br>Comedy<br>of<br>Errors</span><small>Shakespeare</small></div>
<div>
<h1>{title}</h1>
<p class="lead">{summary} <a href="{url}" rel="noopener noreferrer">Wikipedia summary</a></p>
<h2>Book details</h2>
"#,
            title = book::TITLE,
            summary = book::SUMMARY,
            url = book::SUMMARY_URL,
        )?;
        match details {
            Ok(details) => Details(details).fmt(f)?,
            Err(failure) => Alert {
                what: "details",
                failure,
            }
            .fmt(f)?,
        }
        f.write_str("</div>\n</section>\n<section class=\"reviews\">\n<h2>Book reviews</h2>\n")?;
        match reviews {
            Ok(reviews) => Reviews(reviews).fmt(f)?,
            Err(failure) => Alert {
                what: "reviews",
                failure,
            }
            .fmt(f)?,
        }
        f.write_str("</section>")
    }
}

impl fmt::Display for Footer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings {
            pod_name, version, ..
        } = self.0.settings;
        let served = ServedBy {
            what: "Page",
            pod: Some(pod_name),
            version: Some(version),
            cluster: None,
        };
        let ms = self.0.took.as_millis();
        write!(f, "{served}\n<p>Details and reviews took {ms} ms.</p>")
    }
}

// === impl Details ===

impl fmt::Display for Details<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fetched { json, pod, version } = self.0;
        f.write_str("<dl class=\"facts\">\n")?;
        let none = Map::new();
        let facts = json.as_object().unwrap_or(&none).iter();
        for (name, value) in facts.filter(|(name, _)| *name != "id") {
            let (name, value) = (Escaped(name), Escaped(Text(value)));
            writeln!(f, "<div><dt>{name}</dt><dd>{value}</dd></div>")?;
        }
        let served = ServedBy {
            what: "Details",
            pod: pod.as_deref(),
            version: version.as_deref(),
            cluster: None,
        };
        writeln!(f, "</dl>\n{served}")
    }
}

// === impl Reviews ===

impl fmt::Display for Reviews<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fetched { json, pod, version } = self.0;
        f.write_str("<div class=\"cards\">\n")?;
        for review in json
            .get("reviews")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            Card(review).fmt(f)?;
        }
        let field = |name: &str| json.get(name).and_then(Value::as_str);
        let served = ServedBy {
            what: "Reviews",
            pod: field("podname").or(pod.as_deref()),
            version: version.as_deref(),
            cluster: field("clustername").filter(|name| *name != "null"),
        };
        writeln!(f, "</div>\n{served}")
    }
}

impl fmt::Display for Card<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = |name: &str| self.0.get(name).and_then(Value::as_str).unwrap_or_default();
        let (text, reviewer) = (Escaped(field("text")), Escaped(field("reviewer")));
        writeln!(f, "<article class=\"card\">")?;
        if let Some(rating) = self.0.get("rating") {
            Rating(rating).fmt(f)?;
        }
        writeln!(
            f,
            "<blockquote><p>{text}</p></blockquote>\n<p class=\"by\">{reviewer}</p>\n</article>"
        )
    }
}

impl fmt::Display for Rating<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = self.0.get("error") {
            return writeln!(f, "<p class=\"no-stars\">{}</p>", Escaped(Text(error)));
        }
        let stars = self.0.get("stars").and_then(Value::as_u64).unwrap_or(0);
        let stars = usize::try_from(stars).map_or(MAX_STARS, |stars| stars.min(MAX_STARS));
        // Only the colours that the style knows become part of the markup.
        let color = match self.0.get("color").and_then(Value::as_str) {
            Some("red") => "red",
            _ => "black",
        };
        writeln!(
            f,
            r#"<p class="stars {color}" role="img" aria-label="{stars} of {MAX_STARS} stars, {color}"><span aria-hidden="true">{full}<span class="empty">{empty}</span></span></p>"#,
            full = "★".repeat(stars),
            empty = "☆".repeat(MAX_STARS - stars),
        )
    }
}

// === impl Alert ===

impl fmt::Display for Alert<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            failure:
                Failure {
                    message,
                    cause,
                    reason,
                    tries,
                    limit,
                    ..
                },
        } = self;
        writeln!(
            f,
            r#"<div class="alert" role="alert">
<h3>Error fetching product {what}!</h3>
<p>{message}</p>
<dl class="cause">
<div><dt>Cause</dt><dd>{cause}</dd></div>"#,
            cause = Escaped(cause),
        )?;
        if let Some(reason) = reason {
            let reason = Escaped(reason);
            writeln!(
                f,
                "<div><dt>Mesh reason</dt><dd><code>{reason}</code></dd></div>"
            )?;
        }
        writeln!(
            f,
            "<div><dt>Tries</dt><dd>{tries}, each of at most {limit:?}</dd></div>\n</dl>\n</div>"
        )
    }
}

// === impl ServedBy ===

impl fmt::Display for ServedBy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            pod,
            version,
            cluster,
        } = self;
        let pod = Escaped(pod.unwrap_or("unknown"));
        write!(
            f,
            "<p class=\"served\">{what} served by: <code>{pod}</code>"
        )?;
        if let Some(version) = version {
            write!(
                f,
                " <span class=\"tag\">version {}</span>",
                Escaped(version)
            )?;
        }
        if let Some(cluster) = cluster {
            write!(f, " on cluster <code>{}</code>", Escaped(cluster))?;
        }
        f.write_str("</p>")
    }
}

// === impl Text ===

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) => f.write_str(text),
            other => other.fmt(f),
        }
    }
}
