//! The mesh on a cluster: installed, upgraded, removed.
//!
//! - [`chart`] holds the Helm charts of `deploy/charts`, compiled in, and renders them with
//!   [`template`]; [`values`] merges what the user sets over their defaults and [`schema`] checks
//!   it. What `meshctl` applies is what `helm` would.
//! - [`plan`] says what to apply, in which order, and what of an earlier version goes; [`precheck`]
//!   whether it can go well. Both are pure.
//! - [`apply`] does it, [`wait`] watches pods come up and says why one does not, [`record`] keeps
//!   on the cluster what was installed with which values.
//! - [`remove`] takes a revision away; [`tag`] moves names of revisions.

pub mod apply;
pub mod chart;
pub mod error;
pub mod plan;
pub mod precheck;
pub mod record;
pub mod remove;
pub mod schema;
pub mod tag;
pub mod template;
pub mod values;
pub mod wait;
pub mod yaml;

pub use error::InstallError;
