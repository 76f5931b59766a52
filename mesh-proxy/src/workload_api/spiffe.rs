//! The SPIFFE Workload API.

use std::pin::Pin;

use futures_util::stream::{Stream, StreamExt as _, unfold};
use mesh_api::spiffe_workload::spiffe_workload_api_server::SpiffeWorkloadApi;
use mesh_api::spiffe_workload::{
    JwtBundlesRequest, JwtBundlesResponse, JwtsvidRequest, JwtsvidResponse, ValidateJwtsvidRequest,
    ValidateJwtsvidResponse, X509BundlesRequest, X509BundlesResponse, X509svid, X509svidRequest,
    X509svidResponse,
};
use tonic::{Request, Response, Status};

use super::tokens;
use super::updates::{KeyUpdates, Material, Updates};
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
    type FetchJWTBundlesStream = Responses<JwtBundlesResponse>;

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

    async fn fetch_jwtsvid(
        &self,
        request: Request<JwtsvidRequest>,
    ) -> Result<Response<JwtsvidResponse>, Status> {
        check_header(&request)?;
        tokens::fetch(&self.app, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn fetch_jwt_bundles(
        &self,
        request: Request<JwtBundlesRequest>,
    ) -> Result<Response<Self::FetchJWTBundlesStream>, Status> {
        check_header(&request)?;
        let updates = KeyUpdates::new(self.app.store());
        let stream = unfold(updates, async |mut updates| {
            let bundles = updates.next().await?;
            Some((Ok(JwtBundlesResponse { bundles }), updates))
        });
        Ok(Response::new(stream.boxed()))
    }

    async fn validate_jwtsvid(
        &self,
        request: Request<ValidateJwtsvidRequest>,
    ) -> Result<Response<ValidateJwtsvidResponse>, Status> {
        check_header(&request)?;
        let snapshot = self.app.store().load();
        tokens::validate(snapshot.mesh(), &request.into_inner()).map(Response::new)
    }
}

fn check_header<R>(request: &Request<R>) -> Result<(), Status> {
    let said = request.metadata().get(HEADER);
    match said.is_some_and(|value| value == "true") {
        true => Ok(()),
        false => Err(Status::invalid_argument(format!(
            "the metadata {HEADER}: true is missing: use a SPIFFE library, or set it"
        ))),
    }
}

// === impl WorkloadApi ===

impl WorkloadApi {
    fn stream<R, T: Send + 'static>(
        &self,
        request: &Request<R>,
        form: fn(Material) -> T,
    ) -> Result<Response<Responses<T>>, Status> {
        check_header(request)?;
        let updates = Updates::new(&self.app, &self.own);
        let stream = unfold(updates, move |mut updates| async move {
            let material = updates.next().await?;
            Some((Ok(form(material)), updates))
        });
        Ok(Response::new(stream.boxed()))
    }
}

fn svids(material: Material) -> X509svidResponse {
    let svid = X509svid {
        spiffe_id: material.svid.id.to_string(),
        x509_svid: material.svid.chain_der.concat(),
        x509_svid_key: material.svid.key_der.to_vec(),
        bundle: material.roots.roots_der().concat(),
        hint: String::new(),
    };
    X509svidResponse {
        svids: vec![svid],
        crl: material.crls,
        federated_bundles: material.federated,
    }
}

fn bundles(material: Material) -> X509BundlesResponse {
    let roots = material.roots.roots_der().concat();
    let domain = material.domain();
    let mut bundles = material.federated;
    bundles.insert(domain, roots);
    X509BundlesResponse {
        bundles,
        crl: material.crls,
    }
}
