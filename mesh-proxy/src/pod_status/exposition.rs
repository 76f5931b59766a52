//! The text formats of metrics, and how two texts become one.
//!
//! The proxy's own metrics are in OpenMetrics. An application mostly speaks Prometheus' older
//! text format; then the whole answer is in that, because the two cannot be mixed.

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Prometheus text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// What an application gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scraped {
    pub(super) format: Format,
    pub(super) text: String,
}

const END: &str = "# EOF";
const OPEN_METRICS: &str = "application/openmetrics-text";

// === impl Format ===

impl Format {
    /// The best format that a scraper takes. Everybody takes the old one.
    pub(super) fn accepted(accept: Option<&str>) -> Self {
        let named = |part: &str| part.trim_start().starts_with(OPEN_METRICS);
        if accept.is_some_and(|accept| accept.split(',').any(named)) {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// What an answer is in; `None` if it is no text at all.
    pub(super) fn of_content_type(kind: Option<&str>) -> Option<Self> {
        let kind = kind.unwrap_or("text/plain").to_ascii_lowercase();
        if kind.starts_with(OPEN_METRICS) {
            Some(Self::OpenMetrics)
        } else {
            kind.starts_with("text/").then_some(Self::Text)
        }
    }

    /// What the application is asked for.
    pub(super) fn accept(self) -> &'static str {
        match self {
            Self::Text => "text/plain;version=0.0.4",
            Self::OpenMetrics => {
                "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3"
            }
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The proxy's metrics (`own`, in OpenMetrics) and the application's, in a format that the scraper
/// `accepts`.
pub(super) fn merge(own: &str, app: Option<Scraped>, accepts: Format) -> (Format, String) {
    let format = match (&app, accepts) {
        (Some(scraped), Format::OpenMetrics) => scraped.format,
        (_, accepts) => accepts,
    };
    let mut merged = match format {
        Format::OpenMetrics => without_end(own).to_owned(),
        Format::Text => to_text(own),
    };
    if let Some(app) = app {
        match (app.format, format) {
            (Format::OpenMetrics, Format::Text) => merged.push_str(&to_text(&app.text)),
            _ => merged.push_str(without_end(&app.text)),
        }
        if !merged.ends_with('\n') {
            merged.push('\n');
        }
    }
    if format == Format::OpenMetrics {
        merged.push_str(END);
        merged.push('\n');
    }
    (format, merged)
}

fn without_end(text: &str) -> &str {
    let trimmed = text.trim_end();
    match trimmed.strip_suffix(END) {
        Some(rest) if rest.is_empty() || rest.ends_with('\n') => rest,
        _ => text,
    }
}

/// OpenMetrics in the old format: what that does not know is left out (units, exemplars,
/// timestamps), and a counter's family is called as its sample is.
fn to_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    // The help may come before the type, which says what the family is called.
    let mut help: Option<(&str, &str)> = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            flush(
                &mut text,
                help.replace(rest.split_once(' ').unwrap_or((rest, ""))),
            );
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "unknown"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "stateset" => ("", "gauge"),
                "gauge" | "histogram" | "summary" => ("", kind),
                _ => ("", "untyped"),
            };
            match help.take() {
                Some((of, words)) if of == name => {
                    text.push_str(&format!("# HELP {name}{suffix} {words}\n"));
                }
                other => flush(&mut text, other),
            }
            text.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with('#') && !line.is_empty() {
            flush(&mut text, help.take());
            let (series, values) = split_sample(line);
            let value = values.split_ascii_whitespace().next().unwrap_or("NaN");
            text.push_str(&format!("{series} {value}\n"));
        }
    }
    text
}

fn flush(text: &mut String, help: Option<(&str, &str)>) {
    if let Some((name, words)) = help {
        text.push_str(&format!("# HELP {name} {words}\n"));
    }
}

/// A sample's name with labels, and what follows.
fn split_sample(line: &str) -> (&str, &str) {
    let mut quoted = false;
    let mut escaped = false;
    let mut labels = false;
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' if !quoted => labels = true,
            b'}' if !quoted => return line.split_at_checked(at + 1).unwrap_or((line, "")),
            b' ' if !labels => return line.split_at_checked(at).unwrap_or((line, "")),
            _ => {}
        }
    }
    (line, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "# HELP mesh_a Help, with \"words\".\n# TYPE mesh_a counter\nmesh_a_total{x=\"a } # b\"} 3 # {trace=\"1\"} 1 2.5\n# HELP mesh_b B.\n# TYPE mesh_b histogram\n# UNIT mesh_b seconds\nmesh_b_bucket{le=\"+Inf\"} 1\nmesh_b_sum 0.5\nmesh_b_count 1\n# TYPE mesh_c gauge\nmesh_c 7 1700000000.5\n# EOF\n";
    const TEXT: &str = "# HELP mesh_a_total Help, with \"words\".\n# TYPE mesh_a_total counter\nmesh_a_total{x=\"a } # b\"} 3\n# HELP mesh_b B.\n# TYPE mesh_b histogram\nmesh_b_bucket{le=\"+Inf\"} 1\nmesh_b_sum 0.5\nmesh_b_count 1\n# TYPE mesh_c gauge\nmesh_c 7\n";

    fn app(format: Format, text: &str) -> Option<Scraped> {
        Some(Scraped {
            format,
            text: text.into(),
        })
    }

    #[test]
    fn the_proxys_alone() {
        assert_eq!(
            merge(OWN, None, Format::OpenMetrics),
            (Format::OpenMetrics, OWN.to_owned())
        );
        assert_eq!(
            merge(OWN, None, Format::Text),
            (Format::Text, TEXT.to_owned())
        );
    }

    #[test]
    fn an_application_in_the_old_format() {
        let (format, body) = merge(OWN, app(Format::Text, "up 1"), Format::OpenMetrics);
        assert_eq!(format, Format::Text);
        assert_eq!(body, format!("{TEXT}up 1\n"));
    }

    #[test]
    fn an_application_in_openmetrics_ends_once() {
        let theirs = "# TYPE up gauge\nup 1\n# EOF\n";
        let (format, body) = merge(OWN, app(Format::OpenMetrics, theirs), Format::OpenMetrics);
        assert_eq!(format, Format::OpenMetrics);
        assert_eq!(body.matches("# EOF").count(), 1);
        assert!(body.ends_with("up 1\n# EOF\n"));
        // It was not asked for, but came.
        let (format, body) = merge(OWN, app(Format::OpenMetrics, theirs), Format::Text);
        assert_eq!(format, Format::Text);
        assert_eq!(body, format!("{TEXT}# TYPE up gauge\nup 1\n"));
    }

    #[test]
    fn formats_are_negotiated() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(Format::accepted(Some(prometheus)), Format::OpenMetrics);
        assert_eq!(Format::accepted(Some("*/*")), Format::Text);
        assert_eq!(Format::accepted(None), Format::Text);
        assert_eq!(Format::of_content_type(None), Some(Format::Text));
        assert_eq!(
            Format::of_content_type(Some("Application/OpenMetrics-Text; version=0.0.1")),
            Some(Format::OpenMetrics)
        );
        assert_eq!(
            Format::of_content_type(Some("application/vnd.google.protobuf")),
            None
        );
    }
}
