//! A proxy inside one's own program.
//!
//! Needs a control plane: start one, mint a join token for the workload, then
//!
//! ```text
//! cargo run -p mesh-proxy --example embed -- \
//!     default/client unix:///tmp/mesh/meshd.sock /tmp/mesh/ca/root.pem /tmp/mesh/token
//! ```
//!
//! It prints the address of an HTTP proxy; `curl -x <address> http://reviews:9080/` then goes
//! through the mesh. Ctrl-C drains and ends it.

use std::env;

use mesh_proxy::{App, Settings, SettingsSource};
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let source = SettingsSource {
        workload: arguments.next(),
        control: arguments.next(),
        roots: arguments.next(),
        token: arguments.next(),
        explicit: Some("127.0.0.1:0".to_owned()),
        ..SettingsSource::default()
    };
    // All that is wrong with the settings is said at once.
    let settings = Settings::try_from(source)?;

    // Every socket is bound now and its address is known.
    let bound = App::build(settings).await?;
    if let Some(address) = bound.explicit() {
        println!("http://{address}");
    }

    let shutdown = CancellationToken::new();
    let on_interrupt = shutdown.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            on_interrupt.cancel();
        }
    });
    bound.run(shutdown).await?;
    Ok(())
}
