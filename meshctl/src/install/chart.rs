//! The charts.

use serde_json::{Map, Value, json};

use super::InstallError;
use super::template::Templates;
use super::{schema, values};

/// Name of the chart of the control plane.
pub const MESH: &str = "mesh";
/// Name of the chart of gateways.
pub const GATEWAY: &str = "gateway";

/// A chart: templates, default values, what values may be, and CRDs.
#[derive(Debug)]
pub struct Chart {
    name: &'static str,
    version: String,
    app_version: String,
    defaults: Value,
    schema: Value,
    templates: Templates,
    rendered: Vec<&'static str>,
    crds: Vec<Value>,
}

/// A file of a chart.
struct File {
    path: &'static str,
    text: &'static str,
}

/// One that is compiled in.
macro_rules! file {
    ($chart:literal, $path:literal) => {
        File {
            path: $path,
            text: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../deploy/charts/",
                $chart,
                "/",
                $path
            )),
        }
    };
}

const MESH_FILES: &[File] = &[
    file!("mesh", "Chart.yaml"),
    file!("mesh", "values.yaml"),
    file!("mesh", "values.schema.json"),
    file!("mesh", "crds/istio.yaml"),
    file!("mesh", "templates/_helpers.tpl"),
    file!("mesh", "templates/availability.yaml"),
    file!("mesh", "templates/clusterrole.yaml"),
    file!("mesh", "templates/configmap.yaml"),
    file!("mesh", "templates/deployment.yaml"),
    file!("mesh", "templates/injector.yaml"),
    file!("mesh", "templates/networkpolicy.yaml"),
    file!("mesh", "templates/revision-tags.yaml"),
    file!("mesh", "templates/role.yaml"),
    file!("mesh", "templates/service.yaml"),
    file!("mesh", "templates/serviceaccount.yaml"),
    file!("mesh", "templates/validator.yaml"),
];

const GATEWAY_FILES: &[File] = &[
    file!("gateway", "Chart.yaml"),
    file!("gateway", "values.yaml"),
    file!("gateway", "values.schema.json"),
    file!("gateway", "templates/_helpers.tpl"),
    file!("gateway", "templates/gateway.yaml"),
];

/// The template of revision tags, which `meshctl tag` renders alone.
pub const TAGS_TEMPLATE: &str = "templates/revision-tags.yaml";

// === impl Chart ===

impl Chart {
    /// The chart of the control plane.
    ///
    /// # Errors
    /// If this program was built from a chart that is not usable.
    pub fn mesh() -> Result<Self, InstallError> {
        Self::load(MESH, MESH_FILES)
    }

    /// The chart of a gateway.
    ///
    /// # Errors
    /// As [`Self::mesh`].
    pub fn gateway() -> Result<Self, InstallError> {
        Self::load(GATEWAY, GATEWAY_FILES)
    }

    fn load(name: &'static str, files: &'static [File]) -> Result<Self, InstallError> {
        let broken = |path: &str, message: String| InstallError::Chart {
            chart: name,
            message: format!("{path}: {message}"),
        };
        let mut chart = Self {
            name,
            version: String::new(),
            app_version: String::new(),
            defaults: Value::Null,
            schema: Value::Null,
            templates: Templates::default(),
            rendered: Vec::new(),
            crds: Vec::new(),
        };
        for File { path, text } in files {
            let yaml = || {
                serde_saphyr::from_str::<Value>(text)
                    .map_err(|error| broken(path, error.to_string()))
            };
            match *path {
                "Chart.yaml" => {
                    let head = yaml()?;
                    let field = |name: &str| {
                        head.get(name)
                            .and_then(Value::as_str)
                            .map(str::to_owned)
                            .ok_or_else(|| broken(path, format!("{name} is missing")))
                    };
                    chart.version = field("version")?;
                    chart.app_version = field("appVersion")?;
                }
                "values.yaml" => chart.defaults = yaml()?,
                "values.schema.json" => chart.schema = yaml()?,
                _ if path.starts_with("crds/") => {
                    chart
                        .crds
                        .extend(documents(text).map_err(|e| broken(path, e))?);
                }
                _ => {
                    chart.templates.add(path, text)?;
                    if !path.ends_with(".tpl") {
                        chart.rendered.push(path);
                    }
                }
            }
        }
        Ok(chart)
    }

    /// `appVersion`: the version of the mesh.
    pub fn app_version(&self) -> &str {
        &self.app_version
    }

    /// Its default values.
    pub fn defaults(&self) -> &Value {
        &self.defaults
    }

    /// The CRDs, which are installed only where they are missing.
    pub fn crds(&self) -> &[Value] {
        &self.crds
    }

    /// The default values with `overrides` over them.
    ///
    /// # Errors
    /// If a value does not exist or is of the wrong kind.
    pub fn values(&self, overrides: &Value) -> Result<Value, InstallError> {
        let mut merged = self.defaults.clone();
        values::merge(&mut merged, overrides);
        let problems = schema::check(&self.schema, &merged);
        if problems.is_empty() {
            return Ok(merged);
        }
        Err(InstallError::Values {
            chart: self.name,
            problems,
        })
    }

    /// The text of all templates, as `helm template` prints it, and the objects in it.
    ///
    /// # Errors
    /// If the templates and the values do not fit together.
    pub fn render(&self, namespace: &str, merged: &Value) -> Result<Rendered, InstallError> {
        self.render_files(&self.rendered, namespace, merged)
    }

    /// As [`Self::render`], one template alone.
    ///
    /// # Errors
    /// As there.
    pub fn render_file(
        &self,
        file: &str,
        namespace: &str,
        merged: &Value,
    ) -> Result<Rendered, InstallError> {
        self.render_files(&[file], namespace, merged)
    }

    fn render_files(
        &self,
        files: &[&str],
        namespace: &str,
        merged: &Value,
    ) -> Result<Rendered, InstallError> {
        let data = json!({
            "Values": merged,
            "Release": {"Name": self.name, "Namespace": namespace, "Service": "meshctl"},
            "Chart": {"Name": self.name, "Version": self.version, "AppVersion": self.app_version},
        });
        let mut rendered = Rendered::default();
        for file in files {
            let text = self.templates.render(file, &data)?;
            let objects = documents(&text).map_err(|message| InstallError::Chart {
                chart: self.name,
                message: format!("{file} renders no YAML: {message}"),
            })?;
            if objects.is_empty() {
                continue;
            }
            let text = text.trim();
            let text = text.strip_prefix("---").map_or(text, str::trim_start);
            rendered.text.push_str(&format!("---\n{text}\n"));
            rendered.objects.extend(objects);
        }
        Ok(rendered)
    }
}

/// What a chart renders to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rendered {
    /// As text, with the templates' comments.
    pub text: String,
    /// The objects in it.
    pub objects: Vec<Value>,
}

/// The objects of a text of several documents.
fn documents(text: &str) -> Result<Vec<Value>, String> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| error.to_string())?;
    Ok(all.into_iter().filter(|one| !one.is_null()).collect())
}

/// An empty map, for values that nobody has set.
pub fn nothing() -> Value {
    Value::Object(Map::new())
}

#[cfg(test)]
mod tests;
