//! `SignJwt`: tokens that name a workload.

use mesh_api::SpiffeId;
use mesh_api::v1;
use tonic::{Request, Status};

use super::{Asking, CallRefusal, Caller, CertificateAuthority};
use crate::admission::Lane;
use crate::clock;
use crate::jwt::IssuedJwt;

// === impl CertificateAuthority ===

impl CertificateAuthority {
    /// Signs a token for the caller of a request, and counts and tells what became of it.
    pub(super) async fn token(
        &self,
        request: &Request<v1::SignJwtRequest>,
    ) -> Result<v1::SignJwtResponse, Status> {
        let mut asking = Asking::default();
        match self.serve_token(request, &mut asking).await {
            Ok((identity, issued)) => Ok(v1::SignJwtResponse {
                identity: identity.to_string(),
                not_before: clock::unix_seconds(issued.issued_at),
                not_after: clock::unix_seconds(issued.not_after),
                token: issued.token,
            }),
            Err(refusal) => Err(self.refuse(request, "token", refusal, asking)),
        }
    }

    async fn serve_token(
        &self,
        request: &Request<v1::SignJwtRequest>,
        asking: &mut Asking,
    ) -> Result<(SpiffeId, IssuedJwt), CallRefusal> {
        let now = clock::now();
        // A token that joins is good for one key, and says nothing later.
        let Caller::Certificate {
            identity, serial, ..
        } = self.authenticate(request, now, asking).await?
        else {
            return Err(CallRefusal::NoCertificate);
        };
        // Counted apart: who asks for many tokens can still renew its certificate.
        let caller = format!("jwt {}", self.ledger.lineage(&serial));
        let turn = self.admission.enter(caller, Lane::Renewal).await?;
        let audience = &request.get_ref().audience;
        let issued = self.authority.issue_jwt(&identity, audience, now)?;
        drop(turn);
        tracing::info!(%identity, id = issued.id, "issued a token");
        self.ledger
            .jwt_issued(&identity, audience, &issued, serial)?;
        Ok((identity, issued))
    }
}
