//! Join tokens: how a workload proves itself before it has a certificate.
//!
//! A token is `mesh1.<key id>.<claims>.<tag>`, each part base64url: signed by HMAC-SHA256 with a
//! key of this authority, for one workload and service account, until a time. It is a secret.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mesh_api::WorkloadName;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::binding::{InvalidLabels, WorkloadBinding, check_labels};
use crate::clock;
use crate::counters::RefusalReason;
use crate::secret_key::KeyError;
use crate::storage::{self, FileError, SECRET};

#[cfg(test)]
mod tests;

/// What every join token begins with.
pub(crate) const PREFIX: &str = "mesh1";
const LONGEST: usize = 4096;

/// What a token says about its bearer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinClaims {
    /// The workload.
    pub workload: WorkloadName,
    /// Its service account, in the workload's namespace.
    pub service_account: String,
    /// Labels that the workload may register itself with, where workloads do. None are granted if
    /// there are none.
    pub labels: BTreeMap<String, String>,
    /// Until when the token is good; whole seconds count.
    pub expires: SystemTime,
    /// Whether it is good for one key only.
    pub single_use: bool,
}

/// A token whose signature and time are good. See [`JoinTokens::redeem`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedToken {
    claims: JoinClaims,
    id: [u8; 16],
}

/// Why a token is refused.
#[derive(Debug, thiserror::Error)]
pub enum TokenRefusal {
    /// It cannot be read, or it was changed.
    #[error("the join token is damaged: copy it again, whole")]
    Malformed,
    /// Another authority signed it, or this one before its token key was replaced.
    #[error("the join token is not of this authority: make one here with `token`")]
    Foreign,
    /// It is too late.
    #[error("the join token expired {ago_seconds} s ago: make a new one")]
    Expired {
        /// How long ago.
        ago_seconds: u64,
    },
    /// It was good for one key, and another one has used it.
    #[error("the join token was used before, and it is for single use: make a new one")]
    Replayed,
    /// It is for single use, and this authority is one of several that share no memory of used
    /// tokens.
    #[error(
        "the join token is for single use, which this authority cannot see to: make one with --reusable"
    )]
    SingleUse,
    /// What was used cannot be remembered; no single-use token is taken then.
    #[error(transparent)]
    Storage(#[from] FileError),
}

/// The token key of an authority, and its memory of used tokens.
pub struct JoinTokens {
    key: ArcSwap<TokenKey>,
    // None: other authorities have the same key, and no memory is shared.
    used: Option<PathBuf>,
}

struct TokenKey {
    key: hmac::Key,
    id: String,
}

/// Why bytes are no token key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it does not hold 32 bytes; remove it to make a new one, which ends all tokens")]
pub struct InvalidTokenKey;

// Field names are short because tokens are copied by people.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(rename = "i")]
    id: String,
    #[serde(rename = "w")]
    workload: String,
    #[serde(rename = "s")]
    service_account: String,
    #[serde(rename = "e")]
    expires: u64,
    #[serde(rename = "o")]
    once: bool,
    // Tokens that grant none have the form that they had before there were any.
    #[serde(rename = "l", default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
}

// === impl JoinTokens ===

impl JoinTokens {
    /// Opens `token.key` in `dir`, or makes it, and the memory of used tokens in `used-tokens/`.
    /// Several processes may share a directory.
    ///
    /// # Errors
    /// If a file cannot be read or written, or if the key can be read by others.
    pub fn open(dir: &Path) -> Result<Self, FileError> {
        storage::private_directory(dir)?;
        let used = dir.join("used-tokens");
        storage::private_directory(&used)?;
        let path = dir.join("token.key");
        let lock_path = dir.join("lock");
        let lock = File::options()
            .create(true)
            .append(true)
            .open(&lock_path)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(storage::io_error("lock", &lock_path))?;
        if !path.exists() {
            let key = Zeroizing::new(clock::random::<32>().map_err(|_| no_randomness(&path))?);
            storage::write_atomic(&path, key.as_slice(), SECRET)?;
        }
        drop(lock);
        let bytes = storage::read_secret(&path)?;
        let key = TokenKey::new(&bytes).map_err(|error| FileError::Io {
            doing: "use",
            path,
            source: io::Error::new(io::ErrorKind::InvalidData, error),
        })?;
        let tokens = Self {
            key: ArcSwap::from_pointee(key),
            used: Some(used),
        };
        tokens.forget_expired(clock::now());
        Ok(tokens)
    }

    /// Tokens by a key that several authorities share, without a memory of used ones: no
    /// single-use token is taken.
    ///
    /// # Errors
    /// If the key has another length than [`Self::new_key`] gives.
    pub fn from_key(key: &[u8]) -> Result<Self, InvalidTokenKey> {
        Ok(Self {
            key: ArcSwap::from_pointee(TokenKey::new(key)?),
            used: None,
        })
    }

    /// A new token key.
    ///
    /// # Errors
    /// If the operating system gives no randomness.
    pub fn new_key() -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let key = clock::random::<32>().map_err(|_| KeyError::Library("make a token key"))?;
        Ok(Zeroizing::new(Zeroizing::new(key).to_vec()))
    }

    /// Takes another key; tokens by the one before are refused from now on.
    ///
    /// # Errors
    /// As [`Self::from_key`]. The old key stays then.
    pub fn replace_key(&self, key: &[u8]) -> Result<(), InvalidTokenKey> {
        self.key.store(Arc::new(TokenKey::new(key)?));
        Ok(())
    }

    /// Makes a token.
    ///
    /// # Errors
    /// If the operating system gives no randomness, or the labels are longer than 2 KiB.
    pub fn mint(&self, claims: &JoinClaims) -> Result<String, FileError> {
        let unfit = |source: io::Error| FileError::Io {
            doing: "encode a token for",
            path: self.place().to_owned(),
            source,
        };
        let too_long = |error| unfit(io::Error::new(io::ErrorKind::InvalidInput, error));
        check_labels(&claims.labels).map_err(too_long)?;
        let id = clock::random::<16>().map_err(|_| no_randomness(self.place()))?;
        let wire = Wire {
            id: URL_SAFE_NO_PAD.encode(id),
            workload: claims.workload.to_string(),
            service_account: claims.service_account.clone(),
            expires: u64::try_from(clock::unix_seconds(claims.expires)).unwrap_or(0),
            once: claims.single_use,
            labels: claims.labels.clone(),
        };
        let json = serde_json::to_vec(&wire).map_err(|error| unfit(error.into()))?;
        let key = self.key.load();
        let signed = format!("{PREFIX}.{}.{}", key.id, URL_SAFE_NO_PAD.encode(json));
        let tag = hmac::sign(&key.key, signed.as_bytes());
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()));
        // Labels that must be escaped take more.
        match token.len() <= LONGEST {
            true => Ok(token),
            false => Err(too_long(InvalidLabels::TooLong)),
        }
    }

    /// Checks a token and, if it is for single use, spends it.
    ///
    /// # Errors
    /// A [`TokenRefusal`]; a refused token is not spent.
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<JoinClaims, TokenRefusal> {
        let checked = self.check(token, now)?;
        self.redeem(&checked, &[])?;
        Ok(checked.claims)
    }

    /// Checks everything but whether it was used before.
    ///
    /// # Errors
    /// A [`TokenRefusal`].
    pub fn check(&self, token: &str, now: SystemTime) -> Result<CheckedToken, TokenRefusal> {
        let token = token.trim();
        if token.len() > LONGEST {
            return Err(TokenRefusal::Malformed);
        }
        let (signed, tag) = token.rsplit_once('.').ok_or(TokenRefusal::Malformed)?;
        let mut parts = signed.split('.');
        let (Some(PREFIX), Some(key_id), Some(claims), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenRefusal::Malformed);
        };
        let tag = URL_SAFE_NO_PAD
            .decode(tag)
            .map_err(|_| TokenRefusal::Malformed)?;
        let key = self.key.load();
        if hmac::verify(&key.key, signed.as_bytes(), &tag).is_err() {
            // The key's id is public: it only tells a wrong token from a damaged one.
            return Err(match key_id == key.id {
                true => TokenRefusal::Malformed,
                false => TokenRefusal::Foreign,
            });
        }
        let json = URL_SAFE_NO_PAD
            .decode(claims)
            .map_err(|_| TokenRefusal::Malformed)?;
        let wire: Wire = serde_json::from_slice(&json).map_err(|_| TokenRefusal::Malformed)?;
        let checked = wire.into_checked().ok_or(TokenRefusal::Malformed)?;
        match now.duration_since(checked.claims.expires) {
            Ok(ago) => Err(TokenRefusal::Expired {
                ago_seconds: ago.as_secs(),
            }),
            Err(_) => Ok(checked),
        }
    }

    /// Spends a single-use token for the bearer `holder` (its public key). The same holder may
    /// spend it again, because its first answer may have been lost on the way; for anybody else
    /// it is gone, also after a restart. An empty `holder` is never the same. Blocks for a write
    /// to disk.
    ///
    /// # Errors
    /// [`TokenRefusal::Replayed`], or `Storage` if the spending cannot be written down.
    pub fn redeem(&self, token: &CheckedToken, holder: &[u8]) -> Result<(), TokenRefusal> {
        if !token.claims.single_use {
            return Ok(());
        }
        let used = self.used.as_deref().ok_or(TokenRefusal::SingleUse)?;
        let expires = clock::unix_seconds(token.claims.expires);
        let path = used.join(format!("{expires}-{}", URL_SAFE_NO_PAD.encode(token.id)));
        let holder_digest = digest::digest(&digest::SHA256, holder);
        let created = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(SECRET)
            .open(&path);
        match created {
            Ok(mut file) => file
                .write_all(holder_digest.as_ref())
                .and_then(|()| file.sync_all())
                .and_then(|()| storage::sync_directory(used))
                .map_err(|source| storage::io_error("write", &path)(source).into()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let mut first = Vec::new();
                let read = File::open(&path).and_then(|file| file.take(64).read_to_end(&mut first));
                match read {
                    Ok(_) if !holder.is_empty() && first == holder_digest.as_ref() => Ok(()),
                    _ => Err(TokenRefusal::Replayed),
                }
            }
            Err(source) => Err(storage::io_error("write", &path)(source).into()),
        }
    }

    /// Forgets used tokens that have expired since: they are refused by their time.
    pub fn forget_expired(&self, now: SystemTime) {
        // A clock that was set back must not revive a token: an hour of grace.
        let limit = clock::unix_seconds(now) - 3600;
        let Some(Ok(entries)) = self.used.as_deref().map(fs::read_dir) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let expires = name
                .to_str()
                .and_then(|name| name.split_once('-')?.0.parse::<i64>().ok());
            if expires.is_some_and(|expires| expires < limit)
                && let Err(error) = fs::remove_file(entry.path())
            {
                tracing::debug!(%error, path = %entry.path().display(), "a used token cannot be forgotten");
            }
        }
    }
}

impl JoinTokens {
    fn place(&self) -> &Path {
        self.used.as_deref().unwrap_or(Path::new("the token key"))
    }
}

// === impl TokenKey ===

impl TokenKey {
    fn new(bytes: &[u8]) -> Result<Self, InvalidTokenKey> {
        if bytes.len() != 32 {
            return Err(InvalidTokenKey);
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let tag = hmac::sign(&key, b"mesh join token key id");
        let id = URL_SAFE_NO_PAD.encode(tag.as_ref().get(..6).unwrap_or_default());
        Ok(Self { key, id })
    }
}

impl std::fmt::Debug for JoinTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinTokens")
            .field("key_id", &self.key.load().id)
            .finish_non_exhaustive()
    }
}

fn no_randomness(path: &Path) -> FileError {
    let source = io::Error::other("the operating system gives no randomness");
    FileError::Io {
        doing: "make a secret for",
        path: path.to_owned(),
        source,
    }
}

// === impl Wire ===

impl Wire {
    fn into_checked(self) -> Option<CheckedToken> {
        let id: [u8; 16] = URL_SAFE_NO_PAD.decode(&self.id).ok()?.try_into().ok()?;
        let workload: WorkloadName = self.workload.parse().ok()?;
        // The service account must be a DNS name, too.
        WorkloadName::new(workload.namespace(), &self.service_account).ok()?;
        let expires = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.expires))?;
        let claims = JoinClaims {
            workload,
            service_account: self.service_account,
            labels: self.labels,
            expires,
            single_use: self.once,
        };
        Some(CheckedToken { claims, id })
    }
}

// === impl JoinClaims ===

impl JoinClaims {
    /// What stands in a certificate that is issued by the token.
    pub fn binding(&self) -> WorkloadBinding {
        WorkloadBinding {
            workload: self.workload.clone(),
            labels: self.labels.clone(),
        }
    }
}

// === impl CheckedToken ===

impl CheckedToken {
    /// What it says.
    pub fn claims(&self) -> &JoinClaims {
        &self.claims
    }
}

// === impl TokenRefusal ===

impl TokenRefusal {
    /// The reason in the closed list.
    pub fn reason(&self) -> RefusalReason {
        match self {
            Self::Malformed => RefusalReason::TokenMalformed,
            Self::Foreign => RefusalReason::TokenForeign,
            Self::Expired { .. } => RefusalReason::TokenExpired,
            Self::Replayed => RefusalReason::TokenReplayed,
            Self::SingleUse => RefusalReason::TokenSharedSingleUse,
            Self::Storage(_) => RefusalReason::Internal,
        }
    }
}
