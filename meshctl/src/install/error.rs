//! What goes wrong with an installation, and what to do then.

use std::path::PathBuf;
use std::time::Duration;

use super::template::TemplateError;
use crate::cluster::ClusterError;
use crate::output::count;

/// Why nothing, or not all, was installed or removed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The cluster did not do something.
    #[error(transparent)]
    Cluster(Box<ClusterError>),
    /// A template of the chart.
    #[error("the chart does not fit these values: {0}")]
    Template(#[from] TemplateError),
    /// A chart that this program was built with.
    #[error("the chart `{chart}` is broken: {message}")]
    Chart {
        /// Its name.
        chart: &'static str,
        /// What is wrong.
        message: String,
    },
    /// Values that do not exist or are of the wrong kind.
    #[error("the values cannot be used:\n  {}\nsee deploy/charts/{chart}/values.yaml for all of them", problems.join("\n  "))]
    Values {
        /// Name of the chart.
        chart: &'static str,
        /// Each with its path.
        problems: Vec<String>,
    },
    /// A file of values.
    #[error("cannot use the values in {}: {message}", file.display())]
    ValuesFile {
        /// Its path.
        file: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// `--set`.
    #[error("--set {assignment}: {message}")]
    Assignment {
        /// As the user wrote it.
        assignment: String,
        /// What is wrong.
        message: String,
    },
    /// The cluster or the user's permissions do not suffice. Nothing was changed.
    #[error("nothing was changed: {}", problems.join("\n  and: "))]
    Precheck {
        /// Each in a sentence, with what to do.
        problems: Vec<String>,
    },
    /// An object was refused.
    #[error("cannot apply {object}: {source}{}", hint(source))]
    Apply {
        /// Kind, namespace and name.
        object: String,
        /// Why.
        source: Box<ClusterError>,
    },
    /// Something did not get ready.
    #[error("{object} was not ready within {} s: {reason}; it stays installed: look with `{look}`, or run the command again", timeout.as_secs())]
    NotReady {
        /// Kind, namespace and name.
        object: String,
        /// What holds it up.
        reason: String,
        /// The command that tells more.
        look: String,
        /// How long it was waited for.
        timeout: Duration,
    },
    /// No such revision.
    #[error(
        "no revision `{revision}` is installed in namespace {namespace}; {}",
        installed(there)
    )]
    NoRevision {
        /// Its name.
        revision: String,
        /// Where it was looked for.
        namespace: String,
        /// Those that are installed.
        there: Vec<String>,
    },
    /// Several revisions, and none was named.
    #[error("{} are installed in namespace {namespace}: name one with --revision ({})", count(revisions.len() as u64, "revision"), revisions.join(", "))]
    Several {
        /// Where.
        namespace: String,
        /// Their names.
        revisions: Vec<String>,
    },
    /// Somebody else's installation.
    #[error("{object} is managed by {manager}, not by meshctl: {next}")]
    Foreign {
        /// Kind, namespace and name.
        object: String,
        /// `Helm`, or another.
        manager: String,
        /// What to do.
        next: String,
    },
    /// A tag.
    #[error("there is no revision tag `{tag}`; {}", installed(there))]
    NoTag {
        /// Its name.
        tag: String,
        /// Those that there are.
        there: Vec<String>,
    },
    /// The user was asked and did not agree, or could not be asked.
    #[error("{0}; nothing was changed")]
    Refused(String),
}

impl From<ClusterError> for InstallError {
    fn from(error: ClusterError) -> Self {
        Self::Cluster(Box::new(error))
    }
}

fn installed(there: &[String]) -> String {
    match there {
        [] => "there is none: `meshctl install` makes one".to_owned(),
        _ => format!("there are: {}", there.join(", ")),
    }
}

/// What to do about the commonest refusals.
fn hint(error: &ClusterError) -> &'static str {
    let text = error.to_string();
    if text.contains("attempting to grant RBAC permissions") {
        "; who installs the mesh must have the permissions that it gets: use an account with the role cluster-admin"
    } else if text.contains("field is immutable") {
        "; remove the object first, or install another revision beside it with --revision"
    } else {
        ""
    }
}
