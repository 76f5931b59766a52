//! The workload's identity for the application itself.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

/// Where the application gets the workload's identity, and who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadApiSettings {
    /// Path of the Unix socket.
    pub path: PathBuf,
    /// Who may connect.
    pub users: Users,
}

/// Users of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Users {
    /// The proxy's own alone.
    Own,
    /// These and the proxy's own, by number.
    Listed(BTreeSet<u32>),
    /// All: what may reach the socket is the workload.
    Any,
}

/// Something else than users.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither `own` nor `any` nor a list of user numbers such as 1000,1001")]
pub struct InvalidUsers(String);

// === impl Users ===

impl Users {
    /// Whether the user is among them.
    pub fn contain(&self, uid: u32) -> bool {
        let own = uid == nix::unistd::Uid::effective().as_raw();
        match self {
            Self::Own => own,
            Self::Listed(listed) => own || listed.contains(&uid),
            Self::Any => true,
        }
    }

    /// Whether nobody else may connect.
    pub fn is_own(&self) -> bool {
        *self == Self::Own
    }
}

impl FromStr for Users {
    type Err = InvalidUsers;

    fn from_str(text: &str) -> Result<Self, InvalidUsers> {
        let number = |part: &str| part.trim().parse().ok();
        match text.trim() {
            "own" => Ok(Self::Own),
            "any" => Ok(Self::Any),
            list => {
                let listed: Option<BTreeSet<u32>> = list.split(',').map(number).collect();
                let listed = listed.ok_or_else(|| InvalidUsers(text.to_owned()))?;
                Ok(Self::Listed(listed))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_own_any_or_listed() {
        let own = nix::unistd::Uid::effective().as_raw();
        let other = own.wrapping_add(1);
        for (text, contains_other) in [
            ("own", false),
            ("any", true),
            (" 1 , 7 ", other == 1 || other == 7),
        ] {
            let users: Users = text.parse().unwrap();
            assert!(users.contain(own), "{text}");
            assert_eq!(users.contain(other), contains_other, "{text}");
        }
        for wrong in ["", "root", "1,", "-1", "own,1"] {
            assert!(wrong.parse::<Users>().is_err(), "{wrong}");
        }
    }
}
