//! `--mesh-config`: a file with mesh-wide settings, read again when it changes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_api::v1::{Origin, Problem, Severity};
use meshd_core::MeshSettings;
use tokio::time::sleep;

use crate::app::BuildError;
use crate::kubernetes::mesh_config_of_file;
use crate::publish::{ConfigHandle, Message};

/// Looking at it costs nothing, and it may be put in place by any means: a rename, a mount.
const LOOK: Duration = Duration::from_secs(1);

/// The file, and what holds where it says nothing.
pub(crate) struct MeshConfigFile {
    path: PathBuf,
    base: MeshSettings,
    text: Option<String>,
    current: MeshSettings,
}

// === impl MeshConfigFile ===

impl MeshConfigFile {
    /// Reads it into `mesh`.
    ///
    /// # Errors
    /// If it cannot be used: a control plane does not start with other settings than it was told.
    pub(crate) fn open(path: &Path, mesh: &mut MeshSettings) -> Result<Self, BuildError> {
        let failed = |reason| BuildError::MeshConfig {
            path: path.to_owned(),
            reason,
        };
        let text = read(path).map_err(failed)?;
        let base = mesh.clone();
        *mesh = mesh_config_of_file(&text, &base).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            base,
            text: Some(text),
            current: mesh.clone(),
        })
    }

    /// Follows it. Runs until dropped, or until the control plane has stopped.
    pub(crate) async fn follow(mut self, config: ConfigHandle) {
        loop {
            sleep(LOOK).await;
            for message in self.look() {
                if config.send(message).await.is_err() {
                    return;
                }
            }
        }
    }

    /// What follows from the file as it is now; nothing if it is as before. Settings that cannot
    /// be used change nothing.
    fn look(&mut self) -> Vec<Message> {
        let text = match read(&self.path) {
            Ok(text) if self.text.as_ref() == Some(&text) => return Vec::new(),
            Ok(text) => text,
            // Said once: `text` is what was read last.
            Err(_) if self.text.is_none() => return Vec::new(),
            Err(error) => {
                self.text = None;
                return vec![self.trouble(Some((Severity::Error, error)))];
            }
        };
        let read = mesh_config_of_file(&text, &self.base);
        self.text = Some(text);
        let mut settings = match read {
            Ok(settings) => settings,
            Err(error) => return vec![self.trouble(Some((Severity::Error, error)))],
        };
        let wanted = std::mem::replace(
            &mut settings.trust_domain,
            self.current.trust_domain.clone(),
        );
        let waits = (wanted != settings.trust_domain).then(|| {
            let why = format!("trustDomain: `{wanted}` holds from the next start on");
            (Severity::Warning, why)
        });
        let mut messages = vec![self.trouble(waits)];
        if settings != self.current {
            tracing::info!(path = %self.path.display(), "the mesh configuration has changed");
            self.current.clone_from(&settings);
            messages.push(Message::Settings(Box::new(settings)));
        }
        messages
    }

    fn trouble(&self, problem: Option<(Severity, String)>) -> Message {
        let source = self.path.display().to_string();
        let problem = problem.map(|(severity, why)| {
            let message = match severity {
                Severity::Error => format!("{why}; the settings stay as they were"),
                _ => why,
            };
            Box::new(Problem {
                severity: severity.into(),
                origin: Some(Origin {
                    source: source.clone(),
                    ..Origin::default()
                }),
                message,
                code: "MeshConfig".to_owned(),
            })
        });
        Message::Trouble {
            key: format!("mesh configuration {source}"),
            problem,
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(file: &mut MeshConfigFile) -> (Option<MeshSettings>, Option<String>) {
        let (mut settings, mut trouble) = (None, None);
        for message in file.look() {
            match message {
                Message::Settings(new) => settings = Some(*new),
                Message::Trouble { problem, .. } => trouble = problem.map(|p| p.message),
                _ => panic!("{message:?}"),
            }
        }
        (settings, trouble)
    }

    #[test]
    fn the_file_is_followed_and_a_bad_one_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mesh.yaml");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write("trustDomainAliases: [a.example]");
        let mut mesh = MeshSettings::default();
        let mut file = MeshConfigFile::open(&path, &mut mesh).unwrap();
        assert_eq!(mesh.trust_domain_aliases[0].as_str(), "a.example");
        assert_eq!(outcome(&mut file), (None, None));
        write("trustDomainAliases: [b.example]");
        let (settings, trouble) = outcome(&mut file);
        assert_eq!(
            settings.unwrap().trust_domain_aliases[0].as_str(),
            "b.example"
        );
        assert_eq!(trouble, None);
        for bad in ["- a", "trustDomainAliases: x", "rootNamespace: ["] {
            write(bad);
            let (settings, trouble) = outcome(&mut file);
            assert!(
                settings.is_none() && trouble.unwrap().contains("stay"),
                "{bad}"
            );
            assert_eq!(outcome(&mut file), (None, None), "it is said once");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(outcome(&mut file).1.unwrap().contains("stay"));
        assert_eq!(outcome(&mut file), (None, None));
        write("trustDomain: other.example");
        let (settings, trouble) = outcome(&mut file);
        let settings = settings.unwrap();
        assert!(settings.trust_domain_aliases.is_empty());
        assert_eq!(settings.trust_domain.as_str(), "cluster.local");
        assert!(trouble.unwrap().contains("next start"));
    }

    #[test]
    fn one_that_cannot_be_used_is_refused_at_the_start() {
        let path = Path::new("/nowhere/mesh.yaml");
        assert!(MeshConfigFile::open(path, &mut MeshSettings::default()).is_err());
    }
}
