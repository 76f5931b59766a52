use super::*;

struct Files {
    dir: tempfile::TempDir,
    scanner: Scanner,
    now: Instant,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let scanner = Scanner::new(&[dir.path().to_owned()]).unwrap();
        Self {
            dir,
            scanner,
            now: Instant::now(),
        }
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.dir.path().join(name)).unwrap();
    }

    /// The changes as text, without the directory.
    fn scan(&mut self) -> Vec<String> {
        let scan = self.scanner.scan(self.now, &BTreeSet::new());
        let dir = self.dir.path().display().to_string();
        let show = |change: Change| match change {
            Change::Set { path, text } => format!("set {path} {text}"),
            Change::Remove { path } => format!("remove {path}"),
            Change::Broken { path, message } => format!("broken {path} {message}"),
            Change::Object(_) | Change::RemoveObject(_) => panic!("files hold no objects"),
        };
        scan.changes
            .into_iter()
            .map(|change| show(change).replace(&format!("{dir}/"), ""))
            .collect()
    }

    fn later(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }
}

#[test]
fn reads_yaml_and_json_with_all_below() {
    let mut files = Files::new();
    files.write("b.yaml", "b");
    files.write("sub/deep/a.yml", "a");
    files.write("c.json", "c");
    files.write("notes.txt", "no");
    files.write(".hidden.yaml", "no");
    files.write(".git/x.yaml", "no");
    assert_eq!(
        files.scan(),
        ["set b.yaml b", "set c.json c", "set sub/deep/a.yml a"]
    );
    assert_eq!(files.scan(), [""; 0]);
    files.write("b.yaml", "B");
    assert_eq!(files.scan(), ["set b.yaml B"], "same length, same moment");
}

#[test]
fn a_file_that_is_gone_or_empty_counts_after_a_while() {
    let mut files = Files::new();
    files.write("a.yaml", "a");
    files.write("b.yaml", "b");
    files.write("c.yaml", "c");
    files.scan();
    files.remove("a.yaml");
    files.write("b.yaml", "");
    files.remove("c.yaml");
    assert_eq!(files.scan(), [""; 0]);
    // An editor that moves the old file away first.
    files.write("c.yaml", "C");
    files.later(20);
    assert_eq!(files.scan(), ["set c.yaml C"]);
    files.later(40);
    assert_eq!(files.scan(), ["set b.yaml ", "remove a.yaml"]);
    files.write("b.yaml", "b2");
    assert_eq!(files.scan(), ["set b.yaml b2"]);
}

#[test]
fn what_cannot_be_read_is_named_and_comes_back() {
    let mut files = Files::new();
    files.write("a.yaml", "a");
    files.scan();
    files.write("a.yaml", b"x: 1\ny: \xff\n");
    let broken = files.scan();
    assert_eq!(
        broken,
        ["broken a.yaml it is not UTF-8: the first bad byte is in line 2; save it as UTF-8"]
    );
    files.write("a.yaml", "a");
    assert_eq!(files.scan(), ["set a.yaml a"], "also if it is what it was");
    files.write("a.yaml", vec![b' '; 5 * 1024 * 1024]);
    assert!(files.scan()[0].contains("4 MiB"));
    std::os::unix::fs::symlink("nowhere", files.dir.path().join("z.yaml")).unwrap();
    assert!(
        files
            .scan()
            .iter()
            .any(|line| line.starts_with("broken z.yaml"))
    );
    files.remove("z.yaml");
    files.remove("a.yaml");
    files.scan();
    files.later(60);
    let gone = files.scan();
    assert!(
        gone.contains(&"remove a.yaml".to_owned()) && gone.contains(&"remove z.yaml".to_owned()),
        "{gone:?}"
    );
}

#[test]
fn a_directory_that_vanishes_keeps_what_was_read() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("config");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("a.yaml"), "a").unwrap();
    let mut scanner = Scanner::new(std::slice::from_ref(&root)).unwrap();
    let start = Instant::now();
    scanner.scan(start, &BTreeSet::new());
    fs::rename(&root, dir.path().join("away")).unwrap();
    for ms in [0, 1000] {
        let scan = scanner.scan(start + Duration::from_millis(ms), &BTreeSet::new());
        assert!(
            matches!(&scan.changes[..], [Change::Broken { .. }]),
            "{:?}",
            scan.changes
        );
    }
    fs::rename(dir.path().join("away"), &root).unwrap();
    let scan = scanner.scan(start + Duration::from_millis(2000), &BTreeSet::new());
    assert!(
        matches!(&scan.changes[..], [Change::Remove { path }] if path.ends_with("config")),
        "{:?}",
        scan.changes
    );
}

#[test]
fn kubernetes_swaps_a_link() {
    use std::os::unix::fs::symlink;
    let mut files = Files::new();
    let root = files.dir.path().to_owned();
    files.write("..1/a.yaml", "one");
    files.write("..2/a.yaml", "two");
    symlink("..1", root.join("..data")).unwrap();
    symlink("..data/a.yaml", root.join("a.yaml")).unwrap();
    assert_eq!(files.scan(), ["set a.yaml one"]);
    symlink("..2", root.join("..tmp")).unwrap();
    fs::rename(root.join("..tmp"), root.join("..data")).unwrap();
    assert_eq!(files.scan(), ["set a.yaml two"]);
}

#[test]
fn links_that_lead_up_end() {
    let mut files = Files::new();
    files.write("sub/a.yaml", "a");
    std::os::unix::fs::symlink("..", files.dir.path().join("sub/up")).unwrap();
    assert_eq!(files.scan(), ["set sub/a.yaml a"]);
}

#[test]
fn a_file_of_any_name_may_be_given() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mesh.conf");
    assert!(
        Scanner::new(std::slice::from_ref(&path))
            .unwrap_err()
            .to_string()
            .contains("mesh.conf")
    );
    fs::write(&path, "a").unwrap();
    let mut scanner = Scanner::new(std::slice::from_ref(&path)).unwrap();
    assert_eq!(scanner.watched(), [(dir.path().to_owned(), false)]);
    assert_eq!(
        scanner.scan(Instant::now(), &BTreeSet::new()).changes.len(),
        1
    );
}

#[test]
fn a_file_that_is_being_written_waits() {
    let mut files = Files::new();
    files.write("a.yaml", "a");
    files.scan();
    files.write("a.yaml", "half");
    let busy = BTreeSet::from([files.dir.path().join("a.yaml")]);
    assert!(files.scanner.scan(files.now, &busy).changes.is_empty());
    assert_eq!(files.scan(), ["set a.yaml half"]);
}
