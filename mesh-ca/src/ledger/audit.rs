//! The append-only record: every certificate and token that was issued, every one that was
//! refused, and every step of a rotation, one JSON object on a line.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fleet::IssuedLeaf;
use super::refusals::{RefusedCall, Times};
use crate::storage::{self, FileError, SECRET};

const NAME: &str = "audit.jsonl";
const CLOSED: &str = "audit-";
/// A file that has grown to this is closed, and another one begun.
const LARGEST: u64 = 64 * 1024 * 1024;
/// No line of ours comes near to this.
const LONGEST_LINE: u64 = 16 * 1024;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Seconds since the Unix epoch.
    pub time: i64,
    /// What happened.
    #[serde(flatten)]
    pub event: AuditEvent,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub enum AuditEvent {
    /// A certificate was issued.
    Issued {
        /// How the caller proved who it is: `token`, `bearer`, `certificate`; `self` for the
        /// server's own certificate.
        caller: String,
        /// The certificate.
        #[serde(flatten)]
        leaf: IssuedLeaf,
    },
    /// A JWT-SVID was issued.
    #[serde(rename_all = "camelCase")]
    JwtIssued {
        /// Whom it names.
        identity: String,
        /// Whom it is for.
        audience: Vec<String>,
        /// What distinguishes it (`jti`).
        id: String,
        /// Serial number of the certificate that asked.
        certificate: String,
        /// When it expires, seconds since the Unix epoch.
        not_after: i64,
    },
    /// A certificate or token was refused, or several in the same way.
    Refused {
        /// To whom, and why.
        #[serde(flatten)]
        call: RefusedCall,
        /// How many, if this line is of several.
        #[serde(flatten)]
        times: Option<Times>,
    },
    /// A proxy has said that it goes, and is gone.
    Left {
        /// `<namespace>/<name>`.
        workload: String,
    },
    /// The operator says that a proxy will not come back.
    Forgotten {
        /// `<namespace>/<name>`, or as the status names it.
        workload: String,
    },
    /// A rotation of the root has come to this step.
    Rotation {
        /// Which rotation.
        id: String,
        /// The step, or `done`, or `aborted`.
        step: String,
    },
}

/// The file, open for appending.
#[derive(Debug)]
pub(super) struct Audit {
    directory: PathBuf,
    file: File,
    length: u64,
    // The end of the last leaf in the file.
    newest: i64,
}

// === impl Audit ===

impl Audit {
    /// Opens the record in a directory, and gives what it says of leaves that may still be in use.
    pub(super) fn open(directory: &Path, now: i64) -> Result<(Self, Vec<Entry>), FileError> {
        storage::private_directory(directory)?;
        let mut entries = Vec::new();
        for path in closed(directory, now)? {
            read(&path, &mut entries)?;
        }
        let path = directory.join(NAME);
        let before = entries.len();
        if path.exists() {
            read(&path, &mut entries)?;
        }
        let newest = entries
            .get(before..)
            .unwrap_or_default()
            .iter()
            .filter_map(|entry| match &entry.event {
                AuditEvent::Issued { leaf, .. } => Some(leaf.not_after),
                _ => None,
            })
            .max()
            .unwrap_or(0);
        let file = append(&path)?;
        let length = file
            .metadata()
            .map_err(storage::io_error("examine", &path))?
            .len();
        let mut audit = Self {
            directory: directory.to_owned(),
            file,
            length,
            newest,
        };
        audit
            .end_torn_line()
            .map_err(storage::io_error("write", &path))?;
        Ok((audit, entries))
    }

    // A process that was killed in the middle of a line leaves it without an end.
    fn end_torn_line(&mut self) -> std::io::Result<()> {
        if self.length == 0 {
            return Ok(());
        }
        let mut last = [0];
        let mut reader = File::open(self.directory.join(NAME))?;
        reader.seek(SeekFrom::End(-1))?;
        reader.read_exact(&mut last)?;
        if last != *b"\n" {
            self.file.write_all(b"\n")?;
            self.length += 1;
        }
        Ok(())
    }

    /// Appends a line. It is with the operating system when this returns, so that it outlives
    /// this process.
    pub(super) fn append(&mut self, entry: &Entry) -> Result<(), FileError> {
        let path = self.directory.join(NAME);
        let mut line = serde_json::to_vec(entry)
            .map_err(std::io::Error::from)
            .map_err(storage::io_error("encode a line of", &path))?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .map_err(storage::io_error("write", &path))?;
        self.length += u64::try_from(line.len()).unwrap_or(0);
        if let AuditEvent::Issued { leaf, .. } = &entry.event {
            self.newest = self.newest.max(leaf.not_after);
        }
        if self.length >= LARGEST {
            self.begin_another(&path, entry.time)?;
        }
        Ok(())
    }

    fn begin_another(&mut self, path: &Path, now: i64) -> Result<(), FileError> {
        let name = format!("{CLOSED}{now}-{}.jsonl", self.newest);
        let closed = self.directory.join(name);
        self.file
            .sync_all()
            .and_then(|()| fs::rename(path, &closed))
            .map_err(storage::io_error("rename", path))?;
        self.file = append(path)?;
        (self.length, self.newest) = (0, 0);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn replace_file(&mut self, file: File) -> File {
        std::mem::replace(&mut self.file, file)
    }

    /// The file, for whoever makes it outlive a power cut.
    pub(super) fn file(&self) -> std::io::Result<File> {
        self.file.try_clone()
    }
}

fn append(path: &Path) -> Result<File, FileError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(SECRET)
        .open(path)
        .map_err(storage::io_error("open", path))
}

/// Closed files that tell of leaves which may still be in use, the oldest first.
fn closed(directory: &Path, now: i64) -> Result<Vec<PathBuf>, FileError> {
    let entries = fs::read_dir(directory).map_err(storage::io_error("list", directory))?;
    let mut found: Vec<(i64, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let times = name
                .to_str()?
                .strip_prefix(CLOSED)?
                .strip_suffix(".jsonl")?;
            let (closed, newest) = times.split_once('-')?;
            let (closed, newest): (i64, i64) = (closed.parse().ok()?, newest.parse().ok()?);
            (newest.saturating_add(3600) > now).then(|| (closed, entry.path()))
        })
        .collect();
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Adds the entries of a file; lines that cannot be read (torn by a crash) are left out.
fn read(path: &Path, entries: &mut Vec<Entry>) -> Result<(), FileError> {
    let file = File::open(path).map_err(storage::io_error("open", path))?;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = reader
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .map_err(storage::io_error("read", path))?;
        if count == 0 {
            return Ok(());
        }
        match serde_json::from_slice(&line) {
            Ok(entry) => entries.push(entry),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a line of the audit record cannot be read");
            }
        }
    }
}
