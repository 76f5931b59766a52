//! Whose certificate it is: the workload that it was issued to, and the labels that it may say of
//! itself.
//!
//! The identity in a certificate is a service account, which several workloads may share. An
//! extension says which of them holds this one, so that none can pass for another. It is not
//! critical: who does not know it passes it over. Its value is a UTF8String (DER) with JSON in the
//! one form that [`WorkloadBinding::encode`] writes:
//!
//! ```json
//! {"w":"default/reviews-v1","l":{"app":"reviews","version":"v1"}}
//! ```
//!
//! The authority alone decides what stands there: what a join token or a TokenReview says, and at
//! a renewal what the caller's own certificate says. Nothing in a signing request can.

use std::collections::BTreeMap;

use mesh_api::WorkloadName;
use rcgen::CustomExtension;
use serde::{Deserialize, Serialize};
use x509_parser::asn1_rs::{FromDer, Utf8String};
use x509_parser::certificate::X509Certificate;

#[cfg(test)]
mod tests;

/// The extension. Below 2.25 (ITU-T X.667), which needs no registration; every arc is below 2^31,
/// since parsers of certificates in Go take no larger one.
const OID: [u64; 5] = [2, 25, 1_835_365_224, 113_944_359, 1];
/// Octets of the JSON.
const LONGEST: usize = 4096;
/// Octets of all labels that one token may grant, keys and values.
const LONGEST_LABELS: usize = 2048;
/// Octets of a key: the most that Kubernetes takes.
const LONGEST_KEY: usize = 317;

/// The workload that a certificate was issued to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadBinding {
    /// The workload.
    pub workload: WorkloadName,
    /// Labels that it may register itself with. None are granted if there are none.
    pub labels: BTreeMap<String, String>,
}

/// Why the extension of a certificate is not understood. Its holder is refused then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the extension that names the workload is damaged")]
pub struct InvalidBinding;

/// Why labels cannot be granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLabels {
    /// It is no label.
    #[error("`{0}` is no label: write key=value")]
    Label(String),
    /// A key is there twice, with different values.
    #[error("the label `{0}` is given twice")]
    Twice(String),
    /// They are too many.
    #[error("the labels are longer than {LONGEST_LABELS} octets")]
    TooLong,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(rename = "w")]
    workload: String,
    #[serde(rename = "l", default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
}

// === impl WorkloadBinding ===

impl WorkloadBinding {
    /// As the value of the extension.
    ///
    /// # Errors
    /// If the labels are too long.
    pub fn encode(&self) -> Result<Vec<u8>, InvalidLabels> {
        let wire = Wire {
            workload: self.workload.to_string(),
            labels: self.labels.clone(),
        };
        let json = serde_json::to_vec(&wire).map_err(|_| InvalidLabels::TooLong)?;
        let length = match u16::try_from(json.len()) {
            Ok(length) if json.len() <= LONGEST => length.to_be_bytes(),
            _ => return Err(InvalidLabels::TooLong),
        };
        // X.690, section 8.1.3: a length below 128 stands for itself.
        const UTF8_STRING: u8 = 0x0c;
        let mut der = match length {
            [0, short @ ..0x80] => vec![UTF8_STRING, short],
            [0, long] => vec![UTF8_STRING, 0x81, long],
            [high, low] => vec![UTF8_STRING, 0x82, high, low],
        };
        der.extend(json);
        Ok(der)
    }

    /// Reads the value of the extension.
    ///
    /// # Errors
    /// If it is anything else than what [`Self::encode`] writes.
    pub fn decode(der: &[u8]) -> Result<Self, InvalidBinding> {
        let (_, text) = Utf8String::from_der(der).map_err(|_| InvalidBinding)?;
        let wire: Wire = serde_json::from_str(text.as_ref()).map_err(|_| InvalidBinding)?;
        let binding = Self {
            workload: wire.workload.parse().map_err(|_| InvalidBinding)?,
            labels: wire.labels,
        };
        // One form only, so that no two readers see two workloads in it.
        match binding.encode() {
            Ok(form) if form == der => Ok(binding),
            _ => Err(InvalidBinding),
        }
    }

    pub(crate) fn extension(&self) -> Result<CustomExtension, InvalidLabels> {
        Ok(CustomExtension::from_oid_content(&OID, self.encode()?))
    }

    /// What a certificate says; `None` if it is bound to no workload.
    pub(crate) fn of(certificate: &X509Certificate<'_>) -> Result<Option<Self>, InvalidBinding> {
        let mut ours = certificate.extensions().iter().filter(|extension| {
            let arcs = extension.oid.iter();
            arcs.is_some_and(|arcs| arcs.eq(OID))
        });
        match (ours.next(), ours.next()) {
            (None, _) => Ok(None),
            (Some(one), None) => Self::decode(one.value).map(Some),
            (Some(_), Some(_)) => Err(InvalidBinding),
        }
    }
}

/// Reads a label, `key=value`. The value may be empty.
///
/// # Errors
/// If it is none.
pub fn parse_label(text: &str) -> Result<(String, String), InvalidLabels> {
    let invalid = || InvalidLabels::Label(text.chars().take(128).collect());
    let (key, value) = text.trim().split_once('=').ok_or_else(invalid)?;
    let strange = |c: char| c.is_control() || c.is_whitespace() || c == ',';
    if key.is_empty() || key.len() > LONGEST_KEY || text.trim().contains(strange) {
        return Err(invalid());
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// Puts labels together that one token is to grant.
///
/// # Errors
/// If one is there twice, or they are too long.
pub fn collect_labels(
    labels: impl IntoIterator<Item = (String, String)>,
) -> Result<BTreeMap<String, String>, InvalidLabels> {
    let mut all = BTreeMap::new();
    for (key, value) in labels {
        if all.insert(key.clone(), value).is_some() {
            return Err(InvalidLabels::Twice(key));
        }
    }
    check_labels(&all)?;
    Ok(all)
}

/// Whether a token can grant these labels.
pub(crate) fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), InvalidLabels> {
    let octets: usize = labels
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    // Each also takes its quotation marks.
    match octets + 8 * labels.len() <= LONGEST_LABELS {
        true => Ok(()),
        false => Err(InvalidLabels::TooLong),
    }
}
