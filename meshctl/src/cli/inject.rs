//! `inject`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `inject`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl inject -f app.yaml | kubectl apply -f -\n  \
    helm template app | meshctl inject -f - --inject-config inject.yaml > meshed.yaml\n  \
    kubectl get deploy web -o yaml | meshctl inject -f - -o json\n\n\
    It does what the admission webhook does, with the same result, where namespaces have no label\n\
    that asks for it. ProxyConfigs in the files hold for the pods of all of them; those of a cluster\n\
    are not known here. Objects that make no pods pass unchanged. The settings of an installation:\n  \
    kubectl -n istio-system get configmap mesh-inject -o jsonpath='{.data.config\\.yaml}' > inject.yaml")]
pub struct InjectArgs {
    /// File of Kubernetes objects, or - for standard input; may be repeated
    #[arg(short = 'f', long = "filename", required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Settings of injection, YAML [default: those of a plain installation]
    #[arg(long, value_name = "FILE")]
    pub inject_config: Option<PathBuf>,
    /// Revision of the control plane [default: that of the settings, mesh]
    #[arg(long, value_name = "NAME")]
    pub revision: Option<String>,
    /// Namespace of the control plane [default: that of the settings, istio-system]
    #[arg(long, value_name = "NAMESPACE")]
    pub mesh_namespace: Option<String>,
    /// Namespace of objects that name none
    #[arg(short, long, default_value = "default", value_name = "NAMESPACE")]
    pub namespace: String,
    /// Ordinary containers instead of native sidecars, for nodes before Kubernetes 1.29
    #[arg(long)]
    pub classic: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = InjectForm::Yaml, value_name = "FORM")]
    pub output: InjectForm,
}

/// Forms in which objects are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InjectForm {
    /// YAML documents.
    Yaml,
    /// One object, or a List.
    Json,
}
