//! Where the parts of an authority's material stand, for messages and for reading them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::AuthorityError;
use crate::storage::{self, FileError};

/// Which names the parts of an authority's material have, in a directory or a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Ours: `root.pem`, `root.key` (may be kept elsewhere), `intermediate.pem`,
    /// `intermediate.key`; and `crl.pem` if something was revoked.
    Mesh,
    /// Istio's `cacerts`: `root-cert.pem`, `ca-cert.pem`, `ca-key.pem`, `cert-chain.pem`; or,
    /// as cert-manager writes them, `ca.crt`, `tls.crt`, `tls.key`. Both with `ca-crl.pem` if
    /// something was revoked.
    Cacerts,
}

/// One part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Roots,
    RootKey,
    Signer,
    Chain,
    Key,
    Crl,
}

/// A place with a layout.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    place: Place,
    layout: Layout,
    names: &'static Names,
}

#[derive(Debug, Clone)]
enum Place {
    Directory(PathBuf),
    // Its name for messages.
    Map(String),
}

#[derive(Debug)]
struct Names {
    roots: &'static str,
    root_key: Option<&'static str>,
    signer: &'static str,
    chain: Option<&'static str>,
    key: &'static str,
    crl: &'static str,
}

const MESH: Names = Names {
    roots: "root.pem",
    root_key: Some("root.key"),
    signer: "intermediate.pem",
    chain: None,
    key: "intermediate.key",
    crl: "crl.pem",
};
const ISTIO: Names = Names {
    roots: "root-cert.pem",
    root_key: None,
    signer: "ca-cert.pem",
    chain: Some("cert-chain.pem"),
    key: "ca-key.pem",
    crl: "ca-crl.pem",
};
const TLS: Names = Names {
    roots: "ca.crt",
    root_key: None,
    signer: "tls.crt",
    chain: None,
    key: "tls.key",
    crl: "ca-crl.pem",
};

/// What was read of one place. Parts that are not there are `None`.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) roots: Option<Zeroizing<Vec<u8>>>,
    pub(super) root_key: Option<Zeroizing<Vec<u8>>>,
    pub(super) signer: Option<Zeroizing<Vec<u8>>>,
    pub(super) chain: Option<Zeroizing<Vec<u8>>>,
    pub(super) key: Option<Zeroizing<Vec<u8>>>,
    pub(super) crl: Option<Zeroizing<Vec<u8>>>,
}

// === impl Origin ===

impl Origin {
    pub(super) fn directory(layout: Layout, dir: &Path) -> Self {
        let names = names(layout, |name| dir.join(name).exists());
        Self {
            place: Place::Directory(dir.to_owned()),
            layout,
            names,
        }
    }

    pub(super) fn map(layout: Layout, data: &BTreeMap<String, Vec<u8>>, place: &str) -> Self {
        Self {
            place: Place::Map(place.to_owned()),
            layout,
            names: names(layout, |name| data.contains_key(name)),
        }
    }

    /// Something that was just made.
    pub(super) fn new_map(place: &str) -> Self {
        Self::map(Layout::Mesh, &BTreeMap::new(), place)
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// The name of a part in its place; `None` if this layout has no such part.
    pub(super) fn name(&self, part: Part) -> Option<&'static str> {
        match part {
            Part::Roots => Some(self.names.roots),
            Part::RootKey => self.names.root_key,
            Part::Signer => Some(self.names.signer),
            Part::Chain => self.names.chain,
            Part::Key => Some(self.names.key),
            Part::Crl => Some(self.names.crl),
        }
    }

    /// The part, in a message.
    pub(super) fn entry(&self, part: Part) -> String {
        let name = self.name(part).unwrap_or(self.names.roots);
        match &self.place {
            Place::Directory(dir) => dir.join(name).display().to_string(),
            Place::Map(place) => format!("{name} of {place}"),
        }
    }

    pub(super) fn path(&self, part: Part) -> Option<PathBuf> {
        match &self.place {
            Place::Directory(dir) => self.name(part).map(|name| dir.join(name)),
            Place::Map(_) => None,
        }
    }

    pub(super) fn corrupt(&self, part: Part, why: impl Into<String>) -> AuthorityError {
        let advice = match (&self.place, self.layout) {
            (Place::Directory(_), Layout::Mesh) => {
                "restore it, or move the directory away to begin with a new authority"
            }
            (Place::Map(_), Layout::Mesh) => {
                "restore it; or, with meshd stopped, delete it to begin with a new authority"
            }
            (_, Layout::Cacerts) => "put the right one there",
        };
        AuthorityError::Corrupt {
            entry: self.entry(part),
            why: why.into(),
            advice,
        }
    }

    pub(super) fn mismatch(
        &self,
        part: Part,
        other: Part,
        why: impl Into<String>,
    ) -> AuthorityError {
        AuthorityError::Mismatch {
            entry: self.entry(part),
            other: self.entry(other),
            why: why.into(),
        }
    }

    pub(super) fn missing(&self, part: Part, why: &'static str) -> AuthorityError {
        AuthorityError::Missing {
            entry: self.entry(part),
            why,
        }
    }

    pub(super) fn expired(&self, part: Part) -> AuthorityError {
        AuthorityError::Expired {
            entry: self.entry(part),
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::Directory(dir) => dir.display().fmt(f),
            Place::Map(place) => f.write_str(place),
        }
    }
}

fn names(layout: Layout, exists: impl Fn(&str) -> bool) -> &'static Names {
    match layout {
        Layout::Mesh => &MESH,
        // What Istio reads first is what counts if both are there.
        Layout::Cacerts if !exists(ISTIO.signer) && exists(TLS.signer) => &TLS,
        Layout::Cacerts => &ISTIO,
    }
}

// === impl Parts ===

impl Parts {
    pub(super) fn of_map(origin: &Origin, data: &BTreeMap<String, Vec<u8>>) -> Self {
        let get = |part| {
            let bytes = data.get(origin.name(part)?)?;
            Some(Zeroizing::new(bytes.clone()))
        };
        Self {
            roots: get(Part::Roots),
            root_key: get(Part::RootKey),
            signer: get(Part::Signer),
            chain: get(Part::Chain),
            key: get(Part::Key),
            crl: get(Part::Crl),
        }
    }

    /// Reads what is there. In our own layout keys must be readable by their owner only; a
    /// mounted Secret has its own modes.
    pub(super) fn of_directory(origin: &Origin) -> Result<Self, FileError> {
        let public = |part| {
            let Some(path) = origin.path(part) else {
                return Ok(None);
            };
            present(storage::read(&path).map(Zeroizing::new))
        };
        let secret = |part| {
            let Some(path) = origin.path(part) else {
                return Ok(None);
            };
            present(match origin.layout {
                Layout::Mesh => storage::read_secret(&path),
                Layout::Cacerts => storage::read(&path).map(Zeroizing::new),
            })
        };
        Ok(Self {
            roots: public(Part::Roots)?,
            root_key: secret(Part::RootKey)?,
            signer: public(Part::Signer)?,
            chain: public(Part::Chain)?,
            key: secret(Part::Key)?,
            crl: public(Part::Crl)?,
        })
    }
}

fn present(
    read: Result<Zeroizing<Vec<u8>>, FileError>,
) -> Result<Option<Zeroizing<Vec<u8>>>, FileError> {
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(FileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
