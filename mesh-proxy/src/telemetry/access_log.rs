//! Lines of the access log, in Istio's default formats. Pure.

use std::fmt::{self, Write};
use std::time::{Duration, SystemTime};

use mesh_proxy_core::labels::ConnectionLabels;
use time::OffsetDateTime;

use super::record::{FlowRecord, RequestRecord, TcpRecord};
use crate::settings::LogFormat;

// A value that is missing: `-` in text, `null` in JSON.
enum Field<'a> {
    Text(&'a str),
    Display(&'a dyn fmt::Display),
    Number(u64),
    Missing,
}

/// Appends the line of a request.
pub(super) fn request(line: &mut String, format: LogFormat, record: &RequestRecord<'_>) {
    append(
        line,
        format,
        &record.labels.connection,
        &record.flow,
        Some(record),
    );
}

/// Appends the line of a connection.
pub(super) fn tcp(line: &mut String, format: LogFormat, record: &TcpRecord<'_>) {
    append(line, format, record.labels, &record.flow, None);
}

fn append(
    line: &mut String,
    format: LogFormat,
    labels: &ConnectionLabels,
    flow: &FlowRecord<'_>,
    part: Option<&RequestRecord<'_>>,
) {
    let start = line.len();
    let result = match format {
        LogFormat::Text => text(line, labels, flow, part),
        LogFormat::Json => json(line, labels, flow, part),
    };
    // Writing to a string fails only if a value's own Display does; then no half line stays.
    if result.is_err() {
        line.truncate(start);
    }
}

fn text(
    line: &mut String,
    labels: &ConnectionLabels,
    flow: &FlowRecord<'_>,
    part: Option<&RequestRecord<'_>>,
) -> fmt::Result {
    write!(line, "[{}] \"", Start(flow.start))?;
    for (index, field) in [
        of(part, |record| record.method),
        of(part, |record| record.path),
        of(part, |record| record.protocol),
    ]
    .iter()
    .enumerate()
    {
        if index > 0 {
            line.push(' ');
        }
        plain(line, field)?;
    }
    line.push_str("\" ");
    let code = part.map_or(0, |record| record.labels.response_code);
    write!(
        line,
        "{code} {} {} ",
        labels.flags,
        details(flow, part.is_some()).unwrap_or("-")
    )?;
    unquoted(line, &present(flow.termination))?;
    line.push(' ');
    quoted(line, &present(flow.upstream_failure))?;
    write!(
        line,
        " {} {} {} ",
        flow.bytes_received,
        flow.bytes_sent,
        flow.duration.as_millis()
    )?;
    plain(line, &service_time(part))?;
    for field in [
        of(part, |record| record.forwarded_for),
        of(part, |record| record.user_agent),
        of(part, |record| record.request_id),
        of(part, |record| record.authority),
        present(flow.upstream_host),
    ] {
        line.push(' ');
        quoted(line, &field)?;
    }
    for field in [
        present(flow.upstream_cluster),
        shown(flow.upstream_local.as_ref()),
        shown(flow.downstream_local.as_ref()),
        shown(flow.downstream_remote.as_ref()),
        present(flow.server_name),
        present(flow.route),
    ] {
        line.push(' ');
        unquoted(line, &field)?;
    }
    if let Some(decision) = flow.decision {
        line.push_str(" authz=");
        quoted(line, &Field::Display(decision))?;
    }
    line.push('\n');
    Ok(())
}

// In the order of Istio's JSON format.
fn json(
    line: &mut String,
    labels: &ConnectionLabels,
    flow: &FlowRecord<'_>,
    part: Option<&RequestRecord<'_>>,
) -> fmt::Result {
    let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let code = part.map_or(0, |record| record.labels.response_code);
    let fields: [(&str, Field<'_>); 24] = [
        ("start_time", Field::Display(&Start(flow.start))),
        ("route_name", present(flow.route)),
        ("method", of(part, |record| record.method)),
        ("path", of(part, |record| record.path)),
        ("protocol", of(part, |record| record.protocol)),
        ("response_code", Field::Number(code.into())),
        ("response_flags", Field::Display(&labels.flags)),
        (
            "response_code_details",
            details(flow, part.is_some()).map_or(Field::Missing, Field::Text),
        ),
        ("connection_termination_details", present(flow.termination)),
        ("bytes_received", Field::Number(flow.bytes_received)),
        ("bytes_sent", Field::Number(flow.bytes_sent)),
        ("duration", Field::Number(milliseconds(flow.duration))),
        ("upstream_service_time", service_time(part)),
        ("x_forwarded_for", of(part, |record| record.forwarded_for)),
        ("user_agent", of(part, |record| record.user_agent)),
        ("request_id", of(part, |record| record.request_id)),
        ("authority", of(part, |record| record.authority)),
        ("upstream_host", present(flow.upstream_host)),
        ("upstream_cluster", present(flow.upstream_cluster)),
        (
            "upstream_local_address",
            shown(flow.upstream_local.as_ref()),
        ),
        (
            "downstream_local_address",
            shown(flow.downstream_local.as_ref()),
        ),
        (
            "downstream_remote_address",
            shown(flow.downstream_remote.as_ref()),
        ),
        ("requested_server_name", present(flow.server_name)),
        (
            "upstream_transport_failure_reason",
            present(flow.upstream_failure),
        ),
    ];
    let mut separator = '{';
    for (key, field) in fields {
        write!(line, "{separator}\"{key}\":")?;
        separator = ',';
        match field {
            Field::Missing => line.push_str("null"),
            Field::Number(number) => write!(line, "{number}")?,
            Field::Text(text) => json_string(line, format_args!("{text}"))?,
            Field::Display(value) => json_string(line, format_args!("{value}"))?,
        }
    }
    if let Some(decision) = flow.decision {
        line.push_str(",\"authz\":");
        json_string(line, format_args!("{decision}"))?;
    }
    line.push_str("}\n");
    Ok(())
}

fn of<'a>(
    part: Option<&'a RequestRecord<'a>>,
    pick: impl FnOnce(&'a RequestRecord<'a>) -> &'a str,
) -> Field<'a> {
    part.map_or(Field::Missing, |record| present(pick(record)))
}

fn present(text: &str) -> Field<'_> {
    if text.is_empty() {
        Field::Missing
    } else {
        Field::Text(text)
    }
}

fn shown<T: fmt::Display>(value: Option<&T>) -> Field<'_> {
    value.map_or(Field::Missing, |value| Field::Display(value))
}

fn service_time(part: Option<&RequestRecord<'_>>) -> Field<'static> {
    let time = part.and_then(|record| record.upstream_service_time);
    time.map_or(Field::Missing, |time| {
        Field::Number(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    })
}

// Envoy says `via_upstream` for what the upstream answered.
fn details(flow: &FlowRecord<'_>, is_request: bool) -> Option<&'static str> {
    match flow.reason {
        Some(reason) => Some(reason.as_str()),
        None => is_request.then_some("via_upstream"),
    }
}

// Values of peers: what could end a line or a quoted value early is escaped.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '"' | '\\' => {
                    self.0.push('\\');
                    self.0.push(c);
                }
                c if c.is_control() => write!(self.0, "\\u{:04x}", u32::from(c))?,
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

fn plain(line: &mut String, field: &Field<'_>) -> fmt::Result {
    match field {
        Field::Missing => line.push('-'),
        Field::Number(number) => write!(line, "{number}")?,
        Field::Text(text) => Escaped(line).write_str(text)?,
        Field::Display(value) => write!(Escaped(line), "{value}")?,
    }
    Ok(())
}

fn quoted(line: &mut String, field: &Field<'_>) -> fmt::Result {
    line.push('"');
    plain(line, field)?;
    line.push('"');
    Ok(())
}

// Istio writes these without quotes: a space inside would shift the columns.
fn unquoted(line: &mut String, field: &Field<'_>) -> fmt::Result {
    let start = line.len();
    plain(line, field)?;
    if line.get(start..).is_some_and(|text| text.contains(' ')) {
        let text = line.split_off(start).replace(' ', "_");
        line.push_str(&text);
    }
    Ok(())
}

fn json_string(line: &mut String, value: fmt::Arguments<'_>) -> fmt::Result {
    line.push('"');
    Escaped(line).write_fmt(value)?;
    line.push('"');
    Ok(())
}

// `2024-05-01T12:34:56.789Z`
struct Start(SystemTime);

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = OffsetDateTime::from(self.0);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            t.year(),
            u8::from(t.month()),
            t.day(),
            t.hour(),
            t.minute(),
            t.second(),
            t.millisecond()
        )
    }
}
