//! Places in the configuration.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A place in the configuration: every decision can name the one that caused it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// Path of the file as it was given, `kubernetes`, or `default` for a rule of the mesh.
    pub source: String,
    /// Line from 1; 0 if there is none.
    pub line: u32,
    /// Column from 1; 0 if there is none.
    pub column: u32,
    /// Kind of the object, for example `VirtualService`.
    pub kind: String,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
}

// === impl Origin ===

impl Origin {
    /// `file:line`, or the source alone if there is no line.
    pub fn place(&self) -> String {
        match self.line {
            0 => self.source.clone(),
            line => format!("{}:{line}", self.source),
        }
    }
}

impl fmt::Display for Origin {
    /// `file:line (Kind namespace/name)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())?;
        if !self.kind.is_empty() {
            write!(f, " ({} {}/{})", self.kind, self.namespace, self.name)?;
        }
        Ok(())
    }
}
