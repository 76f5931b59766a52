//! Compiles configuration files and explains a request, without any running mesh.
//!
//! ```sh
//! cargo run -p meshctl --example explain_offline -- mesh.yaml istio/ productpage-v1 http://reviews:9080/reviews/0
//! ```
//! Without arguments it takes the Bookinfo sample.

use std::path::{Path, PathBuf};

use meshctl::explain::{Question, explain_saved};
use meshctl::mesh_file::MeshFile;
use meshctl::offline::{self, Model};
use meshd_core::Store;

fn main() -> anyhow::Result<()> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/bookinfo");
    let mut args = std::env::args().skip(1);
    let mesh = args
        .next()
        .map_or_else(|| sample.join("mesh.yaml"), PathBuf::from);
    let config = args
        .next()
        .map_or_else(|| sample.join("config/base"), PathBuf::from);
    let from = args.next().unwrap_or_else(|| "productpage-v1".to_owned());
    let url = args
        .next()
        .unwrap_or_else(|| "http://reviews:9080/reviews/0".to_owned());

    // What the control plane does with the same files.
    let mesh = MeshFile::read(&mesh)?;
    let mut store = Store::new();
    for (path, text) in offline::files(&[config], Some(&mesh))?.files {
        store.set_file(&path, &text);
    }
    let world = store.world(&offline::settings(&mesh));
    for problem in world.problems() {
        println!("{}", meshd_core::ProblemLine(problem));
    }

    // What the proxies on both sides do with a request.
    let question = Question {
        from,
        method: http::Method::GET,
        url: url.parse()?,
        headers: Vec::new(),
        claims: Vec::new(),
    };
    println!("{}", explain_saved(&Model::new(world), &question)?);
    Ok(())
}
