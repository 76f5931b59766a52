//! The end of a log file, for messages about the process that wrote it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

const LINES: usize = 8;
const BYTES: u64 = 8 * 1024;

/// The last lines of a log, shown with an indent and the file's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    path: PathBuf,
    lines: Vec<String>,
}

/// Reads the last lines of a file. A file that cannot be read has none.
pub fn tail(path: &Path) -> Tail {
    let lines = read_end(path).map_or_else(|_| Vec::new(), |text| last_lines(&text));
    Tail {
        path: path.to_owned(),
        lines,
    }
}

fn read_end(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
    let mut bytes = Vec::new();
    file.take(BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn last_lines(text: &str) -> Vec<String> {
    let mut lines = text
        .lines()
        .rev()
        .filter(|line| !line.trim().is_empty())
        .take(LINES)
        .collect::<Vec<_>>();
    lines.reverse();
    lines.into_iter().map(ToOwned::to_owned).collect()
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lines.is_empty() {
            return write!(f, "    it printed nothing ({})", self.path.display());
        }
        writeln!(f, "    its last lines ({}):", self.path.display())?;
        let lines = self
            .lines
            .iter()
            .map(|line| format!("    | {line}"))
            .collect::<Vec<_>>();
        f.write_str(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let text = (0..2000)
            .map(|n| format!("line {n}\n\n"))
            .collect::<String>();
        std::fs::write(&path, text).unwrap();
        let shown = tail(&path).to_string();
        assert_eq!(shown.lines().count(), 1 + LINES);
        assert!(shown.ends_with("| line 1999"), "{shown}");
        assert!(
            tail(&dir.path().join("none"))
                .to_string()
                .contains("printed nothing")
        );
    }
}
