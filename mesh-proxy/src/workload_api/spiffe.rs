//! The SPIFFE Workload API.

use std::pin::Pin;

use futures_util::stream::{Stream, StreamExt as _, unfold};
use mesh_api::spiffe_workload::spiffe_workload_api_server::SpiffeWorkloadApi;
use mesh_api::spiffe_workload::{
    X509BundlesRequest, X509BundlesResponse, X509svid, X509svidRequest, X509svidResponse,
};
use tonic::{Request, Response, Status};

use super::updates::{Material, Updates};
use crate::identity::{AppIdentity, IdentityHandle};

/// Serves it.
pub(super) struct WorkloadApi {
    pub(super) app: AppIdentity,
    pub(super) own: IdentityHandle,
}

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

// The standard wants it, so that no web page makes a browser ask (SPIFFE Workload Endpoint,
// section 3).
const HEADER: &str = "workload.spiffe.io";

#[tonic::async_trait]
impl SpiffeWorkloadApi for WorkloadApi {
    type FetchX509SVIDStream = Responses<X509svidResponse>;
    type FetchX509BundlesStream = Responses<X509BundlesResponse>;

    async fn fetch_x509svid(
        &self,
        request: Request<X509svidRequest>,
    ) -> Result<Response<Self::FetchX509SVIDStream>, Status> {
        self.stream(&request, svids)
    }

    async fn fetch_x509_bundles(
        &self,
        request: Request<X509BundlesRequest>,
    ) -> Result<Response<Self::FetchX509BundlesStream>, Status> {
        self.stream(&request, bundles)
    }
}

// === impl WorkloadApi ===

impl WorkloadApi {
    fn stream<R, T: Send + 'static>(
        &self,
        request: &Request<R>,
        form: fn(&Material) -> T,
    ) -> Result<Response<Responses<T>>, Status> {
        let said = request.metadata().get(HEADER);
        if said.is_none_or(|value| value != "true") {
            return Err(Status::invalid_argument(format!(
                "the metadata {HEADER}: true is missing: use a SPIFFE library, or set it"
            )));
        }
        let updates = Updates::new(&self.app, &self.own);
        let stream = unfold(updates, move |mut updates| async move {
            let material = updates.next().await?;
            Some((Ok(form(&material)), updates))
        });
        Ok(Response::new(stream.boxed()))
    }
}

fn svids(material: &Material) -> X509svidResponse {
    let svid = X509svid {
        spiffe_id: material.svid.id.to_string(),
        x509_svid: material.svid.chain_der.concat(),
        x509_svid_key: material.svid.key_der.to_vec(),
        bundle: material.roots.roots_der().concat(),
        hint: String::new(),
    };
    X509svidResponse {
        svids: vec![svid],
        ..X509svidResponse::default()
    }
}

fn bundles(material: &Material) -> X509BundlesResponse {
    let roots = material.roots.roots_der().concat();
    X509BundlesResponse {
        bundles: [(material.domain(), roots)].into(),
        ..X509BundlesResponse::default()
    }
}
