//! `meshctl ca status`, `ca rotate` and `ca revoke`.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use mesh_ca::Fingerprint;
use mesh_ca::rotation::{Reason, RotationProgress, RotationStatus};
use serde_json::json;

use crate::call::Admin;
use crate::cli::{CaRevokeArgs, CaRotateArgs, CaStatusArgs, MeshArg, Output};
use crate::clock;
use crate::output::{count, json, say};
use crate::table::Table;
use crate::target::{ControlPlane, MeshTarget};

/// How often the control plane is asked while a rotation is watched.
const LOOK: Duration = Duration::from_millis(200);
/// Blockers that are shown to people.
const SHOWN: usize = 10;

pub(super) async fn status(args: &CaStatusArgs) -> anyhow::Result<ExitCode> {
    let status: RotationStatus = admin(&args.mesh).await?.get("/v1/ca").await?;
    match args.output.output {
        Output::Json => json(&status)?,
        Output::Text => say(text(&status, clock::unix_seconds()).trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn revoke(args: &CaRevokeArgs) -> anyhow::Result<ExitCode> {
    let path = format!("/v1/ca/revoke?serial={}", escaped(&args.serial));
    let _: RotationStatus = admin(&args.mesh).await?.post(&path, &json!({})).await?;
    say(format_args!("revoked {}", args.serial));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn rotate(args: &CaRotateArgs) -> anyhow::Result<ExitCode> {
    let admin = admin(&args.mesh).await?;
    let before: RotationStatus = admin.get("/v1/ca").await?;
    if args.dry_run {
        match args.output.output {
            Output::Json => json(&before)?,
            Output::Text => say(plan(&before).trim_end()),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let order = |path: String| {
        let admin = &admin;
        async move { admin.post::<RotationStatus>(&path, &json!({})).await }
    };
    if args.abort {
        order("/v1/ca/abort".to_owned()).await?;
    } else if let Some(name) = &args.forget {
        order(format!("/v1/ca/forget?name={}", escaped(name))).await?;
    } else if before.rotation.is_none() {
        order("/v1/ca/rotate".to_owned()).await?;
    }
    let watching = watch(&admin, args.output.output);
    let status = match args.timeout {
        None => watching.await?,
        Some(limit) => match tokio::time::timeout(limit, watching).await {
            Ok(status) => status?,
            Err(_) => anyhow::bail!(
                "the rotation is not at its end yet; it goes on: `meshctl ca status` shows who holds it up"
            ),
        },
    };
    match args.output.output {
        Output::Json => json(&status)?,
        Output::Text => say(format_args!(
            "done: root {} signs, and no other is trusted",
            status.signing_root.short()
        )),
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells of each step until nothing is under way.
async fn watch(admin: &Admin, output: Output) -> anyhow::Result<RotationStatus> {
    let mut told = String::new();
    loop {
        let status: RotationStatus = admin.get("/v1/ca").await?;
        let Some(rotation) = &status.rotation else {
            return Ok(status);
        };
        let text = progress(rotation, clock::unix_seconds());
        if output == Output::Text && text != told {
            say(text.trim_end());
            told = text;
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn admin(mesh: &MeshArg) -> anyhow::Result<Admin> {
    let plane = match MeshTarget::resolve(&mesh.selection()).await? {
        MeshTarget::Laptop(laptop) => ControlPlane::on_laptop(&laptop.record),
        MeshTarget::Cluster(cluster) => ControlPlane::in_cluster(&cluster).await?,
    };
    let replica = plane
        .replicas
        .into_iter()
        .find(|replica| replica.down.is_none());
    Ok(replica.context("no control plane runs")?.admin)
}

fn text(status: &RotationStatus, now: i64) -> String {
    let mut text = format!(
        "trust domain   {}\nsigning root   {}\ntrusted roots  {}\nsigns until    {}\nproxies        {} with a certificate, {} connected\n",
        status.trust_domain,
        status.signing_root.short(),
        list(&status.trusted_roots),
        span(status.not_after - now),
        status.holders,
        status.connected,
    );
    match &status.rotation {
        None => text.push_str("rotation       none\n"),
        Some(rotation) => {
            let _ = writeln!(
                text,
                "rotation       {} since {}: {} to {}\n",
                rotation.phase.as_str(),
                span(now - rotation.begun),
                list(&rotation.old_roots),
                list(&rotation.new_roots)
            );
            text.push_str(&progress(rotation, now));
        }
    }
    text
}

fn progress(rotation: &RotationProgress, now: i64) -> String {
    let mut text = format!(
        "{}: waiting for {}\n",
        rotation.phase.as_str(),
        rotation.waits_for
    );
    if rotation.blockers.is_empty() {
        return text;
    }
    let mut table = Table::new(["  WAITING FOR", "CONNECTED", "BECAUSE IT", "UNTIL AT MOST"]);
    for blocker in rotation.blockers.iter().take(SHOWN) {
        table.row([
            format!("  {}", blocker.name),
            if blocker.connected { "yes" } else { "NO" }.to_owned(),
            blocker.reason.as_str().to_owned(),
            match blocker.connected {
                true => String::new(),
                false if blocker.reason == Reason::StillSigning => {
                    format!("{} (then it signs nothing)", span(blocker.not_after - now))
                }
                false => format!("{} (its certificate's end)", span(blocker.not_after - now)),
            },
        ]);
    }
    let _ = write!(text, "{table}");
    if rotation.blocked_by > SHOWN {
        let more = count(
            u64::try_from(rotation.blocked_by - SHOWN).unwrap_or(u64::MAX),
            "other",
        );
        let _ = writeln!(text, "  and {more}");
    }
    text
}

fn plan(status: &RotationStatus) -> String {
    if let Some(rotation) = &status.rotation {
        return format!(
            "a rotation is under way already\n{}",
            progress(rotation, clock::unix_seconds())
        );
    }
    let away = status.holders - status.connected;
    let mut text = format!(
        "1. make a new root; {} are told to trust it beside {}\n\
         2. when all have acknowledged: sign by the new one; all renew their certificates\n\
         3. when no certificate of the old one is left: all are told to trust it no more\n",
        count(u64::try_from(status.holders).unwrap_or(u64::MAX), "holder") + " of certificates",
        list(&status.trusted_roots)
    );
    if away > 0 {
        let _ = writeln!(
            text,
            "{away} of them are not connected now: the rotation would wait for each until it is, or until its certificate expires"
        );
    }
    text
}

fn list(roots: &[Fingerprint]) -> String {
    let roots: Vec<String> = roots.iter().map(Fingerprint::short).collect();
    roots.join(", ")
}

/// `3h 20m`, in two units at most.
fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let units = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let mut left = seconds;
    let mut parts = Vec::new();
    for (length, name) in units {
        if left >= length && parts.len() < 2 {
            parts.push(format!("{}{name}", left / length));
            left %= length;
        }
    }
    match parts.is_empty() {
        true => "0s".to_owned(),
        false => parts.join(" "),
    }
}

/// For a query of a URL.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_queries_are_written() {
        for (seconds, text) in [
            (0, "0s"),
            (61, "1m 1s"),
            (90_061, "1d 1h"),
            (3600, "1h"),
            (-5, "0s"),
        ] {
            assert_eq!(span(seconds), text);
        }
        assert_eq!(escaped("default/a b"), "default%2Fa%20b");
    }

    #[test]
    fn a_blocker_is_named_with_its_reason() {
        let root = Fingerprint::of(b"root");
        let status: RotationStatus = serde_json::from_value(json!({
            "trustDomain": "cluster.local",
            "signingRoot": root,
            "trustedRoots": [root],
            "notAfter": 90_000,
            "holders": 2,
            "connected": 1,
            "rotation": {
                "id": "1", "phase": "signing", "waitsFor": "everybody",
                "oldRoots": [root], "newRoots": [root], "begun": 0, "since": 0, "blockedBy": 1,
                "blockers": [{"name": "default/vm1", "identity": "spiffe://a/ns/b/sa/c",
                    "connected": false, "reason": "oldLeaf", "notAfter": 3700}],
            },
        }))
        .unwrap();
        let text = text(&status, 100);
        for words in [
            "default/vm1",
            "NO",
            "root that goes",
            "1h",
            "signing",
            "1 connected",
        ] {
            assert!(text.contains(words), "{text}");
        }
    }
}
