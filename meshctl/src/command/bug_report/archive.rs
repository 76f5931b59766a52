//! A compressed archive, in memory: ustar (POSIX.1-1988, section 10.1.1), then gzip.

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;

const BLOCK: usize = 512;
/// Nothing is added beyond this many bytes, uncompressed.
const LARGEST: usize = 64 * 1024 * 1024;
/// Longest name that fits its field, with the final zero.
const LONGEST_NAME: usize = 99;
/// Directory that everything is in.
const ROOT: &str = "mesh-bug-report";

/// An archive that files are added to.
pub(super) struct Archive {
    bytes: Vec<u8>,
    modified: i64,
    entries: usize,
}

// === impl Archive ===

impl Archive {
    /// An empty one; `modified` is the time of all its files, in seconds since the Unix epoch.
    pub(super) fn new(modified: i64) -> Self {
        Self {
            bytes: Vec::new(),
            modified,
            entries: 0,
        }
    }

    /// Adds a file. False if the archive is too large already.
    pub(super) fn add(&mut self, name: &str, content: &str) -> bool {
        if self.bytes.len() + content.len() > LARGEST {
            return false;
        }
        let mut name = format!("{ROOT}/{}", name.replace(['\\', ':'], "_"));
        // Names are ours and ASCII; a workload's may be long.
        let mut end = name.len().min(LONGEST_NAME);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
        self.bytes
            .extend(header(&name, content.len(), self.modified));
        self.bytes.extend(content.as_bytes());
        let padding = self.bytes.len().next_multiple_of(BLOCK) - self.bytes.len();
        self.bytes.extend(std::iter::repeat_n(0, padding));
        self.entries += 1;
        true
    }

    /// Files so far.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// The whole, compressed.
    ///
    /// # Errors
    /// Never, in memory.
    pub(super) fn finish(mut self) -> io::Result<Vec<u8>> {
        self.bytes.extend([0; 2 * BLOCK]);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&self.bytes)?;
        encoder.finish()
    }
}

fn header(name: &str, size: usize, modified: i64) -> Vec<u8> {
    let fields = [
        (format!("{name:\0<100}"), 100),
        ("0000644\0".to_owned(), 8),
        ("0000000\0".to_owned(), 8),
        ("0000000\0".to_owned(), 8),
        (format!("{size:011o}\0"), 12),
        (format!("{:011o}\0", modified.max(0)), 12),
        // The checksum counts as spaces in itself.
        (" ".repeat(8), 8),
        ("0".to_owned(), 1),
        ("\0".repeat(100), 100),
        ("ustar\0".to_owned() + "00", 8),
    ];
    let mut bytes = Vec::with_capacity(BLOCK);
    for (text, width) in fields {
        let end = bytes.len() + width;
        bytes.extend(text.bytes().take(width));
        bytes.resize(end, 0);
    }
    bytes.resize(BLOCK, 0);
    let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
    let checksum = format!("{sum:06o}\0 ");
    bytes.splice(148..156, checksum.bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn tar_reads_it() {
        let mut archive = Archive::new(1_700_000_000);
        assert!(archive.add("a.txt", "hello"));
        assert!(archive.add("proxies/default/b.json", &"x".repeat(1000)));
        assert!(!archive.add("large", &"x".repeat(LARGEST + 1)));
        assert_eq!(archive.entries(), 2);
        let mut bytes = Vec::new();
        GzDecoder::new(archive.finish().unwrap().as_slice())
            .read_to_end(&mut bytes)
            .unwrap();
        assert_eq!(bytes.len() % BLOCK, 0);

        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.tar"), &bytes).unwrap();
        let status = std::process::Command::new("tar")
            .args(["xf", "a.tar"])
            .current_dir(dir.path())
            .status()
            .unwrap();
        assert!(status.success());
        let read = |name: &str| std::fs::read_to_string(dir.path().join(ROOT).join(name)).unwrap();
        assert_eq!(read("a.txt"), "hello");
        assert_eq!(read("proxies/default/b.json").len(), 1000);
    }
}
