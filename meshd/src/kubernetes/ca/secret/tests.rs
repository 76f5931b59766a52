use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + DAY * 20_000
}

struct World {
    found: Found,
    memory: Option<Secret>,
    now: SystemTime,
    writes: Vec<String>,
}

impl World {
    fn new() -> Self {
        Self {
            found: Found::default(),
            memory: None,
            now: now(),
            writes: Vec::new(),
        }
    }

    fn plan(&self) -> Result<Plan, AuthoritySecretError> {
        let options = AuthorityOptions::default();
        plan("ns", &self.found, self.memory.as_ref(), &options, self.now)
    }

    /// Does what is to be done until nothing is.
    fn settle(&mut self) -> Result<Loaded, AuthoritySecretError> {
        for _ in 0..10 {
            match self.plan()? {
                Plan::Use(loaded) => {
                    self.memory = self.found.own.clone();
                    return Ok(*loaded);
                }
                Plan::Create(secret) => {
                    assert!(self.found.own.is_none(), "nothing is overwritten");
                    self.writes.push("create".to_owned());
                    self.found.own = Some(*secret);
                }
                Plan::Replace(secret, why) => {
                    self.writes.push(why.to_owned());
                    self.found.own = Some(*secret);
                }
            }
        }
        panic!("it never settles: {:?}", self.writes);
    }

    fn own(&mut self) -> &mut BTreeMap<String, ByteString> {
        self.found.own.as_mut().unwrap().data.as_mut().unwrap()
    }

    fn names(&self) -> Vec<String> {
        let own = self.found.own.as_ref().unwrap();
        own.data.as_ref().unwrap().keys().cloned().collect()
    }
}

/// A plugged-in authority, by way of ours: its names are other ones.
fn cacerts() -> Secret {
    let made = AuthorityMaterial::generate(&AuthorityOptions::default(), now()).unwrap();
    let data = made.to_data().unwrap();
    let names = [
        ("root.pem", "root-cert.pem"),
        ("intermediate.pem", "ca-cert.pem"),
        ("intermediate.key", "ca-key.pem"),
    ];
    Secret {
        data: Some(
            names
                .map(|(ours, istio)| (istio.to_owned(), ByteString(data[ours].to_vec())))
                .into(),
        ),
        ..Secret::default()
    }
}

fn roots(secret: &Secret, name: &str) -> Vec<Vec<u8>> {
    certificates(&secret.data.as_ref().unwrap()[name].0)
}

#[test]
fn the_first_one_makes_everything_and_the_next_one_reads_it() {
    let mut world = World::new();
    let first = world.settle().unwrap();
    assert_eq!(world.writes, ["create", "its roots have changed"]);
    let names = [
        "active-roots.pem",
        "intermediate.key",
        "intermediate.pem",
        "root.key",
        "root.pem",
        "token.key",
    ];
    assert_eq!(world.names(), names);
    let second = world.settle().unwrap();
    assert_eq!(world.writes.len(), 2, "nothing more to do");
    assert_eq!(first.material, second.material);
    assert_eq!(first.token_key.0, second.token_key.0);
    assert_eq!(first.more_roots, first.material.roots_der());
    let own = world.found.own.as_ref().unwrap();
    assert_eq!(own.metadata.name.as_deref(), Some("mesh-ca"));
    assert_eq!(own.metadata.namespace.as_deref(), Some("ns"));
    let key = String::from_utf8(world.own()["root.key"].0.clone()).unwrap();
    assert!(!format!("{first:?}").contains(key.lines().nth(1).unwrap()));
}

#[test]
fn cacerts_goes_first_and_what_signed_before_stays_trusted() {
    let mut world = World::new();
    let ours = world.settle().unwrap();
    let our_root = ours.material.roots_der()[0].clone();
    world.found.cacerts = Some(cacerts());
    let plugged_in = world.settle().unwrap();
    let their_root = roots(world.found.cacerts.as_ref().unwrap(), "root-cert.pem");
    assert_eq!(plugged_in.material.roots_der(), their_root);
    assert!(plugged_in.more_roots.contains(&our_root));
    assert_eq!(plugged_in.token_key.0, ours.token_key.0);

    // Another one: the one before is retired until nothing of it can be in use.
    world.found.cacerts = Some(cacerts());
    let next = world.settle().unwrap();
    assert!(next.more_roots.contains(&their_root[0]) && next.more_roots.contains(&our_root));
    assert!(
        world
            .names()
            .iter()
            .any(|name| name.starts_with("retired-roots-"))
    );
    world.now += DAY * 89;
    assert!(world.settle().unwrap().more_roots.contains(&their_root[0]));
    world.now += DAY * 2;
    let later = world.settle().unwrap();
    assert!(!later.more_roots.contains(&their_root[0]));
    assert!(
        !world
            .names()
            .iter()
            .any(|name| name.starts_with("retired-roots-"))
    );

    // And back.
    world.found.cacerts = None;
    let back = world.settle().unwrap();
    assert_eq!(back.material.roots_der(), [our_root]);
}

#[test]
fn with_cacerts_from_the_start_no_key_is_made() {
    let mut world = World::new();
    world.found.cacerts = Some(cacerts());
    world.settle().unwrap();
    assert_eq!(world.names(), ["active-roots.pem", "token.key"]);
    world.found.cacerts = None;
    world.settle().unwrap();
    assert!(world.names().contains(&"root.key".to_owned()));
}

#[test]
fn a_retired_root_may_be_distrusted_by_hand() {
    let mut world = World::new();
    for _ in 0..2 {
        world.found.cacerts = Some(cacerts());
        world.settle().unwrap();
    }
    let retired = world
        .names()
        .into_iter()
        .find(|name| name.starts_with("retired"))
        .unwrap();
    assert_eq!(world.settle().unwrap().more_roots.len(), 2);
    world.own().remove(&retired);
    assert_eq!(world.settle().unwrap().more_roots.len(), 1);
}

#[test]
fn a_deleted_secret_is_restored_while_somebody_remembers_it() {
    let mut world = World::new();
    let before = world.settle().unwrap();
    world.found.own = None;
    let after = world.settle().unwrap();
    assert_eq!(before.material, after.material);
    assert_eq!(before.token_key.0, after.token_key.0);

    world.found.own = None;
    world.memory = None;
    assert_ne!(world.settle().unwrap().material, before.material);
}

#[test]
fn an_intermediate_is_renewed_in_its_secret() {
    let mut world = World::new();
    let before = world.settle().unwrap();
    world.now += DAY * 300;
    let after = world.settle().unwrap();
    assert_eq!(
        world.writes.last().unwrap(),
        "its intermediate certificate is due"
    );
    assert_ne!(before.material, after.material);
    assert_eq!(before.material.roots_der(), after.material.roots_der());
}

#[test]
fn what_is_wrong_is_told_and_nothing_is_overwritten() {
    type Damage = fn(&mut World);
    let cases: [(&str, Damage); 6] = [
        ("token.key of Secret ns/mesh-ca", |world| {
            world
                .own()
                .insert("token.key".to_owned(), ByteString(vec![1; 3]));
        }),
        (
            "intermediate.key of Secret ns/mesh-ca is missing",
            |world| {
                world.own().remove("intermediate.key");
            },
        ),
        ("root.pem of Secret ns/mesh-ca is missing", |world| {
            world.own().remove("root.pem");
        }),
        ("root.key of Secret ns/mesh-ca is damaged", |world| {
            world
                .own()
                .insert("root.key".to_owned(), ByteString(b"x".to_vec()));
        }),
        ("root-cert.pem of Secret ns/cacerts is missing", |world| {
            world.found.cacerts = Some(Secret::default());
        }),
        ("root-cert.pem of Secret ns/cacerts", |world| {
            let mut mixed = cacerts();
            let other = cacerts().data.unwrap()["root-cert.pem"].clone();
            mixed
                .data
                .as_mut()
                .unwrap()
                .insert("root-cert.pem".to_owned(), other);
            world.found.cacerts = Some(mixed);
        }),
    ];
    for (words, damage) in cases {
        let mut world = World::new();
        world.settle().unwrap();
        damage(&mut world);
        let writes = world.writes.len();
        let error = world.settle().unwrap_err().to_string();
        assert!(error.contains(words), "wanted `{words}`: {error}");
        assert_eq!(world.writes.len(), writes);
    }
}
