//! What a running mesh tells its user.

use std::fmt;

use tokio::sync::mpsc;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Something goes as it should.
    Info(String),
    /// Something went wrong, and what follows from it.
    Warning(String),
    /// A finding in the configuration, which says itself how bad it is.
    Problem(String),
}

/// Takes messages.
#[derive(Clone, Debug)]
pub struct Notices(mpsc::UnboundedSender<Notice>);

// === impl Notices ===

impl Notices {
    /// A way in, and the way out.
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Notice>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Tells that something goes as it should.
    pub fn info(&self, text: impl Into<String>) {
        self.send(Notice::Info(text.into()));
    }

    /// Tells that something went wrong.
    pub fn warning(&self, text: impl Into<String>) {
        self.send(Notice::Warning(text.into()));
    }

    /// Tells of a finding in the configuration.
    pub fn problem(&self, text: impl Into<String>) {
        self.send(Notice::Problem(text.into()));
    }

    fn send(&self, notice: Notice) {
        // Nobody listens while everything stops.
        let _ = self.0.send(notice);
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Info(text) | Self::Problem(text) => f.write_str(text),
            Self::Warning(text) => write!(f, "warning: {text}"),
        }
    }
}
