//! Files of the authority: written whole or not at all, secrets readable by their owner only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Mode of a file that holds a secret.
pub(crate) const SECRET: u32 = 0o600;
/// Mode of a file that anybody may read.
pub(crate) const PUBLIC: u32 = 0o644;

// No file of an authority comes near to this.
const LARGEST: u64 = 1024 * 1024;

/// Why a file of the authority cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A secret can be read by others than its owner.
    #[error(
        "{path} holds a secret, but its mode {mode:04o} lets others read it; run: chmod 600 {path}"
    )]
    ReadableByOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is larger than any such file can be.
    #[error("{path} is larger than 1 MiB: this is no file of an authority")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

pub(crate) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Io {
        doing,
        path,
        source,
    }
}

/// Creates a directory, with its parents, that only its owner may enter. One that exists stays
/// as it is.
pub(crate) fn private_directory(path: &Path) -> Result<(), FileError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(io_error("create the directory", path))
}

/// Reads a file that need not be secret.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(io_error("open", path))?;
    read_bounded(file, path)
}

/// Reads a secret. The mode is checked on the opened file, so that nothing can change between.
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let file = File::open(path).map_err(io_error("open", path))?;
    let mode = file.metadata().map_err(io_error("examine", path))?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(FileError::ReadableByOthers {
            path: path.to_owned(),
            mode,
        });
    }
    read_bounded(file, path).map(Zeroizing::new)
}

fn read_bounded(file: File, path: &Path) -> Result<Vec<u8>, FileError> {
    let length = file.metadata().map_err(io_error("examine", path))?.len();
    if length > LARGEST {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
        });
    }
    // Room for all of it at once: a growing buffer would leave copies of a secret behind.
    let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
    file.take(LARGEST)
        .read_to_end(&mut content)
        .map_err(io_error("read", path))?;
    Ok(content)
}

/// Writes a file by way of a neighbour that is renamed: a reader sees the old content or the new.
pub(crate) fn write_atomic(path: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    let mut neighbour = path.as_os_str().to_owned();
    neighbour.push(format!(".new-{}", std::process::id()));
    let neighbour = PathBuf::from(neighbour);
    let written = write_new(&neighbour, content, mode).and_then(|()| fs::rename(&neighbour, path));
    if let Err(source) = written {
        // The error that matters is the first one.
        let _ = fs::remove_file(&neighbour);
        return Err(io_error("write", path)(source));
    }
    sync_directory(path.parent().unwrap_or(Path::new("."))).map_err(io_error("write", path))
}

/// Makes the entries of a directory survive a power cut.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    // A leftover of a process that was killed here.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    // The umask may have taken bits away.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_private_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.key");
        write_atomic(&path, b"one", SECRET).unwrap();
        write_atomic(&path, b"two", SECRET).unwrap();
        assert_eq!(read_secret(&path).unwrap().as_slice(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no leftovers");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = read_secret(&path).unwrap_err().to_string();
        assert!(
            error.contains("chmod 600") && error.contains("0640") && error.contains("a.key"),
            "{error}"
        );
    }

    #[test]
    fn errors_name_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("no/such/file");
        assert!(
            read(&path)
                .unwrap_err()
                .to_string()
                .contains("no/such/file")
        );
        assert!(
            write_atomic(&path, b"", PUBLIC)
                .unwrap_err()
                .to_string()
                .contains("no/such/file")
        );
    }
}
