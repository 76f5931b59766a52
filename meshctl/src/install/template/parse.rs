//! The tree of a template.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::vec::IntoIter;

use serde_json::Value;

use super::lex::{self, Part, Token};
use super::{Place, TemplateError};

/// A file.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) nodes: Vec<Node>,
    pub(super) defined: BTreeMap<String, Vec<Node>>,
}

/// What a template consists of.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    /// Prints a value.
    Print(Pipeline),
    /// `$x := pipeline`, or `=` for a variable that is there.
    Set {
        name: String,
        declare: bool,
        value: Pipeline,
    },
    If {
        condition: Pipeline,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    With {
        value: Pipeline,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Range {
        /// Names for the key and the element.
        names: (Option<String>, Option<String>),
        over: Pipeline,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

/// Commands; each one's value is the last argument of the next.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pipeline {
    pub(super) place: Place,
    pub(super) commands: Vec<Command>,
}

/// A value, or a function with arguments.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    Value(Operand),
    Call {
        function: String,
        arguments: Vec<Operand>,
    },
}

/// Something that has a value; fields are taken of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operand {
    pub(super) base: Base,
    pub(super) fields: Vec<String>,
}

/// Where the value comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Base {
    Dot,
    Variable(String),
    Constant(Value),
    Pipeline(Box<Pipeline>),
    /// A function without arguments, such as `list`.
    Function(String),
}

/// How a list of nodes ended.
enum Stop {
    File,
    End,
    Else(Place, Vec<Token>),
}

type Tokens = Peekable<IntoIter<Token>>;

struct Parser {
    parts: IntoIter<Part>,
    defined: BTreeMap<String, Vec<Node>>,
    file: Place,
}

/// Reads a file.
pub(super) fn parse(file: &str, text: &str) -> Result<Parsed, TemplateError> {
    let mut parser = Parser {
        parts: lex::parts(file, text)?.into_iter(),
        defined: BTreeMap::new(),
        file: Place {
            file: file.into(),
            line: text.lines().count(),
        },
    };
    let (nodes, end) = parser.nodes()?;
    match end {
        Stop::File => Ok(Parsed {
            nodes,
            defined: parser.defined,
        }),
        Stop::End => Err(parser.file.error("there is an `end` too many")),
        Stop::Else(place, _) => Err(place.error("`else` without `if`")),
    }
}

// === impl Parser ===

impl Parser {
    fn nodes(&mut self) -> Result<(Vec<Node>, Stop), TemplateError> {
        let mut nodes = Vec::new();
        while let Some(part) = self.parts.next() {
            let (place, tokens) = match part {
                Part::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Part::Action { place, tokens } => (place, tokens),
            };
            let mut tokens = tokens.into_iter().peekable();
            let keyword = match tokens.peek() {
                Some(Token::Word(word)) => word.clone(),
                _ => String::new(),
            };
            match keyword.as_str() {
                "end" => return Ok((nodes, Stop::End)),
                "else" => {
                    tokens.next();
                    return Ok((nodes, Stop::Else(place, tokens.collect())));
                }
                "if" | "with" | "range" => {
                    tokens.next();
                    nodes.push(self.block(&keyword, &place, tokens)?);
                }
                "define" => {
                    tokens.next();
                    let Some(Token::Text(name)) = tokens.next() else {
                        return Err(place.error("`define` needs a name in quotes"));
                    };
                    let body = self.body(&place)?;
                    self.defined.insert(name, body);
                }
                "template" | "block" | "break" | "continue" => {
                    return Err(place.error(format!("`{keyword}` is not supported")));
                }
                _ => nodes.push(simple(&place, tokens)?),
            }
        }
        Ok((nodes, Stop::File))
    }

    /// Nodes up to `end`.
    fn body(&mut self, place: &Place) -> Result<Vec<Node>, TemplateError> {
        match self.nodes()? {
            (nodes, Stop::End) => Ok(nodes),
            (_, Stop::Else(place, _)) => Err(place.error("`else` does not belong here")),
            (_, Stop::File) => Err(place.error("has no `end`")),
        }
    }

    fn block(
        &mut self,
        keyword: &str,
        place: &Place,
        mut tokens: Tokens,
    ) -> Result<Node, TemplateError> {
        let names = match keyword {
            "range" => range_names(place, &mut tokens)?,
            _ => (None, None),
        };
        let head = pipeline(place, &mut tokens)?;
        complete(place, &mut tokens)?;
        let (then, end) = self.nodes()?;
        let otherwise = match end {
            Stop::End => Vec::new(),
            Stop::File => return Err(place.error(format!("`{keyword}` has no `end`"))),
            Stop::Else(at, rest) if rest.is_empty() => self.body(&at)?,
            Stop::Else(at, rest) => {
                let mut rest = rest.into_iter().peekable();
                match rest.next() {
                    Some(Token::Word(word)) if word == "if" && keyword == "if" => {
                        vec![self.block("if", &at, rest)?]
                    }
                    _ => return Err(at.error("`else` may only be followed by `if`")),
                }
            }
        };
        Ok(match keyword {
            "if" => Node::If {
                condition: head,
                then,
                otherwise,
            },
            "with" => Node::With {
                value: head,
                then,
                otherwise,
            },
            _ => Node::Range {
                names,
                over: head,
                body: then,
                otherwise,
            },
        })
    }
}

/// `$x :=` or `$i, $x :=`.
fn range_names(
    place: &Place,
    tokens: &mut Tokens,
) -> Result<(Option<String>, Option<String>), TemplateError> {
    let ahead: Vec<Token> = tokens.clone().take(4).collect();
    let (names, used) = match ahead.as_slice() {
        [Token::Variable(x), Token::Sign(":="), ..] => ((None, Some(x.clone())), 2),
        [
            Token::Variable(i),
            Token::Sign(","),
            Token::Variable(x),
            Token::Sign(":="),
        ] => ((Some(i.clone()), Some(x.clone())), 4),
        [Token::Variable(_), Token::Sign(","), ..] => {
            return Err(place.error("write `range $key, $value := …`"));
        }
        _ => ((None, None), 0),
    };
    for _ in 0..used {
        tokens.next();
    }
    Ok(names)
}

/// An action that is no keyword.
fn simple(place: &Place, mut tokens: Tokens) -> Result<Node, TemplateError> {
    let ahead: Vec<Token> = tokens.clone().take(2).collect();
    let node = match ahead.as_slice() {
        [Token::Variable(name), Token::Sign(sign @ (":=" | "="))] => {
            tokens.nth(1);
            Node::Set {
                name: name.clone(),
                declare: *sign == ":=",
                value: pipeline(place, &mut tokens)?,
            }
        }
        _ => Node::Print(pipeline(place, &mut tokens)?),
    };
    complete(place, &mut tokens)?;
    Ok(node)
}

fn complete(place: &Place, tokens: &mut Tokens) -> Result<(), TemplateError> {
    match tokens.next() {
        None => Ok(()),
        Some(token) => Err(place.error(format!("{token:?} does not belong here"))),
    }
}

fn pipeline(place: &Place, tokens: &mut Tokens) -> Result<Pipeline, TemplateError> {
    let mut commands = vec![command(place, tokens)?];
    while tokens.next_if_eq(&Token::Sign("|")).is_some() {
        commands.push(command(place, tokens)?);
    }
    Ok(Pipeline {
        place: place.clone(),
        commands,
    })
}

fn command(place: &Place, tokens: &mut Tokens) -> Result<Command, TemplateError> {
    let first =
        operand(place, tokens)?.ok_or_else(|| place.error("a value or a function is missing"))?;
    let mut arguments = Vec::new();
    while let Some(argument) = operand(place, tokens)? {
        arguments.push(argument);
    }
    match first.base {
        Base::Function(function) => Ok(Command::Call {
            function,
            arguments,
        }),
        _ if arguments.is_empty() => Ok(Command::Value(first)),
        _ => Err(place.error("a value is no function and takes no arguments")),
    }
}

fn operand(place: &Place, tokens: &mut Tokens) -> Result<Option<Operand>, TemplateError> {
    let Some(token) = tokens.next_if(|token| !matches!(token, Token::Sign(sign) if *sign != "("))
    else {
        return Ok(None);
    };
    let mut fields = Vec::new();
    let base = match token {
        Token::Field { names, .. } => {
            fields = names;
            Base::Dot
        }
        Token::Variable(name) => Base::Variable(name),
        Token::Text(text) => Base::Constant(Value::String(text)),
        Token::Number(number) => Base::Constant(number.into()),
        Token::Word(word) => match word.as_str() {
            "true" => Base::Constant(Value::Bool(true)),
            "false" => Base::Constant(Value::Bool(false)),
            "nil" => Base::Constant(Value::Null),
            _ => Base::Function(word),
        },
        Token::Sign(_) => {
            let inner = pipeline(place, tokens)?;
            if tokens.next_if_eq(&Token::Sign(")")).is_none() {
                return Err(place.error("`)` is missing"));
            }
            Base::Pipeline(Box::new(inner))
        }
    };
    // `$x.a` and `(…).a`: fields right behind a value belong to it.
    if let Some(Token::Field { names, .. }) =
        tokens.next_if(|token| matches!(token, Token::Field { spaced: false, .. }))
    {
        fields.extend(names);
    }
    Ok(Some(Operand { base, fields }))
}
