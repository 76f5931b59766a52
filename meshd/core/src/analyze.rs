//! Findings without a mesh.

use mesh_api::v1::Problem;

use crate::{MeshSettings, Store};

/// Everything that is wrong with some files (path and text each), sorted by place: what
/// [`Store`] and [`World`](crate::World) find, and nothing else.
pub fn analyze(files: &[(String, String)], settings: &MeshSettings) -> Vec<Problem> {
    let mut store = Store::new();
    for (path, text) in files {
        store.set_file(path, text);
    }
    store.world(settings).problems().to_vec()
}
