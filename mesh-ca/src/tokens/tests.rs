use proptest::prelude::*;

use super::*;

fn claims(single_use: bool) -> JoinClaims {
    JoinClaims {
        workload: "default/reviews-v1".parse().unwrap(),
        service_account: "reviews".to_owned(),
        expires: at(1_000),
        single_use,
        labels: [].into(),
    }
}

fn at(seconds: u64) -> SystemTime {
    // Far in the future, so that opening does not forget what the tests used.
    SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000 + seconds)
}

#[test]
fn says_what_it_was_made_for_until_it_expires() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = JoinTokens::open(dir.path()).unwrap();
    let token = tokens.mint(&claims(false)).unwrap();
    assert_eq!(tokens.verify(&token, at(0)).unwrap(), claims(false));
    assert_eq!(
        tokens.verify(&format!(" {token}\n"), at(999)).unwrap(),
        claims(false),
        "reusable, and trimmed"
    );
    assert!(matches!(
        tokens.verify(&token, at(1_000)),
        Err(TokenRefusal::Expired { ago_seconds: 0 })
    ));
    assert!(matches!(
        tokens.verify(&token, at(1_060)),
        Err(TokenRefusal::Expired { ago_seconds: 60 })
    ));
}

#[test]
fn grants_the_labels_that_it_was_made_with() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = JoinTokens::open(dir.path()).unwrap();
    let granting = JoinClaims {
        labels: [("app".to_owned(), "reviews".to_owned())].into(),
        ..claims(false)
    };
    let token = tokens.mint(&granting).unwrap();
    assert_eq!(tokens.verify(&token, at(0)).unwrap(), granting);
    assert_eq!(granting.binding().labels, granting.labels);
    // More than the authority would read again, or write into a certificate.
    for value in ["x".repeat(2048), "\"".repeat(1500)] {
        let labels = [("app".to_owned(), value)].into();
        let error = tokens.mint(&JoinClaims {
            labels,
            ..claims(false)
        });
        let error = error.unwrap_err().to_string();
        assert!(error.contains("2048"), "{error}");
    }
}

#[test]
fn one_that_grants_nothing_has_the_form_that_it_always_had() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = JoinTokens::open(dir.path()).unwrap();
    let token = tokens.mint(&claims(true)).unwrap();
    let wire = URL_SAFE_NO_PAD.decode(token.split('.').nth(2).unwrap());
    let wire: serde_json::Value = serde_json::from_slice(&wire.unwrap()).unwrap();
    let mut fields: Vec<&String> = wire.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["e", "i", "o", "s", "w"]);
    let read = tokens.check(&token, at(0)).unwrap();
    assert!(read.claims().labels.is_empty());
}

#[test]
fn single_use_holds_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = JoinTokens::open(dir.path()).unwrap();
    let token = tokens.mint(&claims(true)).unwrap();
    tokens.verify(&token, at(0)).unwrap();
    assert!(matches!(
        tokens.verify(&token, at(0)),
        Err(TokenRefusal::Replayed)
    ));
    let again = JoinTokens::open(dir.path()).unwrap();
    assert!(matches!(
        again.verify(&token, at(0)),
        Err(TokenRefusal::Replayed)
    ));
}

#[test]
fn the_holder_may_repeat_a_lost_request() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = JoinTokens::open(dir.path()).unwrap();
    let checked = tokens
        .check(&tokens.mint(&claims(true)).unwrap(), at(0))
        .unwrap();
    tokens.redeem(&checked, b"key one").unwrap();
    tokens.redeem(&checked, b"key one").unwrap();
    assert!(matches!(
        tokens.redeem(&checked, b"key two"),
        Err(TokenRefusal::Replayed)
    ));
    assert!(matches!(
        tokens.redeem(&checked, b""),
        Err(TokenRefusal::Replayed)
    ));
}

#[test]
fn one_of_many_wins_a_race() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = JoinTokens::open(dir.path()).unwrap();
    let token = tokens.mint(&claims(true)).unwrap();
    let won = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| tokens.verify(&token, at(0)).is_ok()))
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .filter(|won| *won)
            .count()
    });
    assert_eq!(won, 1);
}

#[test]
fn forgets_only_what_has_long_expired() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = JoinTokens::open(dir.path()).unwrap();
    tokens
        .verify(&tokens.mint(&claims(true)).unwrap(), at(0))
        .unwrap();
    let used = || {
        fs::read_dir(dir.path().join("used-tokens"))
            .unwrap()
            .count()
    };
    tokens.forget_expired(at(1_001));
    assert_eq!(used(), 1);
    tokens.forget_expired(at(1_001 + 3600));
    assert_eq!(used(), 0);
}

#[test]
fn tells_a_foreign_token_from_a_damaged_one() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tokens = JoinTokens::open(here.path()).unwrap();
    let foreign = JoinTokens::open(there.path())
        .unwrap()
        .mint(&claims(false))
        .unwrap();
    assert!(matches!(
        tokens.verify(&foreign, at(0)),
        Err(TokenRefusal::Foreign)
    ));
    for text in [
        "",
        ".",
        "...",
        "mesh1",
        "mesh1.a.b.c",
        "mesh2.a.b.c",
        &"a".repeat(5000),
    ] {
        let refusal = tokens.verify(text, at(0)).unwrap_err();
        assert!(
            matches!(refusal, TokenRefusal::Malformed | TokenRefusal::Foreign),
            "{text}: {refusal}"
        );
    }
    let own = tokens.mint(&claims(false)).unwrap();
    assert!(matches!(
        tokens.verify(&own[..own.len() - 1], at(0)),
        Err(TokenRefusal::Malformed)
    ));
}

#[test]
fn the_key_is_private_and_never_printed() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let tokens = JoinTokens::open(dir.path()).unwrap();
    let path = dir.path().join("token.key");
    let key = fs::read(&path).unwrap();
    assert!(!format!("{tokens:?}").contains(&URL_SAFE_NO_PAD.encode(&key)));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(
        JoinTokens::open(dir.path())
            .unwrap_err()
            .to_string()
            .contains("chmod 600")
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, b"short").unwrap();
    assert!(
        JoinTokens::open(dir.path())
            .unwrap_err()
            .to_string()
            .contains("token.key")
    );
}

proptest! {
    #[test]
    fn no_change_is_accepted(position in 0usize..400, replacement in any::<u8>()) {
        let dir = tempfile::tempdir().unwrap();
        let tokens = JoinTokens::open(dir.path()).unwrap();
        let token = tokens.mint(&claims(false)).unwrap();
        let mut bytes = token.clone().into_bytes();
        let position = position % bytes.len();
        bytes[position] = replacement;
        let changed = String::from_utf8_lossy(&bytes).into_owned();
        prop_assume!(changed.trim() != token);
        prop_assert!(tokens.check(&changed, at(0)).is_err());
    }

    #[test]
    fn any_text_is_refused(text in "\\PC{0,60}|mesh1\\.[a-zA-Z0-9_-]{0,20}\\.[a-zA-Z0-9_-]{0,60}\\.[a-zA-Z0-9_-]{0,60}") {
        let dir = tempfile::tempdir().unwrap();
        prop_assert!(JoinTokens::open(dir.path()).unwrap().check(&text, at(0)).is_err());
    }
}
