//! `meshctl inject`.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use meshd_core::inject::{InjectContext, InjectSettings, NativeSidecars};

use crate::cli::{InjectArgs, InjectForm};
use crate::inject::{FileConfigs, InjectedFile, inject_text};
use crate::output::complain;

pub(super) fn run(args: &InjectArgs) -> anyhow::Result<ExitCode> {
    let settings = settings(args)?;
    let files = args.files.iter().map(|path| read(path));
    let files: Vec<(String, String)> = files.collect::<anyhow::Result<_>>()?;
    let configs = FileConfigs::read(&files, &settings, &args.namespace)?;
    let context = InjectContext {
        namespace: &args.namespace,
        proxy_configs: configs.configs(),
        ..InjectContext::default()
    };
    let mut all = InjectedFile::default();
    for (name, text) in &files {
        all.append(inject_text(name, text, &settings, &context)?);
    }
    for note in configs.notes().chain(all.notes()) {
        complain(note);
    }
    let text = match args.output {
        InjectForm::Yaml => all.to_yaml(),
        InjectForm::Json => all.to_json()? + "\n",
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("cannot print the objects")?;
    Ok(ExitCode::SUCCESS)
}

fn settings(args: &InjectArgs) -> anyhow::Result<InjectSettings> {
    let mut settings = match &args.inject_config {
        Some(path) => {
            let text = fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            InjectSettings::from_yaml(&text).with_context(|| path.display().to_string())?
        }
        None => InjectSettings::default(),
    };
    if let Some(revision) = &args.revision {
        settings.revision.clone_from(revision);
    }
    if let Some(namespace) = &args.mesh_namespace {
        settings.mesh_namespace.clone_from(namespace);
    }
    if args.classic {
        settings.native_sidecars = NativeSidecars::Disabled;
    }
    Ok(settings)
}

fn read(path: &Path) -> anyhow::Result<(String, String)> {
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin()
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        return Ok(("standard input".to_owned(), text));
    }
    let name = path.display().to_string();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    Ok((name, text))
}
