use std::fs::{self, OpenOptions};
use std::io::Write;

use super::*;
use crate::fingerprint::Fingerprint;

fn leaf(serial: &str, workload: &str) -> IssuedLeaf {
    IssuedLeaf {
        serial: serial.to_owned(),
        identity: "spiffe://cluster.local/ns/default/sa/a".parse().unwrap(),
        workload: Some(workload.to_owned()),
        previous: None,
        root: Fingerprint::of(b"root"),
        not_after: i64::MAX / 2,
    }
}

fn names(ledger: &Ledger) -> Vec<String> {
    let holders = ledger.holders(clock::now()).into_iter();
    holders.map(|holder| holder.name).collect()
}

#[test]
fn a_restart_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let now = clock::now();
    let ledger = Ledger::open(dir.path(), now).unwrap();
    for (serial, workload) in [("1", "default/a"), ("2", "default/b"), ("3", "default/c")] {
        ledger.issued("token", leaf(serial, workload), now).unwrap();
    }
    ledger.issued(OWN, leaf("4", "default/meshd"), now).unwrap();
    let identity = "spiffe://cluster.local/ns/default/sa/a".parse().unwrap();
    let report = Report {
        trusted: [].into(),
        vouching: [].into(),
        serial: "2".to_owned(),
        not_after: i64::MAX / 2,
    };
    ledger.reported("default/b", &identity, report, 1);
    ledger.leaving("default/b", 1);
    ledger.disconnected("default/b", 1);
    ledger.refused("token_expired", "the join token\nexpired", None, now);
    drop(ledger);
    // Killed in the middle of a line.
    let path = dir.path().join("audit.jsonl");
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"time\":17,\"event\":\"iss").unwrap();

    let ledger = Ledger::open(dir.path(), now).unwrap();
    assert_eq!(names(&ledger), ["default/a", "default/c"]);
    assert!(ledger.forget("default/c").unwrap());
    assert!(!ledger.forget("default/c").unwrap());
    drop(ledger);
    let ledger = Ledger::open(dir.path(), now).unwrap();
    assert_eq!(names(&ledger), ["default/a"]);

    let text = fs::read_to_string(&path).unwrap();
    let events: Vec<String> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .map(|line| line["event"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        events,
        [
            "issued",
            "issued",
            "issued",
            "issued",
            "left",
            "refused",
            "forgotten"
        ]
    );
}

#[test]
fn a_flood_of_refusals_is_counted_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let now = clock::now();
    let ledger = Ledger::open(dir.path(), now).unwrap();
    for _ in 0..1000 {
        ledger.refused("no_credentials", "give a token", None, now);
    }
    ledger.refused(
        "no_credentials",
        "x",
        None,
        now + std::time::Duration::from_secs(1),
    );
    let text = fs::read_to_string(dir.path().join("audit.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 51);
    assert!(
        text.lines().last().unwrap().contains("\"suppressed\":950"),
        "{text}"
    );
}

#[test]
fn nothing_is_issued_that_is_not_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let now = clock::now();
    let ledger = Ledger::open(dir.path(), now).unwrap();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    ledger.inner().audit.as_mut().unwrap().replace_file(full);
    assert!(ledger.issued("token", leaf("1", "default/a"), now).is_err());
    assert!(names(&ledger).is_empty());
}
