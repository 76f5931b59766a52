use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn open(dir: &Path) -> Result<Authority, AuthorityError> {
    Authority::open(dir, &AuthorityOptions::default())
}

fn copy(from: &Path, to: &Path, names: &[&str]) {
    for name in names {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

fn request() -> Issue {
    Issue {
        identity: "spiffe://cluster.local/ns/default/sa/reviews"
            .parse()
            .unwrap(),
        csr_der: SecretKey::generate()
            .unwrap()
            .certificate_request()
            .unwrap(),
        ttl: None,
        dns_names: Vec::new(),
        binding: None,
    }
}

#[test]
fn is_created_once_and_loaded_after() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/ca");
    let first = open(&path).unwrap();
    let second = open(&path).unwrap();
    assert_eq!(first.roots_der(), second.roots_der());
    let now = SystemTime::now();
    assert_eq!(
        first.issue(&request(), now).unwrap().chain_der[1],
        second.issue(&request(), now).unwrap().chain_der[1]
    );
    for name in ["root.key", "intermediate.key"] {
        assert_eq!(
            fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777,
            0o600,
            "{name}"
        );
    }
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let key = fs::read_to_string(path.join("intermediate.key")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    assert!(!format!("{first:?}").contains(secret));
}

#[test]
fn many_that_begin_at_once_make_one_root() {
    let dir = tempfile::tempdir().unwrap();
    let roots: std::collections::BTreeSet<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| open(dir.path()).unwrap().roots_der().to_vec()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(roots.len(), 1);
}

#[test]
fn what_is_wrong_is_named() {
    let good = tempfile::tempdir().unwrap();
    open(good.path()).unwrap();
    let other = tempfile::tempdir().unwrap();
    open(other.path()).unwrap();
    let all = [
        "root.pem",
        "root.key",
        "intermediate.pem",
        "intermediate.key",
    ];
    type Damage = fn(&Path, &Path);
    let cases: [(&str, &[&str], Damage); 10] = [
        ("chmod 600", &["root.key"], |dir, _| {
            chmod(&dir.join("root.key"), 0o644);
        }),
        ("chmod 600", &["intermediate.key"], |dir, _| {
            chmod(&dir.join("intermediate.key"), 0o604);
        }),
        ("damaged", &["root.pem"], |dir, _| {
            fs::write(dir.join("root.pem"), "nonsense").unwrap();
        }),
        ("damaged", &["intermediate.pem"], |dir, _| {
            fs::write(dir.join("intermediate.pem"), "").unwrap();
        }),
        ("damaged", &["intermediate.key"], |dir, _| {
            fs::write(dir.join("intermediate.key"), "x").unwrap();
        }),
        ("another key", &["root.pem", "root.key"], |dir, other| {
            copy(other, dir, &["root.key"]);
        }),
        (
            "another key",
            &["intermediate.pem", "intermediate.key"],
            |dir, other| copy(other, dir, &["intermediate.key"]),
        ),
        (
            "has signed it",
            &["intermediate.pem", "root.pem"],
            |dir, other| copy(other, dir, &["root.pem", "root.key"]),
        ),
        ("is missing", &["root.pem"], |dir, _| {
            fs::remove_file(dir.join("root.pem")).unwrap();
        }),
        ("is missing", &["intermediate.key"], |dir, _| {
            fs::remove_file(dir.join("intermediate.key")).unwrap();
        }),
    ];
    for (want, files, damage) in cases {
        let dir = tempfile::tempdir().unwrap();
        copy(good.path(), dir.path(), &all);
        damage(dir.path(), other.path());
        let error = open(dir.path()).unwrap_err().to_string();
        assert!(error.contains(want), "wanted `{want}`: {error}");
        for file in files {
            assert!(error.contains(file), "wanted `{file}`: {error}");
        }
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_trust_domain_stays() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).unwrap();
    let options = AuthorityOptions {
        trust_domain: "example.org".parse().unwrap(),
        ..AuthorityOptions::default()
    };
    let error = Authority::open(dir.path(), &options)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("cluster.local")
            && error.contains("example.org")
            && error.contains("root.pem"),
        "{error}"
    );
}

#[test]
fn an_interrupted_first_start_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).unwrap();
    for name in ["root.pem", "intermediate.pem", "intermediate.key"] {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    open(dir.path())
        .unwrap()
        .issue(&request(), SystemTime::now())
        .unwrap();
}

#[test]
fn the_root_key_may_be_kept_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).unwrap();
    fs::remove_file(dir.path().join("root.key")).unwrap();
    open(dir.path())
        .unwrap()
        .issue(&request(), SystemTime::now())
        .unwrap();
    fs::remove_file(dir.path().join("intermediate.pem")).unwrap();
    let error = open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("root.key"), "{error}");
}

#[test]
fn the_intermediate_is_renewed_in_its_last_third_and_old_leaves_stay_good() {
    let dir = tempfile::tempdir().unwrap();
    let start = SystemTime::now();
    let authority = Authority::open_at(dir.path(), &AuthorityOptions::default(), start).unwrap();
    let before = authority.issue(&request(), start).unwrap();
    assert!(
        !authority
            .renew_intermediate_if_due(start + 200 * DAY)
            .unwrap()
    );
    assert!(
        authority
            .renew_intermediate_if_due(start + 300 * DAY)
            .unwrap()
    );
    let after = authority.issue(&request(), start + 300 * DAY).unwrap();
    assert_ne!(before.chain_der[1], after.chain_der[1]);
    let key = |der: &[u8]| {
        use x509_parser::prelude::{FromDer, X509Certificate};
        X509Certificate::from_der(der)
            .unwrap()
            .1
            .public_key()
            .raw
            .to_vec()
    };
    assert_eq!(key(&before.chain_der[1]), key(&after.chain_der[1]));
    let again =
        Authority::open_at(dir.path(), &AuthorityOptions::default(), start + 301 * DAY).unwrap();
    assert_eq!(
        again
            .issue(&request(), start + 301 * DAY)
            .unwrap()
            .chain_der[1],
        after.chain_der[1]
    );
}

#[test]
fn an_intermediate_that_expired_while_off_is_replaced_or_named() {
    let dir = tempfile::tempdir().unwrap();
    let start = SystemTime::now();
    Authority::open_at(dir.path(), &AuthorityOptions::default(), start).unwrap();
    let later = start + 400 * DAY;
    let key = dir.path().join("root.key");
    let secret = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let error = Authority::open_at(dir.path(), &AuthorityOptions::default(), later)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("intermediate.pem") && error.contains("expired"),
        "{error}"
    );
    fs::write(&key, secret).unwrap();
    chmod(&key, 0o600);
    Authority::open_at(dir.path(), &AuthorityOptions::default(), later)
        .unwrap()
        .issue(&request(), later)
        .unwrap();
}

#[test]
fn leaves_end_with_their_issuer() {
    let dir = tempfile::tempdir().unwrap();
    let start = SystemTime::now();
    let authority = Authority::open_at(dir.path(), &AuthorityOptions::default(), start).unwrap();
    let late = start + 365 * DAY - HOUR;
    let issued = authority.issue(&request(), late).unwrap();
    assert!(issued.not_after <= start + 365 * DAY);
    assert_eq!(
        authority.issue(&request(), start + 366 * DAY).unwrap_err(),
        Refusal::AuthorityExpired
    );
}

#[test]
fn what_was_revoked_stays_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let authority = open(dir.path()).unwrap();
    let now = SystemTime::now();
    let serials: Vec<String> = (0..3)
        .map(|_| authority.issue(&request(), now).unwrap().serial)
        .collect();
    assert!(authority.material().crls_der().is_empty());
    authority.revoke(&serials[0], now).unwrap();
    authority
        .revoke(&serials[1].to_ascii_uppercase(), now)
        .unwrap();
    for nonsense in ["", "x", "abc", "é0"] {
        assert!(authority.revoke(nonsense, now).is_err(), "{nonsense}");
    }
    // Also after a restart, and in the layout of Istio.
    let again = open(dir.path()).unwrap();
    let istio = tempfile::tempdir().unwrap();
    for (ours, theirs) in [
        ("root.pem", "root-cert.pem"),
        ("intermediate.pem", "ca-cert.pem"),
        ("intermediate.key", "ca-key.pem"),
        ("crl.pem", "ca-crl.pem"),
    ] {
        fs::copy(dir.path().join(ours), istio.path().join(theirs)).unwrap();
    }
    let options = AuthorityOptions::default();
    let plugged_in = AuthorityMaterial::from_dir(Layout::Cacerts, istio.path(), &options).unwrap();
    let plugged_in = Authority::from_material(plugged_in, &options).unwrap();
    for authority in [&authority, &again, &plugged_in] {
        let revoked: Vec<bool> = serials.iter().map(|s| authority.is_revoked(s)).collect();
        assert_eq!(revoked, [true, true, false]);
        assert_eq!(authority.material().crls_der().len(), 1);
    }
    fs::write(istio.path().join("ca-crl.pem"), "nonsense").unwrap();
    let error = AuthorityMaterial::from_dir(Layout::Cacerts, istio.path(), &options).unwrap_err();
    assert!(error.to_string().contains("ca-crl.pem"), "{error}");
}
