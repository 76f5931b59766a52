//! The live table.

use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::time::Duration;

use futures_util::future::join_all;
use mesh_proxy::telemetry::Edge;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::EdgeTable;
use crate::call::Admin;
use crate::clock;
use crate::mesh::Notice;
use crate::output::{complain, say};

const TERMINAL_PAUSE: Duration = Duration::from_secs(1);
const FILE_PAUSE: Duration = Duration::from_secs(5);
/// Notices that stay below the table.
const NOTICES: usize = 6;

/// Shows who calls whom until it is dropped: a table that renews itself on a terminal, else a
/// line now and then. `proxies` says who is to be asked each time, `head` stands above the
/// table, notices below it.
pub async fn show_live(
    proxies: impl AsyncFn() -> Vec<Admin>,
    head: String,
    mut notices: mpsc::UnboundedReceiver<Notice>,
) {
    let terminal = std::io::stdout().is_terminal();
    let pause = if terminal { TERMINAL_PAUSE } else { FILE_PAUSE };
    let mut kept: VecDeque<String> = VecDeque::new();
    let (mut before, mut since) = (edges(&proxies).await, clock::instant());
    let mut tick = tokio::time::interval_at(Instant::now() + pause, pause);
    loop {
        tokio::select! {
            _ = tick.tick() => {
                let (now, elapsed) = (edges(&proxies).await, since.elapsed());
                if terminal {
                    draw(&head, &now.render(&before, elapsed).to_string(), &kept);
                } else {
                    say(now.summary(&before, elapsed));
                }
                (before, since) = (now, clock::instant());
            }
            Some(notice) = notices.recv() => {
                if terminal {
                    kept.push_back(notice.to_string());
                    kept.drain(..kept.len().saturating_sub(NOTICES));
                } else {
                    match &notice {
                        Notice::Info(_) => say(&notice),
                        Notice::Warning(_) | Notice::Problem(_) => complain(&notice),
                    }
                }
            }
        }
    }
}

/// What all proxies that answer have counted. One that just starts again is left out this time.
async fn edges(proxies: &impl AsyncFn() -> Vec<Admin>) -> EdgeTable {
    let proxies = proxies().await;
    let asked = proxies.iter().map(|proxy| async {
        let edges = proxy.get::<Vec<Edge>>("/v1/edges").await;
        edges.unwrap_or_default()
    });
    EdgeTable::new(join_all(asked).await.into_iter().flatten())
}

fn draw(head: &str, table: &str, notices: &VecDeque<String>) {
    let notices = notices
        .iter()
        .map(|notice| format!("\n{notice}"))
        .collect::<String>();
    // To the upper left corner, then clear what is left of the old picture.
    say(format_args!("\x1b[H\x1b[2J{head}\n\n{table}\n{notices}"));
}
