//! Lets the linker put together what requests run through: of `mesh-proxy`, and of `meshctl`, which
//! is the proxy of a laptop's mesh.
//!
//! The kernel maps 64 KiB around each page of a program that is touched. What serves requests is
//! 2 MiB of 16, and is spread over all of it by the compiler, so that a proxy at work would have
//! most of its program in memory. `link/order.ld` names the functions, as they were seen at work;
//! `cargo bench -p mesh-tests --bench peers -- --order FILE` makes it anew, from a proxy that was
//! linked without it. A name that is not there any more is passed over.
//!
//! Linkers that know no `SECTIONS` (mold, for example) need `MESH_LINK_ORDER=off`.

use std::env;
use std::path::Path;

const SWITCH: &str = "MESH_LINK_ORDER";
// From either package.
const SCRIPT: &str = "../mesh-proxy/link/order.ld";

fn main() {
    println!("cargo::rerun-if-changed={SCRIPT}");
    println!("cargo::rerun-if-env-changed={SWITCH}");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    if is(SWITCH, "off") || is("OPT_LEVEL", "0") || !is("CARGO_CFG_TARGET_OS", "linux") {
        return;
    }
    let root = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let script = Path::new(&root).join(SCRIPT);
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
}
