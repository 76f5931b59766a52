//! Which functions of our proxy serve requests, for the linker.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::backend::Backend;
use crate::certificates::Certificates;
use crate::kind::Kind;
use crate::load;
use crate::options::Options;
use crate::peer::{Pair, Peer, Place};

/// Enough that everything has happened; each costs a hundred times what it does otherwise.
const REQUESTS: u64 = 4_000;
/// Few, so that a proxy this slow does not refuse some.
const AT_ONCE: u32 = 3;
/// Functions that run if anything does.
const FEWEST: usize = 500;
const HEAD: &str = "\
/* Functions that serve requests, by section, so that they lie together; see build.rs. Made by
   `cargo bench -p mesh-tests --bench peers -- --order FILE`. */
";

/// What one run of a program did.
struct Profile {
    /// Functions of the program itself that ran, as the linker calls them.
    functions: BTreeSet<String>,
}

/// Lets our proxies serve every kind of load under callgrind, and writes a script for the linker
/// with what ran.
pub(crate) fn write(options: &Options, file: &Path) -> anyhow::Result<()> {
    let binary = fs::canonicalize(options.ours()?)?;
    let mut options = options.clone();
    (options.connections, options.streams) = (AT_ONCE, AT_ONCE);
    let root = tempfile::Builder::new().prefix("mesh-order-").tempdir()?;
    let certificates = Certificates::make(root.path())?;
    let wrapped = wrapper(&binary, root.path())?;
    for kind in &options.kind {
        eprintln!("serving {kind}");
        serve(*kind, &wrapped, &certificates, &options, root.path())?;
    }
    let mut ran = BTreeSet::new();
    for entry in fs::read_dir(root.path())? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "callgrind")
        {
            let text = fs::read_to_string(&path)?;
            ran.append(&mut Profile::read(&text, &binary).functions);
        }
    }
    // callgrind knows no names outside of .text.
    ensure!(
        ran.len() >= FEWEST,
        "only {} functions have names: link the proxy with MESH_LINK_ORDER=off",
        ran.len()
    );
    let script = script(&ran, &functions(&binary)?);
    fs::write(file, script).with_context(|| format!("cannot write {}", file.display()))
}

/// A program that is ours under callgrind, which waits until it is told to look.
fn wrapper(binary: &Path, root: &Path) -> anyhow::Result<PathBuf> {
    let path = root.join("mesh-proxy");
    let text = format!(
        "#!/bin/sh\nexec valgrind -q --tool=callgrind --instr-atstart=no --demangle=no \
         --callgrind-out-file='{}/%p.callgrind' '{}' \"$@\"\n",
        root.display(),
        binary.display()
    );
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

fn serve(
    kind: Kind,
    binary: &Path,
    certificates: &Certificates,
    options: &Options,
    root: &Path,
) -> anyhow::Result<()> {
    let backend = Backend::start(kind, options.size, root)?;
    let directory = root.join(kind.to_string());
    fs::create_dir_all(&directory)?;
    let peer = Peer::Ours {
        name: "ours".to_owned(),
        binary: binary.to_owned(),
        limited: false,
    };
    let Pair { running, port } = peer.start(&Place {
        kind,
        directory: &directory,
        certificates,
        application: backend.port,
        access_log: options.access_log,
    })?;
    let look = |how: &str| {
        running.iter().try_for_each(|proxy| {
            let mut command = Command::new("callgrind_control");
            let output = command.args(["-i", how, &proxy.id().to_string()]).output();
            let output = output.context("cannot start callgrind_control, of valgrind")?;
            ensure!(output.status.success(), "callgrind_control: {output:?}");
            Ok(())
        })
    };
    look("on")?;
    load::run(kind, port, REQUESTS, options, &directory)?;
    look("off")
}

/// A function of a program.
struct Function {
    name: String,
    /// Functions that do the same are one, with several names.
    address: u64,
    /// Octets.
    size: u64,
}

/// The functions of a program, by nm(1).
fn functions(binary: &Path) -> anyhow::Result<Vec<Function>> {
    let output = Command::new("nm").arg("-S").arg(binary).output();
    let output = output.context("cannot start nm, of binutils")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let function = |line: &str| {
        let [address, size, kind, name] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        let function = Function {
            name: str::to_owned(name),
            address: number(address)?,
            size: number(size)?,
        };
        "tTwW".contains(kind).then_some(function)
    };
    Ok(text.lines().filter_map(function).collect())
}

/// A name without what differs from build to build: hashes, and numbers of copies.
fn lasting(name: &str) -> String {
    let is_hash = |text: &str| text.len() >= 17 && text.as_bytes().get(16) == Some(&b'E');
    // `_ZN…17h0123456789abcdefE`, perhaps with `.llvm.123` after it.
    if let Some((front, rest)) = name.rsplit_once("17h")
        && is_hash(rest)
    {
        return format!("{front}17h*");
    }
    let name = name.split(".llvm.").next().unwrap_or(name);
    // `aws_lc_0_47_0_name`: its version.
    if let Some((front, rest)) = name.split_once("aws_lc_") {
        let rest = rest.trim_start_matches(|next: char| next.is_ascii_digit() || next == '_');
        return format!("{front}aws_lc_*_{rest}");
    }
    if !name.starts_with("_R") {
        return name.to_owned();
    }
    // `Cs0123456789_4core`: the crate, with a hash before its name.
    let mut parts = name.split("Cs");
    let mut lasting = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        lasting.push_str("Cs*");
        lasting.push_str(
            part.find('_')
                .and_then(|end| part.get(end..))
                .unwrap_or(part),
        );
    }
    lasting
}

/// The script. Names that stand for much that did not run come last.
fn script(ran: &BTreeSet<String>, functions: &[Function]) -> String {
    let did_run = |function: &&Function| ran.contains(&function.name);
    let ran: HashSet<u64> = functions
        .iter()
        .filter(did_run)
        .map(|function| function.address)
        .collect();
    // By lasting name: octets that ran, and all of them.
    let mut names: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for function in functions {
        let (hot, all) = names.entry(lasting(&function.name)).or_default();
        *all += function.size;
        if ran.contains(&function.address) {
            *hot += function.size;
        }
    }
    names.retain(|_, (hot, _)| *hot > 0);
    let mut names: Vec<_> = names.into_iter().collect();
    // In tenths, so that a small change of the source moves little.
    names.sort_by_key(|(_, (hot, all))| std::cmp::Reverse(hot * 10 / all));
    let mut text = format!("{HEAD}SECTIONS {{\n  .text.hot : {{\n");
    for (name, _) in names {
        let _ = writeln!(text, "    *(.text*.{name})");
    }
    text.push_str("  }\n}\nINSERT BEFORE .text;\n");
    text
}

// === impl Profile ===

impl Profile {
    /// Reads what callgrind writes (its manual, "Callgrind Format Specification"): names are given
    /// numbers where they occur first.
    fn read(text: &str, binary: &Path) -> Self {
        let mut objects: HashMap<&str, &str> = HashMap::new();
        let mut names: HashMap<&str, &str> = HashMap::new();
        let mut object = "";
        let mut functions = BTreeSet::new();
        for line in text.lines() {
            let Some((what, value)) = line.split_once("=(") else {
                continue;
            };
            let Some((number, name)) = value.split_once(')') else {
                continue;
            };
            let name = name.trim();
            let known = match what {
                "ob" | "cob" => &mut objects,
                "fn" | "cfn" => &mut names,
                _ => continue,
            };
            if !name.is_empty() {
                known.insert(number, name);
            }
            match what {
                "ob" => object = objects.get(number).copied().unwrap_or_default(),
                "fn" if Path::new(object) == binary => {
                    // Recursion is told apart by a number.
                    let name = names.get(number).copied().unwrap_or_default();
                    let name = name.split('\'').next().unwrap_or_default();
                    functions.insert(name.to_owned());
                }
                _ => {}
            }
        }
        Self { functions }
    }
}
