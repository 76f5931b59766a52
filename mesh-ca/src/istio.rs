//! `istio.v1.auth.IstioCertificateService`: the same service as Istio's agents speak it.

use std::time::Duration;

use mesh_api::istio_auth::istio_certificate_service_server::IstioCertificateService;
use mesh_api::istio_auth::{IstioCertificateRequest, IstioCertificateResponse};
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject;
use tonic::{Request, Response, Status};

use crate::pem;
use crate::service::{CertificateAuthority, Certified};

/// Answers as the authority does: a certificate for who the caller is, whatever it asks for.
#[derive(Debug, Clone)]
pub struct IstioCertificates(pub(crate) CertificateAuthority);

#[tonic::async_trait]
impl IstioCertificateService for IstioCertificates {
    async fn create_certificate(
        &self,
        request: Request<IstioCertificateRequest>,
    ) -> Result<Response<IstioCertificateResponse>, Status> {
        let wish = request.get_ref();
        // What cannot be read is refused as any other malformed request: by the authority.
        let csr_der = CertificateSigningRequestDer::from_pem_slice(wish.csr.as_bytes())
            .map(|der| der.to_vec())
            .unwrap_or_default();
        let seconds = u64::try_from(wish.validity_duration).unwrap_or(0);
        let ttl = (seconds > 0).then(|| Duration::from_secs(seconds));
        let certified = self.0.certify(&request, &csr_der, ttl).await?;
        Ok(Response::new(IstioCertificateResponse {
            cert_chain: chain(&certified),
        }))
    }
}

/// Leaf, intermediates, then all roots in one text: agents take the last element for the roots.
fn chain(certified: &Certified) -> Vec<String> {
    let ders = &certified.issued.chain_der;
    let mut chain: Vec<String> = ders
        .iter()
        .map(|der| pem::encode("CERTIFICATE", der).to_string())
        .collect();
    chain.push(pem::certificates(&certified.roots_der).to_string());
    chain
}
