//! Any sequence of crashes, restarts, partitions and proxies: no live proxy ever has a leaf that a
//! peer does not trust.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::machine::{Next, Phase, RotationRecord};
use crate::fingerprint::Fingerprint;
use crate::ledger::{Fleet, IssuedLeaf, Report};

const LIFE: i64 = 1000;

fn root(generation: u64) -> Fingerprint {
    Fingerprint::of(&generation.to_be_bytes())
}

/// Serial number, root, end.
type Leaf = (String, Fingerprint, i64);

/// A proxy, as it really is.
#[derive(Debug, Clone)]
struct Real {
    trusted: BTreeSet<Fingerprint>,
    leaf: Leaf,
    // A leaf that was signed, and whose answer is on its way.
    coming: Option<(Leaf, BTreeSet<Fingerprint>)>,
    connected: bool,
    stream: u64,
    renewed_for: String,
}

#[derive(Debug, Default)]
struct Mesh {
    now: i64,
    serial: u64,
    stream: u64,
    // On disk.
    record: RotationRecord,
    audit: Vec<Line>,
    // In memory of the control plane.
    fleet: Fleet,
    running: RotationRecord,
    proxies: BTreeMap<u8, Real>,
}

#[derive(Debug, Clone)]
enum Line {
    Issued(IssuedLeaf),
    Left(String),
}

#[derive(Debug, Clone)]
enum Event {
    Join(u8),
    Connect(u8),
    Cut(u8),
    Ask(u8),
    Arrive(u8),
    Leave(u8),
    Kill(u8),
    Begin,
    Abort,
    Step,
    StepAndCrash,
    Restart,
    Wait(i64),
}

fn name(proxy: u8) -> String {
    format!("default/p{proxy}")
}

// === impl Mesh ===

impl Mesh {
    fn new() -> Self {
        Self {
            now: 1_000_000,
            ..Self::default()
        }
    }

    fn trusted(&self) -> BTreeSet<Fingerprint> {
        self.running.duty().trusted.into_iter().map(root).collect()
    }

    fn sign(&mut self, proxy: u8, previous: Option<String>) -> Leaf {
        self.serial += 1;
        let leaf = IssuedLeaf {
            serial: self.serial.to_string(),
            identity: "spiffe://cluster.local/ns/default/sa/p".parse().unwrap(),
            workload: previous.is_none().then(|| name(proxy)),
            previous,
            root: root(self.running.duty().signs),
            not_after: self.now + LIFE,
        };
        self.audit.push(Line::Issued(leaf.clone()));
        self.fleet.issued(leaf.clone());
        (leaf.serial, leaf.root, leaf.not_after)
    }

    fn report(&mut self, proxy: u8) {
        let Some(real) = self.proxies.get(&proxy).filter(|real| real.connected) else {
            return;
        };
        let report = Report {
            trusted: real.trusted.clone(),
            vouching: BTreeSet::from([real.leaf.1]),
            serial: real.leaf.0.clone(),
            not_after: real.leaf.2,
        };
        let identity = "spiffe://cluster.local/ns/default/sa/p".parse().unwrap();
        self.fleet
            .reported(&name(proxy), &identity, report, real.stream);
    }

    /// A connected proxy takes what the control plane says, then tells what it has.
    fn follow(&mut self, proxy: u8) {
        let (trusted, renewal) = (self.trusted(), self.running.duty().renewal);
        let mut ask = false;
        if let Some(real) = self.proxies.get_mut(&proxy).filter(|real| real.connected) {
            real.trusted = trusted;
            ask = !renewal.is_empty() && real.renewed_for != renewal;
            real.renewed_for = renewal;
        }
        if ask {
            self.ask(proxy);
        }
        self.report(proxy);
    }

    fn ask(&mut self, proxy: u8) {
        let Some(real) = self.proxies.get(&proxy) else {
            return;
        };
        // With an expired certificate it joins again by its token.
        let previous = (real.leaf.2 > self.now).then(|| real.leaf.0.clone());
        let leaf = self.sign(proxy, previous);
        let roots = self.trusted();
        if let Some(real) = self.proxies.get_mut(&proxy) {
            real.coming = Some((leaf, roots));
        }
    }

    fn take(&mut self, event: &Event) {
        match *event {
            Event::Join(proxy) if !self.proxies.contains_key(&proxy) => {
                let leaf = self.sign(proxy, None);
                let real = Real {
                    // The answer of the authority carries the roots.
                    trusted: self.trusted(),
                    leaf,
                    coming: None,
                    connected: false,
                    stream: 0,
                    renewed_for: String::new(),
                };
                self.proxies.insert(proxy, real);
            }
            Event::Join(_) => {}
            Event::Connect(proxy) => {
                self.stream += 1;
                if let Some(real) = self.proxies.get_mut(&proxy) {
                    (real.connected, real.stream) = (true, self.stream);
                }
                self.follow(proxy);
            }
            Event::Cut(proxy) => {
                if let Some(real) = self.proxies.get_mut(&proxy).filter(|real| real.connected) {
                    real.connected = false;
                    self.fleet.disconnected(&name(proxy), real.stream);
                }
            }
            Event::Ask(proxy) => self.ask(proxy),
            Event::Arrive(proxy) => {
                if let Some(real) = self.proxies.get_mut(&proxy)
                    && let Some((leaf, roots)) = real.coming.take()
                {
                    real.leaf = leaf;
                    // What the authority says counts until the control plane says more.
                    real.trusted.extend(roots);
                }
                self.report(proxy);
            }
            Event::Leave(proxy) => {
                if self.proxies.get(&proxy).is_some_and(|real| real.connected) {
                    self.proxies.remove(&proxy);
                    self.fleet.left(&name(proxy));
                    self.audit.push(Line::Left(name(proxy)));
                }
            }
            Event::Kill(proxy) => {
                if let Some(real) = self.proxies.remove(&proxy) {
                    self.fleet.disconnected(&name(proxy), real.stream);
                }
            }
            Event::Begin => {
                let next = self.running.next_generation();
                let old = BTreeSet::from([root(self.running.current)]);
                let (id, new) = (self.now.to_string(), [root(next)].into());
                if let Ok(record) = self.running.begin(id, old, new, (self.now, 0)) {
                    self.record = record.clone();
                    self.running = record;
                }
            }
            Event::Abort => {
                if let Ok(record) = self.running.abort(self.now) {
                    self.record = record.clone();
                    self.running = record;
                }
            }
            Event::Step | Event::StepAndCrash => {
                self.fleet.expire(self.now);
                if let Next::Go(record) = self.running.next(&self.fleet.holders(), self.now) {
                    // Written down first, then done.
                    self.record = record.clone();
                    if matches!(event, Event::Step) {
                        self.running = record;
                    } else {
                        self.restart();
                    }
                }
            }
            Event::Restart => self.restart(),
            Event::Wait(time) => self.now += time,
        }
    }

    fn restart(&mut self) {
        self.running = self.record.clone();
        self.fleet = Fleet::default();
        for line in self.audit.clone() {
            match line {
                Line::Issued(leaf) => self.fleet.issued(leaf),
                Line::Left(workload) => drop(self.fleet.left(&workload)),
            }
        }
        for real in self.proxies.values_mut() {
            real.connected = false;
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let live = || {
            self.proxies
                .iter()
                .filter(|(_, real)| real.leaf.2 > self.now)
        };
        for (a, presenting) in live() {
            for (b, checking) in live() {
                prop_assert!(
                    checking.trusted.contains(&presenting.leaf.1),
                    "p{b} does not trust p{a}: {checking:?} {presenting:?} in {:?}",
                    self.running
                );
            }
        }
        Ok(())
    }
}

fn event() -> impl Strategy<Value = Event> {
    let proxy = 0_u8..4;
    prop_oneof![
        2 => proxy.clone().prop_map(Event::Join),
        6 => proxy.clone().prop_map(Event::Connect),
        2 => proxy.clone().prop_map(Event::Cut),
        2 => proxy.clone().prop_map(Event::Ask),
        6 => proxy.clone().prop_map(Event::Arrive),
        1 => proxy.clone().prop_map(Event::Leave),
        1 => proxy.prop_map(Event::Kill),
        3 => Just(Event::Begin),
        1 => Just(Event::Abort),
        8 => Just(Event::Step),
        1 => Just(Event::StepAndCrash),
        1 => Just(Event::Restart),
        1 => (1_i64..LIFE).prop_map(Event::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_live_proxy_has_a_leaf_that_a_peer_does_not_trust(events in prop::collection::vec(event(), 1..120)) {
        let mut mesh = Mesh::new();
        for event in &events {
            mesh.take(event);
            mesh.check()?;
        }
    }

    // Whatever has happened, it ends once all that live are reached.
    #[test]
    fn every_rotation_ends_when_everybody_is_reached(events in prop::collection::vec(event(), 1..80)) {
        let mut mesh = Mesh::new();
        for event in &events {
            mesh.take(event);
        }
        mesh.take(&Event::Begin);
        // What nobody holds any more expires; who lives renews.
        mesh.now += LIFE / 2;
        let live: Vec<u8> = mesh.proxies.keys().copied().collect();
        for _ in 0..2 {
            for proxy in &live {
                mesh.take(&Event::Connect(*proxy));
                mesh.take(&Event::Ask(*proxy));
                mesh.take(&Event::Arrive(*proxy));
            }
            mesh.now += LIFE / 2 + 200;
        }
        for _ in 0..4 {
            for proxy in &live {
                mesh.take(&Event::Connect(*proxy));
                mesh.take(&Event::Arrive(*proxy));
            }
            mesh.take(&Event::Step);
            mesh.check()?;
        }
        prop_assert_eq!(&mesh.running.rotation, &None, "{:?}", mesh.fleet.holders());
    }
}

#[test]
fn who_cannot_be_reached_blocks_the_retirement_and_is_named() {
    let mut mesh = Mesh::new();
    for event in [
        Event::Join(1),
        Event::Join(2),
        Event::Connect(1),
        Event::Connect(2),
    ] {
        mesh.take(&event);
    }
    mesh.take(&Event::Begin);
    for event in [
        Event::Connect(1),
        Event::Connect(2),
        Event::Step,
        Event::Cut(2),
    ] {
        mesh.take(&event);
    }
    let phase = |mesh: &Mesh| {
        mesh.running
            .rotation
            .as_ref()
            .map(|rotation| rotation.phase)
    };
    assert_eq!(phase(&mesh), Some(Phase::Signing));
    for event in [Event::Connect(1), Event::Arrive(1), Event::Step] {
        mesh.take(&event);
    }
    let Next::Wait(blockers) = mesh.running.next(&mesh.fleet.holders(), mesh.now) else {
        panic!("it must wait");
    };
    assert_eq!(blockers.len(), 1);
    assert_eq!(blockers[0].name, "default/p2");
    // Back again, with the old leaf.
    for event in [Event::Connect(2), Event::Step] {
        mesh.take(&event);
    }
    assert_eq!(phase(&mesh), Some(Phase::Signing));
    mesh.take(&Event::Arrive(2));
    mesh.take(&Event::Step);
    assert_eq!(phase(&mesh), Some(Phase::Retiring));
    assert!(mesh.running.abort(mesh.now).is_err());
    for event in [Event::Connect(1), Event::Connect(2), Event::Step] {
        mesh.take(&event);
    }
    assert_eq!((phase(&mesh), mesh.running.current), (None, 1));
}
