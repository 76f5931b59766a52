//! Files of configuration, found as the control plane finds them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Deepest directory below one that was given.
const DEEPEST: usize = 16;

/// A file or directory that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: cannot read the configuration: {source}", path = path.display())]
pub struct FilesError {
    path: PathBuf,
    source: io::Error,
}

/// Reads files, and all `.yaml`, `.yml` and `.json` files below directories, but for hidden ones.
/// Sorted by path, each once.
///
/// # Errors
/// With the first that cannot be read.
pub fn read(paths: &[impl AsRef<Path>]) -> Result<Vec<(String, String)>, FilesError> {
    let mut found = BTreeSet::new();
    for path in paths {
        let path = path.as_ref();
        if fs::metadata(path).map_err(failed(path))?.is_dir() {
            walk(path, 0, &mut BTreeSet::new(), &mut found)?;
        } else {
            found.insert(cleaned(path));
        }
    }
    found
        .into_iter()
        .map(|path| Ok((path.to_string_lossy().into_owned(), text(&path)?)))
        .collect()
}

fn text(path: &Path) -> Result<String, FilesError> {
    fs::read_to_string(path).map_err(failed(path))
}

fn walk(
    directory: &Path,
    depth: usize,
    seen: &mut BTreeSet<(u64, u64)>,
    found: &mut BTreeSet<PathBuf>,
) -> Result<(), FilesError> {
    let metadata = fs::metadata(directory).map_err(failed(directory))?;
    // Symbolic links may lead back up.
    if depth > DEEPEST || !seen.insert((metadata.dev(), metadata.ino())) {
        return Ok(());
    }
    for entry in fs::read_dir(directory).map_err(failed(directory))? {
        let path = entry.map_err(failed(directory))?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden {
            continue;
        }
        if fs::metadata(&path).map_err(failed(&path))?.is_dir() {
            walk(&path, depth + 1, seen, found)?;
        } else if matches!(
            path.extension().and_then(|extension| extension.to_str()),
            Some("yaml" | "yml" | "json")
        ) {
            found.insert(cleaned(&path));
        }
    }
    Ok(())
}

/// Without a leading `./`, which some ways of naming a file have and others have not.
fn cleaned(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).to_owned()
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> FilesError {
    let path = path.to_owned();
    move |source| FilesError { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_yaml_below_directories_and_files_that_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("b")).unwrap();
        fs::create_dir(path(".git")).unwrap();
        for name in [
            "a.yaml",
            "b/c.yml",
            "b/d.json",
            "b/readme.md",
            ".hidden.yaml",
            ".git/x.yaml",
            "named.txt",
        ] {
            fs::write(path(name), name).unwrap();
        }
        std::os::unix::fs::symlink(dir.path(), path("b/up")).unwrap();
        let files = read(&[dir.path().to_owned(), path("named.txt"), path("a.yaml")]).unwrap();
        let names = files
            .iter()
            .map(|(_, text)| text.as_str())
            .collect::<Vec<_>>();
        assert_eq!(names, ["a.yaml", "b/c.yml", "b/d.json", "named.txt"]);
        let error = read(&[path("none")]).unwrap_err().to_string();
        assert!(error.contains("none: cannot read"), "{error}");
    }
}
