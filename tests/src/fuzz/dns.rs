//! What a captured workload asks, and what a DNS server answers.

use std::sync::OnceLock;

use mesh_api::{Hostname, v1};
use mesh_proxy_core::Snapshot;
use mesh_proxy_core::dns::upstream::{Worth, with_id, worth};
use mesh_proxy_core::dns::{
    Query, ResolvConf, Step, Transport, Unusable, after_upstream, names, reply, resolve,
};

use super::prefixed;

/// A query behind its length, and a server's response: answers are under the question's number and
/// name, and fit; a response to another question is never taken.
pub fn dns(data: &[u8]) {
    let _ = String::from_utf8_lossy(data).parse::<ResolvConf>();
    let Some((bytes, response)) = prefixed(data) else {
        return;
    };
    let query = match Query::parse(bytes) {
        Ok(query) => query,
        Err(Unusable::Ignore) => return,
        Err(Unusable::Refuse(answer)) => {
            assert_eq!(answer.get(..2), bytes.get(..2), "under another number");
            return;
        }
    };
    let search: Option<Hostname> = "default.svc.cluster.local".parse().ok();
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut snapshot = Snapshot::empty();
        let first = resolve(&query, &snapshot, search.as_ref(), transport, true);
        assert!(!matches!(first, Step::Answer(_)), "nothing is known");
        if let Step::Need(wanted) = first {
            assert!(!wanted.is_empty());
            let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
            snapshot = declared(&wanted);
        }
        let step = resolve(&query, &snapshot, search.as_ref(), transport, true);
        assert!(!matches!(step, Step::Need(_)), "all is known");
        if let Step::Answer(answer) = step {
            assert!(answer.len() <= query.limit(transport), "too long");
            assert_eq!(worth(&query, query.id(), &answer), Worth::Answer);
            let question = answer.get(12..12 + query.question().len());
            assert_eq!(question, Some(query.question()), "the case of letters");
        }
        let _ = after_upstream(&query, response, &snapshot, search.as_ref(), transport);
    }
    assert!(names(&query, search.as_ref()).len() <= 2);
    let failure = reply::server_failure(&query);
    assert_eq!(worth(&query, query.id(), &failure), Worth::Failure);
    let id = query.id().wrapping_add(1);
    assert_eq!(
        worth(&query, query.id(), &with_id(&failure, id)),
        Worth::Foreign
    );
    let _ = worth(&query, query.id(), response);
}

fn declared(names: &[String]) -> Snapshot {
    static ADDRESSES: OnceLock<Vec<String>> = OnceLock::new();
    let addresses =
        ADDRESSES.get_or_init(|| (0..40).map(|last| format!("10.0.0.{last}")).collect());
    let resource = |name: &String| v1::Resource {
        name: name.clone(),
        version: "1".into(),
        body: Some(v1::resource::Body::NameAddresses(v1::Name {
            hostname: name.trim_start_matches("name/").to_owned(),
            addresses: addresses.clone(),
            declared: String::new(),
        })),
    };
    let response = v1::DiscoveryResponse {
        upsert: names.iter().map(resource).collect(),
        ..v1::DiscoveryResponse::default()
    };
    let applied = Snapshot::empty().apply(&response);
    assert!(applied.rejected.is_empty(), "{:?}", applied.rejected);
    applied.snapshot
}
