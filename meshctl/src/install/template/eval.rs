//! Rendering.

use serde_json::{Map, Value};

use super::functions::{self, text, truth};
use super::parse::{Base, Command, Node, Operand, Pipeline};
use super::{Place, TemplateError, Templates};

/// Templates that include each other deeper than this do so forever.
const DEEPEST: usize = 50;

/// What names mean at some point.
struct Scope {
    dot: Value,
    variables: Vec<(String, Value)>,
    depth: usize,
}

/// Renders nodes with `data` as `.` and `$`.
pub(super) fn render(
    templates: &Templates,
    nodes: &[Node],
    data: &Value,
) -> Result<String, TemplateError> {
    at_depth(templates, nodes, data, 0)
}

fn at_depth(
    templates: &Templates,
    nodes: &[Node],
    data: &Value,
    depth: usize,
) -> Result<String, TemplateError> {
    let mut scope = Scope {
        dot: data.clone(),
        variables: vec![(String::new(), data.clone())],
        depth,
    };
    let mut out = String::new();
    scope.nodes(templates, nodes, &mut out)?;
    Ok(out)
}

// === impl Scope ===

impl Scope {
    /// Renders nodes; variables that they declare end with them.
    fn nodes(
        &mut self,
        templates: &Templates,
        nodes: &[Node],
        out: &mut String,
    ) -> Result<(), TemplateError> {
        let before = self.variables.len();
        for node in nodes {
            self.node(templates, node, out)?;
        }
        self.variables.truncate(before);
        Ok(())
    }

    fn node(
        &mut self,
        templates: &Templates,
        node: &Node,
        out: &mut String,
    ) -> Result<(), TemplateError> {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Print(pipeline) => {
                let value = self.pipeline(templates, pipeline)?;
                out.push_str(&text(&value).map_err(|message| pipeline.place.error(message))?);
            }
            Node::Set {
                name,
                declare,
                value,
            } => {
                let new = self.pipeline(templates, value)?;
                self.set(name, *declare, new, &value.place)?;
            }
            Node::If {
                condition,
                then,
                otherwise,
            } => {
                let holds = truth(&self.pipeline(templates, condition)?);
                self.nodes(templates, if holds { then } else { otherwise }, out)?;
            }
            Node::With {
                value,
                then,
                otherwise,
            } => {
                let value = self.pipeline(templates, value)?;
                if truth(&value) {
                    self.with(templates, value, then, out)?;
                } else {
                    self.nodes(templates, otherwise, out)?;
                }
            }
            Node::Range {
                names,
                over,
                body,
                otherwise,
            } => {
                let elements = elements(self.pipeline(templates, over)?)
                    .map_err(|message| over.place.error(message))?;
                if elements.is_empty() {
                    return self.nodes(templates, otherwise, out);
                }
                let before = self.variables.len();
                for (key, element) in elements {
                    if let Some(name) = &names.0 {
                        self.variables.push((name.clone(), key));
                    }
                    if let Some(name) = &names.1 {
                        self.variables.push((name.clone(), element.clone()));
                    }
                    self.with(templates, element, body, out)?;
                    self.variables.truncate(before);
                }
            }
        }
        Ok(())
    }

    fn with(
        &mut self,
        templates: &Templates,
        dot: Value,
        nodes: &[Node],
        out: &mut String,
    ) -> Result<(), TemplateError> {
        let outer = std::mem::replace(&mut self.dot, dot);
        let result = self.nodes(templates, nodes, out);
        self.dot = outer;
        result
    }

    fn set(
        &mut self,
        name: &str,
        declare: bool,
        value: Value,
        place: &Place,
    ) -> Result<(), TemplateError> {
        if declare {
            self.variables.push((name.to_owned(), value));
            return Ok(());
        }
        let known = self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| known == name);
        let (_, slot) =
            known.ok_or_else(|| place.error(format!("there is no variable ${name}")))?;
        *slot = value;
        Ok(())
    }

    fn pipeline(&self, templates: &Templates, pipeline: &Pipeline) -> Result<Value, TemplateError> {
        let mut last = None;
        for command in &pipeline.commands {
            let value = match command {
                Command::Value(operand) if last.is_none() => {
                    self.operand(templates, operand, &pipeline.place)?
                }
                Command::Value(_) => {
                    return Err(pipeline
                        .place
                        .error("only functions take a value from a pipeline"));
                }
                Command::Call {
                    function,
                    arguments,
                } => {
                    let mut values = Vec::with_capacity(arguments.len() + 1);
                    for argument in arguments {
                        values.push(self.operand(templates, argument, &pipeline.place)?);
                    }
                    values.extend(last.take());
                    self.call(templates, function, &values, &pipeline.place)?
                }
            };
            last = Some(value);
        }
        Ok(last.unwrap_or(Value::Null))
    }

    fn operand(
        &self,
        templates: &Templates,
        operand: &Operand,
        place: &Place,
    ) -> Result<Value, TemplateError> {
        let mut value = match &operand.base {
            Base::Dot => self.dot.clone(),
            Base::Variable(name) => self
                .variables
                .iter()
                .rev()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone())
                .ok_or_else(|| place.error(format!("there is no variable ${name}")))?,
            Base::Constant(value) => value.clone(),
            Base::Pipeline(inner) => self.pipeline(templates, inner)?,
            Base::Function(name) => self.call(templates, name, &[], place)?,
        };
        for name in &operand.fields {
            value = match value {
                Value::Object(mut map) => map.shift_remove(name).unwrap_or(Value::Null),
                other => {
                    return Err(place.error(format!(
                        "`.{name}` of {}, which has no fields",
                        functions::kind(&other)
                    )));
                }
            };
        }
        Ok(value)
    }

    fn call(
        &self,
        templates: &Templates,
        function: &str,
        arguments: &[Value],
        place: &Place,
    ) -> Result<Value, TemplateError> {
        if function != "include" {
            return functions::call(function, arguments).map_err(|message| place.error(message));
        }
        let [Value::String(name), data] = arguments else {
            return Err(place.error("include: takes a name and what `.` is then"));
        };
        let nodes = templates
            .defined
            .get(name)
            .ok_or_else(|| place.error(format!("nobody defines \"{name}\"")))?;
        if self.depth >= DEEPEST {
            return Err(place.error(format!("\"{name}\" includes itself")));
        }
        at_depth(templates, nodes, data, self.depth + 1).map(Value::String)
    }
}

/// Keys and elements; a map's in the order of its keys, as in Go.
fn elements(value: Value) -> Result<Vec<(Value, Value)>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(all) => Ok(all
            .into_iter()
            .enumerate()
            .map(|(at, element)| (at.into(), element))
            .collect()),
        Value::Object(map) => Ok(sorted(map)
            .into_iter()
            .map(|(key, element)| (Value::String(key), element))
            .collect()),
        other => Err(format!("range over {}", functions::kind(&other))),
    }
}

fn sorted(map: Map<String, Value>) -> Vec<(String, Value)> {
    let mut all: Vec<_> = map.into_iter().collect();
    all.sort_by(|(left, _), (right, _)| left.cmp(right));
    all
}
