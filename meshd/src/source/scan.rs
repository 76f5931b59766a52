//! Finds out what changed, by looking at the files. Blocks.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::hash::{Hash, Hasher};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::SourceError;
use crate::publish::Change;

/// Largest file of configuration.
const LARGEST: u64 = 4 * 1024 * 1024;
/// Deepest directory below one that was given.
const DEEPEST: usize = 16;
/// How long a file must be gone or empty before it counts: some editors move the old file away
/// before they write the new one, and shells truncate before they write.
const GRACE: Duration = Duration::from_millis(50);

/// The files that were given, and what was read of them.
#[derive(Debug)]
pub(crate) struct Scanner {
    roots: Vec<Root>,
    known: BTreeMap<PathBuf, Known>,
    // Gone or empty since when.
    fading: BTreeMap<PathBuf, Instant>,
    broken: BTreeSet<PathBuf>,
}

#[derive(Debug)]
struct Root {
    path: PathBuf,
    directory: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

#[derive(Debug, Clone, Copy)]
struct Known {
    stamp: Stamp,
    // Clocks of file systems are coarse: an equal stamp proves nothing for what changed just now.
    settled: bool,
    digest: u64,
    empty: bool,
}

/// What a look at the files found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// What changed.
    pub(crate) changes: Vec<Change>,
    /// When to look again, because something is about to go.
    pub(crate) again: Option<Instant>,
}

// === impl Scanner ===

impl Scanner {
    /// Takes files and directories.
    ///
    /// # Errors
    /// If one of them is not there.
    pub(crate) fn new(paths: &[PathBuf]) -> Result<Self, SourceError> {
        let mut roots = Vec::new();
        for path in paths {
            let metadata = fs::metadata(path).map_err(|source| SourceError::Unreadable {
                path: path.clone(),
                source,
            })?;
            roots.push(Root {
                path: path.clone(),
                directory: metadata.is_dir(),
            });
        }
        Ok(Self {
            roots,
            known: BTreeMap::new(),
            fading: BTreeMap::new(),
            broken: BTreeSet::new(),
        })
    }

    /// What to watch: the directory, and whether with all below. For a file it is the directory
    /// that holds it, since editors replace files.
    pub(crate) fn watched(&self) -> Vec<(PathBuf, bool)> {
        let mut watched: Vec<_> = self
            .roots
            .iter()
            .map(|root| match root.directory {
                true => (root.path.clone(), true),
                false => (holder(&root.path), false),
            })
            .collect();
        watched.sort();
        watched.dedup();
        watched
    }

    /// Looks at all files. Those in `busy` are being written: they stay as they are.
    pub(crate) fn scan(&mut self, now: Instant, busy: &BTreeSet<PathBuf>) -> Scan {
        let mut scan = Scan::default();
        let mut found = BTreeMap::new();
        let mut unreadable = Vec::new();
        for root in &self.roots {
            if let Err(error) = root.find(&mut found) {
                unreadable.push((root.path.clone(), error.to_string()));
            }
        }
        let mut broken = BTreeSet::new();
        for (path, message) in &unreadable {
            broken.insert(path.clone());
            scan.broken(
                path,
                format!(
                    "cannot read the directory: {message}; what was read before stays in force"
                ),
            );
        }
        for (path, metadata) in &found {
            if busy.contains(path) {
                if self.broken.contains(path) {
                    broken.insert(path.clone());
                }
                continue;
            }
            let outcome = metadata
                .as_ref()
                .map_err(ToString::to_string)
                .and_then(|m| self.look(path, m, now, &mut scan));
            if let Err(message) = outcome {
                broken.insert(path.clone());
                scan.broken(path, message);
            }
        }
        let covered = |path: &Path| unreadable.iter().any(|(root, _)| path.starts_with(root));
        let missing: Vec<PathBuf> = self
            .known
            .keys()
            .chain(&self.broken)
            .filter(|path| !found.contains_key(*path) && !covered(path) && !self.is_directory(path))
            .cloned()
            .collect();
        for path in missing {
            if self.has_faded(&path, now, &mut scan) {
                self.known.remove(&path);
                scan.changes.push(Change::Remove { path: shown(&path) });
            } else if self.broken.contains(&path) {
                broken.insert(path);
            }
        }
        // A directory that is readable again.
        for path in self.broken.difference(&broken) {
            if self.is_directory(path) {
                scan.changes.push(Change::Remove { path: shown(path) });
            }
        }
        self.broken = broken;
        scan
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.roots
            .iter()
            .any(|root| root.directory && root.path == path)
    }

    /// Looks at one file; reads it if it may have changed.
    fn look(
        &mut self,
        path: &Path,
        metadata: &Metadata,
        now: Instant,
        scan: &mut Scan,
    ) -> Result<(), String> {
        let stamp = Stamp::of(metadata);
        let known = self.known.get(path).copied();
        let was_broken = self.broken.contains(path);
        if known.is_some_and(|known| known.settled && known.stamp == stamp) && !was_broken {
            self.fading.remove(path);
            return Ok(());
        }
        if !metadata.is_file() {
            return Err("it is no regular file".to_owned());
        }
        if stamp.length > LARGEST {
            return Err(format!(
                "it has {} bytes, more than the 4 MiB that are read",
                stamp.length
            ));
        }
        let text = read(path)?;
        let empty = text.trim().is_empty();
        if empty && known.is_some_and(|known| !known.empty) && !self.has_faded(path, now, scan) {
            return Ok(());
        }
        self.fading.remove(path);
        let digest = digest(&text);
        let settled = !stamp.is_recent();
        let same = known.is_some_and(|known| known.digest == digest) && !was_broken;
        self.known.insert(
            path.to_owned(),
            Known {
                stamp,
                settled,
                digest,
                empty,
            },
        );
        if !same {
            scan.changes.push(Change::Set {
                path: shown(path),
                text,
            });
        }
        Ok(())
    }

    /// Whether a file has been gone or empty for long enough; if not, when to look again.
    fn has_faded(&mut self, path: &Path, now: Instant, scan: &mut Scan) -> bool {
        let since = *self.fading.entry(path.to_owned()).or_insert(now);
        let end = since + GRACE;
        if now >= end {
            self.fading.remove(path);
            return true;
        }
        scan.again = Some(scan.again.map_or(end, |again| again.min(end)));
        false
    }
}

// === impl Root ===

impl Root {
    /// Finds the files. An error says that the directory itself cannot be read.
    fn find(&self, found: &mut BTreeMap<PathBuf, io::Result<Metadata>>) -> io::Result<()> {
        if self.directory {
            let mut seen = BTreeSet::new();
            return walk(&self.path, 0, &mut seen, found);
        }
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            metadata => {
                found.insert(cleaned(&self.path), metadata);
            }
        }
        Ok(())
    }
}

fn walk(
    directory: &Path,
    depth: usize,
    seen: &mut BTreeSet<(u64, u64)>,
    found: &mut BTreeMap<PathBuf, io::Result<Metadata>>,
) -> io::Result<()> {
    let metadata = fs::metadata(directory)?;
    // Symbolic links may lead back up.
    if depth > DEEPEST || !seen.insert((metadata.dev(), metadata.ino())) {
        return Ok(());
    }
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        // Hidden files are temporary ones of editors, and Kubernetes's `..data`.
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        let takes = matches!(
            path.extension().and_then(|e| e.to_str()),
            Some("yaml" | "yml" | "json")
        );
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                if let Err(error) = walk(&path, depth + 1, seen, found)
                    && error.kind() != io::ErrorKind::NotFound
                {
                    found.insert(cleaned(&path), Err(error));
                }
            }
            // It went away between the two looks.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {}
            metadata if takes => {
                found.insert(cleaned(&path), metadata);
            }
            _ => {}
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| format!("cannot open it: {error}"))?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot read it: {error}"))?;
    if bytes.len() as u64 > LARGEST {
        return Err("it has more than the 4 MiB that are read".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..valid).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("it is not UTF-8: the first bad byte is in line {line}; save it as UTF-8")
    })
}

fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The directory that holds a file.
fn holder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Without a leading `./`, which some ways of naming a file have and others have not.
pub(super) fn cleaned(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).to_owned()
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

// === impl Scan ===

impl Scan {
    fn broken(&mut self, path: &Path, message: String) {
        self.changes.push(Change::Broken {
            path: shown(path),
            message,
        });
    }
}

// === impl Stamp ===

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether another change could still get the same stamp.
    fn is_recent(&self) -> bool {
        crate::clock::unix_seconds(crate::clock::now()) - self.changed.0 < 2
    }
}

#[cfg(test)]
mod tests;
