//! The directory source: files of configuration, and their changes.

mod debounce;
mod scan;
mod watch;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use mesh_api::v1::Problem;

use crate::clock;
use crate::publish::{Change, unreadable_file};

pub(crate) use debounce::Debounce;
pub(crate) use scan::Scanner;
pub(crate) use watch::{LookHandle, Watcher};

/// Why configuration cannot be read at the start.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A path that was given is not there.
    #[error("cannot read the configuration in {path}: {source}")]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// Files of configuration, read once.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// Path and text of each file, sorted by path.
    pub files: Vec<(String, String)>,
    /// Files and directories that cannot be read, sorted by path.
    pub problems: Vec<Problem>,
}

/// Reads files and directories as a control plane does at its start, for tools that check
/// configuration without one.
///
/// # Errors
/// If one of the paths is not there.
pub fn read_configuration(paths: &[impl AsRef<Path>]) -> Result<Configuration, SourceError> {
    let paths: Vec<PathBuf> = paths.iter().map(|path| path.as_ref().to_owned()).collect();
    let scan = Scanner::new(&paths)?.scan(clock::instant(), &BTreeSet::new());
    let mut configuration = Configuration::default();
    for change in scan.changes {
        match change {
            Change::Set { path, text } => configuration.files.push((path, text)),
            Change::Broken { path, message } => {
                configuration.problems.push(unreadable_file(path, message));
            }
            // Nothing was there before that could be gone, and files hold no others.
            Change::Remove { .. } | Change::Object(_) | Change::RemoveObject(_) => {}
        }
    }
    configuration.files.sort();
    configuration
        .problems
        .sort_by(|a, b| source(a).cmp(source(b)));
    Ok(configuration)
}

fn source(problem: &Problem) -> &str {
    problem
        .origin
        .as_ref()
        .map_or("", |origin| origin.source.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_can_and_names_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir(path("b")).unwrap();
        for name in [
            "a.yaml",
            "b/c.yml",
            "b/d.json",
            "b/readme.md",
            ".hidden.yaml",
            "named.txt",
        ] {
            std::fs::write(path(name), name).unwrap();
        }
        std::fs::write(path("b/latin.yaml"), b"a: b\nc: \xe9\n").unwrap();
        let read = read_configuration(&[dir.path().to_owned(), path("named.txt"), path("a.yaml")])
            .unwrap();
        let texts: Vec<_> = read.files.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["a.yaml", "b/c.yml", "b/d.json", "named.txt"]);
        assert_eq!(read.problems.len(), 1);
        assert!(source(&read.problems[0]).ends_with("b/latin.yaml"));
        assert!(read.problems[0].message.contains("line 2"));
        assert!(read_configuration(&[path("none")]).is_err());
    }
}
