//! Serves discovery from a program's own source: it pushes YAML texts instead of having a
//! directory watched. The operator's interface is on a free port; the program ends with Ctrl-C.
//!
//! ```sh
//! cargo run -p meshd --example serve_discovery
//! ```

use std::error::Error;

use meshd::{App, Edit, Settings};
use tokio_util::sync::CancellationToken;

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: { name: reviews }
spec:
  selector: { app: reviews }
  ports: [{ name: http, port: 9080 }]
";

const BROKEN: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
  - rout:
    - destination: { host: reviews }
";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let state = std::env::temp_dir().join(format!("meshd-example-{}", std::process::id()));
    let settings = Settings {
        discovery: vec!["127.0.0.1:0".parse()?],
        admin: vec!["127.0.0.1:0".parse()?],
        ..Settings::new(state.clone())
    };
    let bound = Box::pin(App::build(settings)).await?;
    for address in &bound.discovery_addrs {
        println!("discovery  https://{address}");
    }
    for address in &bound.admin_addrs {
        println!("operator   http://{address}/v1/status");
    }
    let config = bound.config();
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(Box::pin(bound.run(shutdown.clone())));

    // Two names, one revision.
    let published = config
        .apply(Edit::new().set("services", SERVICE).set("routes", BROKEN))
        .await?;
    println!(
        "revision {} with digest {}",
        published.revision, published.digest
    );
    for problem in &published.problems {
        println!("{}", meshd_core::ProblemLine(problem));
    }

    tokio::signal::ctrl_c().await?;
    shutdown.cancel();
    serving.await??;
    std::fs::remove_dir_all(state)?;
    Ok(())
}
