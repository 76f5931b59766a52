use super::*;

fn node(address: &str) -> Node {
    Node {
        workload: "default/reviews-v1".into(),
        addresses: vec![address.to_owned()],
        registration: Some(Registration::default()),
        ..Node::default()
    }
}

fn labels() -> BTreeMap<String, String> {
    [("app".to_owned(), "reviews".to_owned())].into()
}

fn identity() -> SpiffeId {
    "spiffe://cluster.local/ns/default/sa/bookinfo-reviews"
        .parse()
        .unwrap()
}

fn open(dir: &Path) -> (Registrar, Registrations, Vec<Change>) {
    Registrar::open(dir, SelfRegistration::Granted).unwrap()
}

fn next(registrar: &mut Registrar) -> Option<Edit> {
    let event = registrar.events.try_recv().unwrap();
    registrar.take(event)
}

#[test]
fn comes_changes_and_goes_after_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let (mut registrar, registrations, first) = open(dir.path());
    assert!(first.is_empty());
    let stay = registrations
        .enter(&node("10.0.0.1"), labels(), &identity(), 1)
        .unwrap();
    let text = registrar
        .events
        .try_recv()
        .map(|event| registrar.take(event))
        .unwrap()
        .unwrap();
    let mut store = meshd_core::Store::new();
    let endpoint = registrar.entries.values().next().unwrap().endpoint.clone();
    let workload: WorkloadName = "default/reviews-v1".parse().unwrap();
    assert_eq!(
        text,
        Edit::new().set(file(&workload), endpoint.object(&workload))
    );
    store.set_file(&file(&workload), &endpoint.object(&workload));
    let world = store.world(&meshd_core::MeshSettings::default());
    assert!(world.problems().is_empty(), "{:?}", world.problems());
    let known = world.workload(&workload).unwrap();
    assert_eq!(known.address, "10.0.0.1");
    assert_eq!(known.service_account, "bookinfo-reviews");

    // The same again, after a reconnect: the old stream's end means nothing.
    let again = registrations
        .enter(&node("10.0.0.1"), labels(), &identity(), 2)
        .unwrap();
    drop(stay);
    assert_eq!(next(&mut registrar), None);
    assert_eq!(next(&mut registrar), None);
    assert!(registrar.expire(clock::instant() + GRACE * 2).is_none());

    drop(again);
    assert_eq!(next(&mut registrar), None);
    assert!(registrar.expire(clock::instant()).is_none());
    let gone = registrar.expire(clock::instant() + GRACE * 2);
    assert_eq!(gone, Some(Edit::new().remove(file(&workload))));
}

#[test]
fn who_drains_goes_at_once_and_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let (mut registrar, registrations, _) = open(dir.path());
    let stay = registrations
        .enter(&node("10.0.0.1"), labels(), &identity(), 1)
        .unwrap();
    assert!(next(&mut registrar).is_some());
    stay.leave();
    assert!(next(&mut registrar).is_some());
    drop(stay);
    assert!(next(&mut registrar).is_none());
}

#[test]
fn a_restart_forgets_nobody_who_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let (mut registrar, registrations, _) = open(dir.path());
    let _stay = registrations.enter(&node("10.0.0.1"), labels(), &identity(), 1);
    assert!(next(&mut registrar).is_some());
    registrar.save().unwrap();

    let (mut registrar, registrations, first) = open(dir.path());
    assert_eq!(first.len(), 1);
    let _stay = registrations.enter(&node("10.0.0.1"), labels(), &identity(), 1);
    assert!(next(&mut registrar).is_none(), "nothing changed");
    assert!(registrar.expire(clock::instant() + RETURN * 2).is_none());

    let never = Registrar::open(dir.path(), SelfRegistration::Never).unwrap();
    assert!(never.2.is_empty(), "all are declared by now");
    let (mut registrar, ..) = open(dir.path());
    assert!(
        registrar.expire(clock::instant() + RETURN * 2).is_some(),
        "it did not come back"
    );
}

#[test]
fn without_an_address_nobody_registers() {
    let dir = tempfile::tempdir().unwrap();
    let (_registrar, registrations, _) = open(dir.path());
    let silent = Node {
        addresses: Vec::new(),
        ..node("10.0.0.1")
    };
    assert!(
        registrations
            .enter(&silent, labels(), &identity(), 1)
            .is_none()
    );
    let plain = Node {
        registration: None,
        ..node("10.0.0.1")
    };
    assert!(
        registrations
            .enter(&plain, labels(), &identity(), 1)
            .is_none()
    );
}
