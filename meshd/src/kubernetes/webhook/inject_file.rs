//! The file with the settings of injection, read again when it changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use meshd_core::inject::InjectSettings;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::kubernetes::KubernetesSettings;

/// A ConfigMap takes up to a minute to reach the file; looking at it costs nothing.
const LOOK: Duration = Duration::from_secs(5);

/// The settings in force, or why there are none.
pub(super) type Current = Result<Arc<InjectSettings>, String>;

/// Follows the file.
pub(super) struct InjectFile {
    path: PathBuf,
    kubernetes: Arc<KubernetesSettings>,
    text: Option<String>,
    /// What was said last.
    complaint: Option<String>,
    current: watch::Sender<Current>,
}

// === impl InjectFile ===

impl InjectFile {
    /// Reads the file, if there is one; otherwise the defaults hold. One that cannot be used
    /// refuses pods: they would get another proxy than the installation says.
    pub(super) fn open(
        kubernetes: &Arc<KubernetesSettings>,
    ) -> (Option<Self>, watch::Receiver<Current>) {
        let Some(path) = kubernetes.inject_config.clone() else {
            let defaults = told(InjectSettings::default(), kubernetes);
            let (_, receiver) = watch::channel(Ok(Arc::new(defaults)));
            return (None, receiver);
        };
        let (current, receiver) = watch::channel(Err("they were not read yet".to_owned()));
        let mut file = Self {
            path,
            kubernetes: Arc::clone(kubernetes),
            text: None,
            complaint: None,
            current,
        };
        file.look();
        (Some(file), receiver)
    }

    /// Looks at it again and again.
    pub(super) async fn follow(mut self) {
        loop {
            sleep(LOOK).await;
            self.look();
        }
    }

    fn look(&mut self) {
        let place = self.path.display().to_string();
        match self.read() {
            Ok(None) => {}
            Ok(Some(settings)) => {
                tracing::info!(file = place, "read the settings of injection");
                let _ = self.current.send_replace(Ok(Arc::new(settings)));
                self.complaint = None;
            }
            Err(error) => self.complain(format!("{place}: {error}")),
        }
    }

    /// Once about the same. What was good stays.
    fn complain(&mut self, error: String) {
        if self.complaint.as_ref() == Some(&error) {
            return;
        }
        if self.current.borrow().is_ok() {
            tracing::error!(%error, "the settings of injection cannot be used; the last good ones stay");
        } else {
            tracing::error!(%error, "the settings of injection cannot be used; no pod is injected");
            let _ = self.current.send_replace(Err(error.clone()));
        }
        self.complaint = Some(error);
    }

    /// The settings, if the text is another than before.
    fn read(&mut self) -> Result<Option<InjectSettings>, String> {
        let text = read(&self.path)?;
        if self.text.as_ref() == Some(&text) {
            return Ok(None);
        }
        let settings = InjectSettings::from_yaml(&text);
        self.text = Some(text);
        let settings = settings.map_err(|error| error.to_string())?;
        Ok(Some(told(settings, &self.kubernetes)))
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// What this process was told itself holds for the pods, too.
fn told(mut settings: InjectSettings, kubernetes: &KubernetesSettings) -> InjectSettings {
    settings.revision.clone_from(&kubernetes.revision);
    settings.mesh_namespace.clone_from(&kubernetes.namespace);
    settings.cluster_name.clone_from(&kubernetes.cluster_name);
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_was_good() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.yaml");
        let kubernetes = Arc::new(KubernetesSettings {
            inject_config: Some(path.clone()),
            revision: "canary".to_owned(),
            ..KubernetesSettings::default()
        });
        let (file, current) = InjectFile::open(&kubernetes);
        let mut file = file.unwrap();
        assert!(current.borrow().is_err(), "it is not there");
        std::fs::write(&path, "hubb: x").unwrap();
        file.look();
        assert!(current.borrow().as_ref().unwrap_err().contains("hubb"));
        std::fs::write(&path, "hub: a.example\nrevision: other").unwrap();
        file.look();
        let read = current.borrow().clone().unwrap();
        assert_eq!(
            (read.hub.as_str(), read.revision.as_str()),
            ("a.example", "canary")
        );
        std::fs::write(&path, "hub: [").unwrap();
        file.look();
        assert_eq!(current.borrow().clone().unwrap().hub, "a.example");
        std::fs::write(&path, "hub: b.example").unwrap();
        file.look();
        assert_eq!(current.borrow().clone().unwrap().hub, "b.example");
    }
}
