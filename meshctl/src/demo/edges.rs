//! Who calls whom, from what the proxies have counted.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_proxy::telemetry::{Edge, ResponseClass};

use crate::table::Table;

/// One caller and one callee.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EdgeRow {
    /// Requests or connections since the proxies started.
    pub count: u64,
    /// Those that the server answered with 5xx, or nobody answered.
    pub failed: u64,
    /// Median duration in milliseconds.
    pub p50_ms: f64,
    /// Duration that 99 of 100 do not exceed, in milliseconds.
    pub p99_ms: f64,
    /// Whether all of it was mutual TLS.
    pub mutual_tls: bool,
}

/// All callers and callees, as the callers' proxies report them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EdgeTable {
    rows: BTreeMap<(String, String), EdgeRow>,
}

// === impl EdgeTable ===

impl EdgeTable {
    /// Sums up what all proxies say.
    pub fn new(edges: impl IntoIterator<Item = Edge>) -> Self {
        let mut rows: BTreeMap<(String, String), EdgeRow> = BTreeMap::new();
        let mut largest: BTreeMap<(String, String), u64> = BTreeMap::new();
        for edge in edges.into_iter().filter(|edge| edge.reporter == "source") {
            let callee = match edge.destination.workload.as_str() {
                "" | "unknown" => edge.destination_service.clone(),
                workload => workload.to_owned(),
            };
            let key = (edge.source.workload.clone(), callee);
            let row = rows.entry(key.clone()).or_insert_with(|| EdgeRow {
                mutual_tls: true,
                ..EdgeRow::default()
            });
            row.count += edge.count;
            if matches!(
                edge.response,
                ResponseClass::ServerError | ResponseClass::Failed
            ) {
                row.failed += edge.count;
            }
            row.mutual_tls &= edge.mutual_tls;
            row.p99_ms = row.p99_ms.max(edge.p99_ms);
            // The median of most of the requests stands for that of all.
            let largest = largest.entry(key).or_default();
            if edge.count > *largest {
                *largest = edge.count;
                row.p50_ms = edge.p50_ms;
            }
        }
        Self { rows }
    }

    /// The rows by caller and callee.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &str, &EdgeRow)> {
        self.rows
            .iter()
            .map(|((from, to), row)| (from.as_str(), to.as_str(), row))
    }

    /// The table, with the rates since an earlier one.
    pub fn render(&self, before: &Self, elapsed: Duration) -> Table {
        let headers = [
            "CALLER",
            "CALLED",
            "PER SECOND",
            "SUCCESS",
            "P50 MS",
            "P99 MS",
            "MUTUAL TLS",
        ];
        let mut table = Table::new(headers).right(&[2, 3, 4, 5]);
        for (key, row) in &self.rows {
            let earlier = before.rows.get(key).cloned().unwrap_or_default();
            table.row([
                key.0.clone(),
                key.1.clone(),
                format!(
                    "{:.1}",
                    rate(row.count.saturating_sub(earlier.count), elapsed)
                ),
                success(
                    row.count.saturating_sub(earlier.count),
                    row.failed.saturating_sub(earlier.failed),
                ),
                format!("{:.1}", row.p50_ms),
                format!("{:.1}", row.p99_ms),
                if row.mutual_tls { "yes" } else { "no" }.to_owned(),
            ]);
        }
        table
    }

    /// One line: the rate and success of all together, then each callee's rate.
    pub fn summary(&self, before: &Self, elapsed: Duration) -> String {
        let mut callees: BTreeMap<&str, u64> = BTreeMap::new();
        let (mut count, mut failed) = (0, 0);
        for (key, row) in &self.rows {
            let earlier = before.rows.get(key).cloned().unwrap_or_default();
            let new = row.count.saturating_sub(earlier.count);
            *callees.entry(key.1.as_str()).or_default() += new;
            count += new;
            failed += row.failed.saturating_sub(earlier.failed);
        }
        let each = callees.iter().filter(|(_, count)| **count > 0);
        let each = each
            .map(|(name, count)| format!("{name} {:.1}", rate(*count, elapsed)))
            .collect::<Vec<_>>();
        format!(
            "{:.1} requests/s, success {}: {}",
            rate(count, elapsed),
            success(count, failed),
            each.join(", ")
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "rates for people")]
fn rate(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64().max(0.001)
}

#[expect(clippy::cast_precision_loss, reason = "shares for people")]
fn success(count: u64, failed: u64) -> String {
    if count == 0 {
        return "-".to_owned();
    }
    format!(
        "{:.1}%",
        (count - failed.min(count)) as f64 * 100.0 / count as f64
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: &str, to: &str, response: ResponseClass, count: u64, p50_ms: f64) -> Edge {
        let peer = |name: &str| serde_json::json!({"workload": name, "namespace": "default", "version": "v1", "principal": ""});
        serde_json::from_value(serde_json::json!({
            "reporter": "source", "source": peer(from), "destination": peer(to), "destination_service": "svc",
            "protocol": "http", "response": response, "mutual_tls": true, "count": count,
            "p50_ms": p50_ms, "p99_ms": p50_ms * 2.0, "bytes_received": 0, "bytes_sent": 0,
        }))
        .unwrap()
    }

    #[test]
    fn sums_up_what_callers_report() {
        let server_side = Edge {
            reporter: "destination".to_owned(),
            ..edge("a", "b", ResponseClass::Success, 100, 1.0)
        };
        let before = EdgeTable::new([edge("a", "b", ResponseClass::Success, 10, 1.0)]);
        let now = EdgeTable::new([
            edge("a", "b", ResponseClass::Success, 28, 2.0),
            edge("a", "b", ResponseClass::ServerError, 2, 50.0),
            edge("a", "unknown", ResponseClass::ClientError, 4, 1.0),
            server_side,
        ]);
        let want = "\
CALLER  CALLED  PER SECOND  SUCCESS  P50 MS  P99 MS  MUTUAL TLS
a       b             10.0    90.0%     2.0   100.0  yes
a       svc            2.0   100.0%     1.0     2.0  yes";
        assert_eq!(
            now.render(&before, Duration::from_secs(2)).to_string(),
            want
        );
        assert_eq!(
            now.summary(&before, Duration::from_secs(2)),
            "12.0 requests/s, success 91.7%: b 10.0, svc 2.0"
        );
    }
}
