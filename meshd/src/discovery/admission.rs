//! Who may ask for whose configuration.

use std::collections::BTreeMap;
use std::time::SystemTime;

use mesh_api::v1::Node;
use mesh_api::{SpiffeId, WorkloadName};
use mesh_ca::{PeerCertificates, PeerIdentityError, WorkloadBinding};
use meshd_core::{Scope, ScopeError, World};
use tonic::{Code, Status};

use crate::clock;
use crate::settings::SelfRegistration;

/// An authenticated caller.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) identity: SpiffeId,
    pub(super) not_after: SystemTime,
    /// The one workload that it is, and what it may register itself with; `None` if its
    /// certificate does not say.
    pub(super) binding: Option<WorkloadBinding>,
}

/// Why a caller gets nothing. The reason stands in the metadata `mesh-refusal`, too.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Certificate(#[from] PeerIdentityError),
    #[error("the certificate of this connection has expired: connect again with the current one")]
    CertificateExpired,
    #[error("the first request must carry `node`")]
    NoNode,
    #[error("the certificate is of the workload {bound}, not of {claimed}")]
    Workload {
        bound: WorkloadName,
        claimed: WorkloadName,
    },
    #[error("{workload} may not register itself: {why}")]
    Registration {
        workload: WorkloadName,
        why: RegistrationRefusal,
    },
    #[error(transparent)]
    Scope(#[from] ScopeError),
}

/// Why a workload may not register itself, and what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum RegistrationRefusal {
    #[error("the workloads here are declared (--no-registration)")]
    Declared,
    #[error(
        "its certificate does not say which workload it is of: let it join by a token of `meshd token --workload {workload} --label KEY=VALUE`, or, if the authority is your own and cannot say it, give --trust-registrations to meshd"
    )]
    Unbound { workload: WorkloadName },
    #[error(
        "its join token does not grant the label `{label}`: let it join by one of `meshd token --workload {workload} --label '{label}'`, with all its labels, or leave the label out of --labels (MESH_LABELS)"
    )]
    Label {
        workload: WorkloadName,
        label: String,
    },
}

// === impl Peer ===

impl Peer {
    /// The identity in the certificate of a connection.
    pub(super) fn new(certificates: &PeerCertificates) -> Result<Self, Refusal> {
        let (identity, not_after) = certificates.identity()?;
        if not_after <= clock::now() {
            return Err(Refusal::CertificateExpired);
        }
        Ok(Self {
            identity,
            not_after,
            binding: certificates.binding()?,
        })
    }

    /// What the caller may see, if the node that it names is its own.
    pub(super) fn admit(&self, world: &World, node: &Node) -> Result<Scope, Refusal> {
        let scope = world.scope(node, &self.identity);
        // Before it is told to wait for its Pod: this one will never be its own.
        if matches!(scope, Ok(_) | Err(ScopeError::Unknown(_)))
            && let Some(WorkloadBinding { workload, .. }) = &self.binding
            && let Ok(claimed) = node.workload.parse::<WorkloadName>()
            && *workload != claimed
        {
            return Err(Refusal::Workload {
                bound: workload.clone(),
                claimed,
            });
        }
        Ok(scope?)
    }

    /// The labels that the workload registers itself with, if it wants to: what it says of itself,
    /// and what it was granted.
    pub(super) fn may_register(
        &self,
        workload: &WorkloadName,
        node: &Node,
        who: SelfRegistration,
    ) -> Result<Option<BTreeMap<String, String>>, Refusal> {
        if node.registration.is_none() {
            return Ok(None);
        }
        let refuse = |why| {
            Err(Refusal::Registration {
                workload: workload.clone(),
                why,
            })
        };
        let granted = match (who, &self.binding) {
            (SelfRegistration::Never, _) => return refuse(RegistrationRefusal::Declared),
            (_, Some(binding)) => &binding.labels,
            (SelfRegistration::Granted, None) => {
                let workload = workload.clone();
                return refuse(RegistrationRefusal::Unbound { workload });
            }
            (SelfRegistration::Trusted, None) => {
                return Ok(Some(node.labels.clone().into_iter().collect()));
            }
        };
        match node
            .labels
            .iter()
            .find(|(key, value)| granted.get(*key) != Some(*value))
        {
            None => Ok(Some(granted.clone())),
            Some((key, value)) => refuse(RegistrationRefusal::Label {
                workload: workload.clone(),
                label: format!("{key}={value}").chars().take(128).collect(),
            }),
        }
    }
}

// === impl Refusal ===

impl Refusal {
    /// The name in snake case.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Certificate(PeerIdentityError::NoCertificate) => "no_certificate",
            Self::Certificate(_) => "certificate_identity",
            Self::CertificateExpired => "certificate_expired",
            Self::NoNode => "no_node",
            Self::Workload { .. } => "workload_mismatch",
            Self::Registration { .. } => "registration_refused",
            Self::Scope(ScopeError::Workload(_)) => "workload_name",
            Self::Scope(ScopeError::Kind(_)) => "proxy_kind",
            Self::Scope(ScopeError::Address(_)) => "address",
            Self::Scope(ScopeError::TrustDomain(_)) => "trust_domain",
            Self::Scope(ScopeError::Namespace { .. }) => "namespace_mismatch",
            Self::Scope(ScopeError::ServiceAccount { .. }) => "service_account_mismatch",
            Self::Scope(ScopeError::OtherKind { .. }) => "proxy_kind_mismatch",
            Self::Scope(ScopeError::Unknown(_)) => "workload_unknown",
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Certificate(PeerIdentityError::NoCertificate) | Self::CertificateExpired => {
                Code::Unauthenticated
            }
            Self::NoNode
            | Self::Scope(ScopeError::Workload(_) | ScopeError::Kind(_) | ScopeError::Address(_)) => {
                Code::InvalidArgument
            }
            Self::Certificate(_)
            | Self::Workload { .. }
            | Self::Registration { .. }
            | Self::Scope(
                ScopeError::TrustDomain(_)
                | ScopeError::Namespace { .. }
                | ScopeError::ServiceAccount { .. }
                | ScopeError::OtherKind { .. },
            ) => Code::PermissionDenied,
            // Its Pod is on the way: the proxy asks again.
            Self::Scope(ScopeError::Unknown(_)) => Code::Unavailable,
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let status = Self::new(refusal.code(), refusal.to_string());
        named(status, refusal.reason())
    }
}

/// The status with its reason in the metadata `mesh-refusal`.
pub(super) fn named(mut status: Status, reason: &str) -> Status {
    if let Ok(reason) = reason.parse() {
        status.metadata_mut().insert("mesh-refusal", reason);
    }
    status
}

#[cfg(test)]
mod tests {
    use mesh_api::v1::{ProxyKind, Registration};
    use meshd_core::{MeshSettings, Store};

    use super::*;

    fn peer(binding: Option<(&str, &[(&str, &str)])>) -> Peer {
        Peer {
            identity: "spiffe://cluster.local/ns/default/sa/shop".parse().unwrap(),
            not_after: clock::now(),
            binding: binding.map(|(workload, granted)| WorkloadBinding {
                workload: workload.parse().unwrap(),
                labels: labels(granted),
            }),
        }
    }

    fn labels(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        all.iter().map(owned).collect()
    }

    fn node(workload: &str, said: &[(&str, &str)]) -> Node {
        Node {
            workload: workload.to_owned(),
            kind: ProxyKind::Sidecar.into(),
            labels: labels(said).into_iter().collect(),
            registration: Some(Registration::default()),
            ..Node::default()
        }
    }

    #[test]
    fn a_bound_certificate_is_of_one_workload() {
        let world = Store::new().world(&MeshSettings::default());
        let declared = MeshSettings {
            declared_workloads_only: true,
            ..MeshSettings::default()
        };
        let declared = Store::new().world(&declared);
        let bound = peer(Some(("default/a", &[])));
        assert!(bound.admit(&world, &node("default/a", &[])).is_ok());
        assert!(peer(None).admit(&world, &node("default/b", &[])).is_ok());
        for (world, workload, want) in [
            (&world, "default/b", "workload_mismatch"),
            (&declared, "default/b", "workload_mismatch"),
            (&declared, "default/a", "workload_unknown"),
            (&world, "other/a", "namespace_mismatch"),
            (&world, "nonsense", "workload_name"),
        ] {
            let refusal = bound.admit(world, &node(workload, &[])).unwrap_err();
            assert_eq!(refusal.reason(), want, "{workload}");
        }
    }

    #[test]
    fn a_workload_registers_itself_with_what_it_was_granted() {
        use SelfRegistration::{Granted, Never, Trusted};
        let app: &[_] = &[("app", "shop")];
        let both: &[_] = &[("app", "shop"), ("version", "v1")];
        let bare = Some(("default/a", &[][..]));
        let bound = Some(("default/a", both));
        type Labels<'a> = &'a [(&'a str, &'a str)];
        type Binding<'a> = Option<(&'a str, Labels<'a>)>;
        let cases: [(
            SelfRegistration,
            Binding<'_>,
            Labels<'_>,
            Option<Labels<'_>>,
        ); 12] = [
            (Granted, bound, both, Some(both)),
            (Granted, bound, app, Some(both)),
            (Granted, bound, &[], Some(both)),
            (Granted, bound, &[("app", "bank")], None),
            (Granted, bound, &[("app", "shop"), ("tier", "x")], None),
            (Granted, bare, &[], Some(&[][..])),
            (Granted, bare, app, None),
            (Granted, None, &[], None),
            // Who is bound is held to it all the same.
            (Trusted, bound, &[("app", "bank")], None),
            (Trusted, bound, app, Some(both)),
            (Trusted, None, app, Some(app)),
            (Never, bound, both, None),
        ];
        for (number, (who, binding, said, want)) in cases.into_iter().enumerate() {
            let workload: WorkloadName = "default/a".parse().unwrap();
            let got = peer(binding).may_register(&workload, &node("default/a", said), who);
            match (got, want) {
                (Ok(got), Some(want)) => assert_eq!(got, Some(labels(want)), "{number}"),
                (Err(refusal), None) => assert_eq!(refusal.reason(), "registration_refused"),
                (got, _) => panic!("{number}: {got:?}"),
            }
            let plain = Node {
                registration: None,
                ..node("default/a", said)
            };
            let got = peer(binding).may_register(&workload, &plain, who);
            assert_eq!(got.unwrap(), None, "{number}");
        }
    }

    #[test]
    fn a_refusal_says_how_to_make_a_token_that_does() {
        let workload: WorkloadName = "default/a".parse().unwrap();
        let refused = |peer: Peer| {
            let node = node("default/a", &[("app", "bank")]);
            let got = peer.may_register(&workload, &node, SelfRegistration::Granted);
            got.unwrap_err().to_string()
        };
        let text = refused(peer(Some(("default/a", &[]))));
        assert!(
            text.contains("meshd token --workload default/a --label 'app=bank'"),
            "{text}"
        );
        let text = refused(peer(None));
        assert!(text.contains("--trust-registrations"), "{text}");
    }

    #[test]
    fn a_pod_that_is_not_known_yet_is_to_ask_again() {
        let workload: mesh_api::WorkloadName = "default/late".parse().unwrap();
        let status = Status::from(Refusal::Scope(ScopeError::Unknown(workload.clone())));
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(
            status.metadata().get("mesh-refusal").unwrap(),
            "workload_unknown"
        );
        let other = Status::from(Refusal::Scope(ScopeError::OtherKind {
            workload,
            declared: "sidecar",
            claimed: "gateway",
        }));
        assert_eq!(other.code(), Code::PermissionDenied);
    }
}
