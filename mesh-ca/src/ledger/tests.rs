use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Duration;

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

fn refused(reason: &str, caller: Option<&str>) -> RefusedCall {
    let identity = caller.map(|_| "spiffe://cluster.local/ns/default/sa/a".to_owned());
    RefusedCall {
        reason: reason.to_owned(),
        detail: "so it\nis".to_owned(),
        identity,
        caller: caller.map(str::to_owned),
        peer: Some("10.0.0.1".to_owned()),
        requested: None,
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
    ledger.refused(refused("token_expired", None), now);
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

/// Refusals in the record, by who and why: the lines and what they stand for.
fn told(dir: &Path) -> BTreeMap<(String, String), (usize, u64)> {
    let text = fs::read_to_string(dir.join("audit.jsonl")).unwrap();
    let mut told = BTreeMap::new();
    for line in text.lines() {
        let entry: Entry = serde_json::from_str(line).unwrap();
        let AuditEvent::Refused { call, times } = entry.event else {
            continue;
        };
        let count = times.map_or(1, |times| times.count);
        let who = call.caller.unwrap_or_default();
        let (lines, sum) = told.entry((call.reason, who)).or_insert((0, 0));
        (*lines, *sum) = (*lines + 1, *sum + count);
    }
    told
}

#[test]
fn every_refusal_of_a_flood_is_in_the_record_with_who_and_why() {
    let dir = tempfile::tempdir().unwrap();
    let now = clock::now();
    let ledger = Ledger::open(dir.path(), now).unwrap();
    let sent = [
        ("too_often", "default/a", 4000),
        ("too_often", "default/b", 700),
        ("request_name", "default/a", 1),
    ];
    for (reason, who, count) in sent {
        for _ in 0..count {
            ledger.refused(refused(reason, Some(who)), now);
        }
    }
    // The next second writes what is left of this one; the end writes what is left at all.
    let next = now + Duration::from_secs(1);
    for _ in 0..60 {
        ledger.refused(refused("too_often", Some("default/b")), next);
    }
    drop(ledger);
    let told = told(dir.path());
    for (reason, who, count) in sent {
        let (_, sum) = told[&(reason.to_owned(), who.to_owned())];
        let more = if who == "default/b" { 60 } else { 0 };
        assert_eq!(sum, count + more, "{reason} {who}: {told:?}");
    }
    assert_eq!(told.len(), sent.len(), "{told:?}");
    // 50 by themselves in each of two seconds, and what is left in four lines.
    let lines: usize = told.values().map(|(lines, _)| lines).sum();
    assert_eq!(lines, 104, "{told:?}");
}

#[test]
fn callers_without_number_fill_no_disk_and_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut now = clock::now();
    let ledger = Ledger::open(dir.path(), now).unwrap();
    const SECONDS: u64 = 4;
    const EACH: u64 = 3000;
    for second in 0..SECONDS {
        for number in 0..EACH {
            let stranger = RefusedCall {
                requested: Some(format!("spiffe://x/{second}/{number}")),
                ..refused("no_credentials", None)
            };
            ledger.refused(stranger, now);
        }
        // One that has proved who it is is told apart all the same.
        for _ in 0..10 {
            ledger.refused(refused("too_often", Some("default/a")), now);
        }
        now += Duration::from_secs(1);
    }
    ledger.sync();
    let told = told(dir.path());
    let (lines, sum) = told[&("no_credentials".to_owned(), String::new())];
    assert_eq!(sum, SECONDS * EACH);
    assert!(lines < 4 * 51 + 512 + 3 * 200, "{lines}");
    let (lines, sum) = told[&("too_often".to_owned(), "default/a".to_owned())];
    assert_eq!((lines, sum), (4, 40));
}

#[test]
fn what_cannot_be_written_waits_until_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let now = clock::now();
    let ledger = Ledger::open(dir.path(), now).unwrap();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let record = ledger.inner().audit.as_mut().unwrap().replace_file(full);
    for _ in 0..200 {
        ledger.refused(refused("too_often", Some("default/a")), now);
        ledger.sync();
    }
    assert!(told(dir.path()).is_empty());
    ledger.inner().audit.as_mut().unwrap().replace_file(record);
    ledger.sync();
    let key = ("too_often".to_owned(), "default/a".to_owned());
    assert_eq!(told(dir.path())[&key], (1, 200));
}

#[test]
fn a_record_of_an_older_version_is_read() {
    let line =
        r#"{"time":1,"event":"refused","reason":"no_credentials","detail":"x","suppressed":9}"#;
    let entry: Entry = serde_json::from_str(line).unwrap();
    let AuditEvent::Refused { call, times } = entry.event else {
        panic!("{entry:?}");
    };
    assert_eq!((call.reason.as_str(), times), ("no_credentials", None));
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
