//! Keys that were fetched, in the state directory: a control plane that starts again knows them
//! while their issuer cannot be asked.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use meshd_core::KeySource;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::fetch::is_key_set;
use crate::clock::unix_seconds;
use crate::https::LONGEST;

/// Older ones are not taken after a restart: an issuer may have withdrawn them long ago.
pub(super) const OLDEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Clocks differ; what is from further in the future is not known to be young.
const AHEAD: i64 = 5 * 60;
/// As text in text a document is at most so many times as long.
const ESCAPED: usize = 6;
/// All else of a file.
const FRAME: usize = 16 * 1024;

/// A directory with a file for each source. What stands there is public.
#[derive(Debug, Clone)]
pub(crate) struct KeyStore {
    directory: PathBuf,
}

/// Keys, and when they were fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) jwks: String,
    pub(super) fetched: SystemTime,
}

/// Why nothing is known of a source.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unkept {
    #[error(transparent)]
    File(#[from] io::Error),
    #[error("it is longer than {0} bytes")]
    Long(usize),
    #[error("it is damaged: {0}")]
    Damaged(String),
    #[error("it holds the keys of another source")]
    Other,
    #[error("it is from {0}, which is too long ago, or in the future")]
    Age(String),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    source: String,
    // Seconds since the Unix epoch.
    fetched: i64,
    jwks: String,
    // SHA-256 of all the others.
    digest: String,
}

// === impl KeyStore ===

impl KeyStore {
    pub(crate) fn new(state_dir: &Path) -> Self {
        Self {
            directory: state_dir.join("keys"),
        }
    }

    /// What is kept of this source, if anything is.
    pub(super) fn load(
        &self,
        source: &KeySource,
        now: SystemTime,
    ) -> Result<Option<Kept>, (PathBuf, Unkept)> {
        let path = self.path(source);
        match read(&path, source, now) {
            Ok(kept) => Ok(Some(kept)),
            Err(Unkept::File(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err((path, why)),
        }
    }

    pub(super) fn save(&self, source: &KeySource, kept: &Kept) -> io::Result<()> {
        let mut document = Document {
            source: name(source),
            fetched: unix_seconds(kept.fetched),
            jwks: kept.jwks.clone(),
            digest: String::new(),
        };
        document.digest = document.digest();
        let text = serde_json::to_vec(&document).map_err(io::Error::other)?;
        fs::create_dir_all(&self.directory)?;
        let path = self.path(source);
        let neighbour = path.with_extension("new");
        fs::write(&neighbour, text)?;
        fs::rename(&neighbour, &path)
    }

    /// Forgets a source that nobody names any more.
    pub(super) fn remove(&self, source: &KeySource) {
        let path = self.path(source);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "old keys cannot be removed");
            }
            _ => {}
        }
    }

    /// Removes files that are too old for anybody: of sources that were named before a restart,
    /// and not after it.
    pub(super) fn clear(&self, now: SystemTime) {
        let Ok(entries) = fs::read_dir(&self.directory) else {
            return;
        };
        for entry in entries.flatten() {
            let written = entry.metadata().and_then(|about| about.modified());
            let age = written.ok().and_then(|at| now.duration_since(at).ok());
            if age.is_some_and(|age| age > OLDEST)
                && let Err(error) = fs::remove_file(entry.path())
            {
                tracing::warn!(path = %entry.path().display(), %error, "old keys cannot be removed");
            }
        }
    }

    fn path(&self, source: &KeySource) -> PathBuf {
        let digest = hexadecimal(&Sha256::digest(name(source)));
        self.directory.join(format!("{digest}.json"))
    }
}

fn read(path: &Path, source: &KeySource, now: SystemTime) -> Result<Kept, Unkept> {
    let most = LONGEST * ESCAPED + FRAME;
    let length = fs::metadata(path)?.len();
    if usize::try_from(length).map_or(true, |length| length > most) {
        return Err(Unkept::Long(most));
    }
    let damaged = |why: &str| Unkept::Damaged(why.to_owned());
    let document: Document = serde_json::from_slice(&fs::read(path)?)
        .map_err(|error| Unkept::Damaged(error.to_string()))?;
    if document.digest != document.digest() {
        return Err(damaged("its digest is another"));
    }
    if document.source != name(source) {
        return Err(Unkept::Other);
    }
    if document.jwks.len() > LONGEST || !is_key_set(document.jwks.as_bytes()) {
        return Err(damaged("it holds no JSON Web Key Set with a key"));
    }
    let age = unix_seconds(now).saturating_sub(document.fetched);
    let young = u64::try_from(age).map_or(age >= -AHEAD, |age| age <= OLDEST.as_secs());
    let seconds = u64::try_from(document.fetched).unwrap_or_default();
    let fetched = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    match fetched.filter(|_| young) {
        Some(fetched) => Ok(Kept {
            jwks: document.jwks,
            fetched,
        }),
        None => Err(Unkept::Age(format!(
            "{} s after the Unix epoch",
            document.fetched
        ))),
    }
}

/// A source of one kind is never taken for one of the other.
fn name(source: &KeySource) -> String {
    match source {
        KeySource::Uri(uri) => format!("jwksUri {uri}"),
        KeySource::Issuer(issuer) => format!("issuer {issuer}"),
    }
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

// === impl Document ===

impl Document {
    fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for part in [&self.source, &self.fetched.to_string(), &self.jwks] {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        hexadecimal(&digest.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA"}]}"#;

    fn uri(name: &str) -> KeySource {
        KeySource::Uri(format!("https://{name}.example/keys"))
    }

    /// Some moment, and keys that were fetched then.
    fn kept() -> (SystemTime, Kept) {
        let fetched = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 31);
        let jwks = KEYS.to_owned();
        (fetched, Kept { jwks, fetched })
    }

    #[test]
    fn what_is_kept_is_of_its_source_alone() {
        let directory = tempfile::tempdir().unwrap();
        let store = KeyStore::new(directory.path());
        let (now, kept) = kept();
        assert_eq!(store.load(&uri("a"), now).unwrap(), None);
        store.save(&uri("a"), &kept).unwrap();
        assert_eq!(store.load(&uri("a"), now).unwrap(), Some(kept));
        assert_eq!(store.load(&uri("b"), now).unwrap(), None);
        let issuer = KeySource::Issuer("https://a.example/keys".to_owned());
        assert_eq!(store.load(&issuer, now).unwrap(), None);
        // Somebody moves the file.
        fs::rename(store.path(&uri("a")), store.path(&uri("b"))).unwrap();
        let moved = store.load(&uri("b"), now);
        assert!(matches!(moved, Err((_, Unkept::Other))), "{moved:?}");
        store.remove(&uri("b"));
        store.remove(&uri("b"));
        assert_eq!(store.load(&uri("b"), now).unwrap(), None);
    }

    #[test]
    fn what_is_old_or_from_the_future_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let store = KeyStore::new(directory.path());
        let (fetched, kept) = kept();
        store.save(&uri("a"), &kept).unwrap();
        let second = Duration::from_secs(1);
        for (now, good) in [
            (fetched + OLDEST, true),
            (fetched + OLDEST + second, false),
            (fetched - second, true),
            (fetched - Duration::from_secs(3600), false),
        ] {
            let found = store.load(&uri("a"), now);
            assert_eq!(found.is_ok(), good, "{now:?}: {found:?}");
        }
        store.clear(SystemTime::now());
        assert!(store.path(&uri("a")).exists());
        store.clear(SystemTime::now() + OLDEST + second);
        assert!(!store.path(&uri("a")).exists());
    }

    #[test]
    fn no_damage_passes() {
        let directory = tempfile::tempdir().unwrap();
        let store = KeyStore::new(directory.path());
        let (now, kept) = kept();
        store.save(&uri("a"), &kept).unwrap();
        let path = store.path(&uri("a"));
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            let found = store.load(&uri("a"), now);
            assert!(found.is_err(), "{at}: {found:?}");
            fs::write(&path, &good[..at]).unwrap();
            assert!(store.load(&uri("a"), now).is_err(), "{at}");
        }
        fs::write(&path, vec![b' '; LONGEST * ESCAPED + FRAME + 1]).unwrap();
        let long = store.load(&uri("a"), now);
        assert!(matches!(long, Err((_, Unkept::Long(_)))), "{long:?}");
    }
}
