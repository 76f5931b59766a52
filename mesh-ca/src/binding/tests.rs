use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair};

use super::*;
use crate::peer::{PeerIdentityError, certificate_binding};

fn binding(labels: &[(&str, &str)]) -> WorkloadBinding {
    let labels = labels
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    WorkloadBinding {
        workload: "default/reviews-v1".parse().unwrap(),
        labels: labels.collect(),
    }
}

fn der(json: &str) -> Vec<u8> {
    assert!(json.len() < 128);
    let mut der = vec![0x0c, u8::try_from(json.len()).unwrap()];
    der.extend(json.bytes());
    der
}

#[test]
fn has_the_form_that_is_documented() {
    assert_eq!(
        binding(&[("version", "v1"), ("app", "reviews")])
            .encode()
            .unwrap(),
        der(r#"{"w":"default/reviews-v1","l":{"app":"reviews","version":"v1"}}"#)
    );
    assert_eq!(
        binding(&[]).encode().unwrap(),
        der(r#"{"w":"default/reviews-v1"}"#)
    );
}

#[test]
fn every_other_form_is_refused() {
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("no string", vec![0x05, 0x00]),
        ("a tail", [der(r#"{"w":"a/b"}"#), vec![0]].concat()),
        ("spaces", der(r#"{"w": "a/b"}"#)),
        ("no workload", der(r#"{"l":{"app":"a"}}"#)),
        ("a name that is none", der(r#"{"w":"a/b/c"}"#)),
        ("a workload twice", der(r#"{"w":"a/b","w":"a/c"}"#)),
        (
            "a label twice",
            der(r#"{"w":"a/b","l":{"app":"a","app":"b"}}"#),
        ),
        (
            "labels out of order",
            der(r#"{"w":"a/b","l":{"b":"","a":""}}"#),
        ),
        ("labels that are none", der(r#"{"w":"a/b","l":["app"]}"#)),
        ("empty labels", der(r#"{"w":"a/b","l":{}}"#)),
        ("more", der(r#"{"w":"a/b","x":1}"#)),
        (
            "a long form of the length",
            [&[0x0c, 0x81, 11][..], br#"{"w":"a/b"}"#].concat(),
        ),
        ("not UTF-8", vec![0x0c, 2, 0xc3, 0x28]),
    ] {
        assert_eq!(
            WorkloadBinding::decode(&bytes),
            Err(InvalidBinding),
            "{what}"
        );
    }
}

#[test]
fn one_that_is_too_long_is_not_written() {
    let long = "x".repeat(LONGEST);
    assert_eq!(
        binding(&[("app", &long)]).encode(),
        Err(InvalidLabels::TooLong)
    );
    let labels = [("app".to_owned(), "x".repeat(LONGEST_LABELS))];
    assert_eq!(collect_labels(labels), Err(InvalidLabels::TooLong));
}

#[test]
fn labels_are_read_as_they_are_given() {
    assert_eq!(
        parse_label(" app=a=b"),
        Ok(("app".to_owned(), "a=b".to_owned()))
    );
    assert_eq!(parse_label("app="), Ok(("app".to_owned(), String::new())));
    for text in [
        "",
        "app",
        "=a",
        "a=b c",
        "a=b\u{7}",
        "a=b,c=d",
        &format!("{}=a", "k".repeat(318)),
    ] {
        assert!(
            matches!(parse_label(text), Err(InvalidLabels::Label(_))),
            "{text}"
        );
    }
    let twice = ["app=a", "app=b"].map(|text| parse_label(text).unwrap());
    assert_eq!(
        collect_labels(twice),
        Err(InvalidLabels::Twice("app".to_owned()))
    );
}

/// A certificate with these extensions of ours.
fn certificate(values: &[&[u8]]) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.custom_extensions = values
        .iter()
        .map(|value| CustomExtension::from_oid_content(&OID, value.to_vec()))
        .collect();
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

#[test]
fn one_in_a_certificate_is_found_and_what_is_damaged_is_refused() {
    let good = binding(&[("app", "reviews")]);
    let value = good.encode().unwrap();
    assert_eq!(certificate_binding(&certificate(&[])), Ok(None));
    assert_eq!(certificate_binding(&certificate(&[&value])), Ok(Some(good)));
    for values in [&[&b""[..]][..], &[&value[1..]], &[&value, &value]] {
        let read = certificate_binding(&certificate(values));
        // Some readers of certificates refuse an extension that is there twice by themselves.
        assert!(
            matches!(
                read,
                Err(PeerIdentityError::Binding(_) | PeerIdentityError::Malformed)
            ),
            "{read:?}"
        );
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        name in "[a-z0-9]{1,20}/[a-z0-9]{1,60}",
        labels in prop::collection::btree_map("\\PC{1,20}", "\\PC{0,20}", 0..12),
    ) {
        let binding = WorkloadBinding { workload: name.parse().unwrap(), labels };
        prop_assert_eq!(WorkloadBinding::decode(&binding.encode().unwrap()), Ok(binding));
    }

    // Whatever is not written by us is refused: it never comes out as another workload.
    #[test]
    fn a_changed_octet_is_another_binding_or_none(
        at in any::<prop::sample::Index>(),
        octet in any::<u8>(),
    ) {
        let mut bytes = binding(&[("app", "reviews")]).encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = octet;
        if let Ok(read) = WorkloadBinding::decode(&bytes) {
            prop_assert_eq!(read.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn nonsense_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(WorkloadBinding::decode(&bytes), Err(InvalidBinding));
    }
}
