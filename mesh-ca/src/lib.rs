//! The certificate authority of the mesh.
//!
//! It signs what the authenticated caller *is*, never what the request asks for: of a
//! certificate signing request only the public key is used.
//!
//! - [`Authority`]: certificates from an [`AuthorityMaterial`]: roots, and a key that signs. It
//!   may stand in a directory, in a Kubernetes Secret, or in the layout of Istio's `cacerts`.
//! - [`JoinTokens`]: signed tokens by which a workload proves itself the first time.
//! - [`CertificateAuthority`]: both behind `mesh.v1.CertificateService`, and behind Istio's own
//!   service for its agents. A [`BearerAuthenticator`] adds tokens of another issuer.
//! - [`Ledger`]: the append-only record of what was issued and refused, and who may hold what.
//! - [`SpiffeBundle`]: what vouches for a trust domain, as trust domains give it to each other.
//! - [`rotation`]: another root in place of the one of now, step by step.
//! - [`tls`] and [`listen`]: the TLS endpoint that authenticates callers by their certificate,
//!   for this service and for any other that stands beside it.
//! - [`App`]: all of it as a server of its own.
//!
//! ```
//! use mesh_ca::{Authority, AuthorityOptions, Issue, SecretKey};
//!
//! # let dir = tempfile::tempdir()?;
//! let authority = Authority::open(dir.path(), &AuthorityOptions::default())?;
//! let key = SecretKey::generate()?;
//! let request = Issue {
//!     identity: "spiffe://cluster.local/ns/default/sa/reviews".parse()?,
//!     csr_der: key.certificate_request()?,
//!     ttl: None,
//!     dns_names: Vec::new(),
//!     binding: None,
//! };
//! let issued = authority.issue(&request, std::time::SystemTime::now())?;
//! assert_eq!(issued.chain_der.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admission;
mod app;
mod authority;
mod bearer;
mod binding;
mod bundle;
mod clock;
mod command;
mod counters;
mod duration;
mod fingerprint;
mod issue;
mod istio;
mod jwt;
mod ledger;
pub mod listen;
mod peer;
mod pem;
mod renewal;
pub mod rotation;
mod secret_key;
mod service;
mod storage;
pub mod tls;
mod tokens;

pub use admission::{AdmissionOptions, CallerRate};
pub use app::{App, Bound, BuildError, RunError, Settings};
pub use authority::{
    Authority, AuthorityError, AuthorityMaterial, AuthorityOptions, Charge, Fence, Layout,
};
pub use bearer::{AuthenticatedCaller, BearerAuthenticator, BearerRefusal};
pub use binding::{InvalidBinding, InvalidLabels, WorkloadBinding, collect_labels, parse_label};
pub use bundle::{BundleError, LONGEST_BUNDLE, SpiffeBundle, SpiffeServerVerifier, uri_name};
pub use clock::now;
pub use command::{Command, CommandError, InitArgs, OutputFormat, ServeArgs, TokenArgs};
pub use counters::{IssueCounters, RefusalReason};
pub use duration::{InvalidDuration, parse_duration};
pub use fingerprint::{Fingerprint, InvalidFingerprint};
pub use issue::{Issue, Issued, Refusal};
pub use istio::IstioCertificates;
pub use jwt::{FormerJwtKey, IssuedJwt, JwtPublicKey};
pub use ledger::{
    AuditEvent, Entry, Fleet, Holder, IssuedLeaf, Ledger, RefusedCall, Report, Times,
};
pub use peer::{PeerCertificates, PeerIdentityError, certificate_binding, certificate_identity};
pub use renewal::{
    RenewError, ServerName, keep_forgetting, keep_reloaded, keep_renewed, keep_synced,
};
pub use secret_key::{KeyError, KeyType, SecretKey};
pub use service::CertificateAuthority;
pub use storage::FileError;
pub use tokens::{CheckedToken, InvalidTokenKey, JoinClaims, JoinTokens, TokenRefusal};
