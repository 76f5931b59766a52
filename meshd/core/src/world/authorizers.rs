//! Whom CUSTOM policies ask (Istio: `extensionProviders`).

use mesh_api::Hostname;
use mesh_api::v1::ExternalAuthorizer;

use super::Inner;

// === impl Inner ===

impl Inner {
    /// The provider of a name, with its host as it is declared. One that is not there or whose
    /// service nobody declares says so and denies (Istio: the same), or lets everything pass if
    /// it is there and so configured.
    pub(crate) fn external_authorizer(&self, name: &str) -> ExternalAuthorizer {
        let mut known = self.settings.authorizers.iter();
        let Some(found) = known.find(|known| known.name == name) else {
            return ExternalAuthorizer {
                name: name.to_owned(),
                unusable: format!(
                    "there is no extension provider `{name}` in the mesh configuration"
                ),
                // Nothing makes it one that is passed over where nobody speaks HTTP.
                grpc: true,
                ..ExternalAuthorizer::default()
            };
        };
        let mut authorizer = found.clone();
        // Istio: `[<namespace>/]<host>`, the namespace to choose among equal hosts.
        let written = authorizer.host.rsplit('/').next().unwrap_or_default();
        let host = written.parse::<Hostname>().ok();
        match host.filter(|host| self.services_by_host.contains_key(host)) {
            Some(host) => host.as_str().clone_into(&mut authorizer.host),
            None => {
                authorizer.unusable = format!(
                    "the service {written} of the extension provider `{name}` is not declared"
                );
                authorizer.host.clear();
            }
        }
        authorizer
    }

    /// Why an authorizer can never answer, if that is so.
    pub(super) fn unanswered(&self, authorizer: &ExternalAuthorizer) -> Option<String> {
        if !authorizer.unusable.is_empty() {
            return Some(authorizer.unusable.clone());
        }
        let host = authorizer.host.parse::<Hostname>().ok()?;
        let services = self.services_by_host.get(&host)?;
        let mut services = services.iter().filter_map(|id| self.services.get(*id));
        let has_port = services.any(|service| {
            let mut ports = service.ports.iter();
            ports.any(|port| port.number == authorizer.port)
        });
        let (name, port) = (&authorizer.name, authorizer.port);
        (!has_port).then(|| {
            format!("the service {host} of the extension provider `{name}` has no port {port}")
        })
    }
}
